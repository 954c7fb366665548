// Second half of group normalisation: y = (x - mean) / sqrt(variance + EPS) · weight + bias, then
// SiLU where asked. The twin is `ops::flex::group_norm`.
//
// The program puts these constants before this text:
//   RUN         values of a channel that a workgroup normalises
//   EPS, SILU   added to the variance; whether SiLU follows
//   T           the type of the stored values, f32 or f16

struct Sizes {
    // Channels and groups of a picture.
    channels: u32,
    groups: u32,
    // Values of a channel.
    plane: u32,
    // Parts that a group is split into, and the values of each, as in group_norm_statistics.wgsl.
    parts: u32,
    part: u32,
    // Pictures × channels.
    planes: u32,
    // Workgroups in y, each of which takes every layers-th plane.
    layers: u32,
}

const THREADS = 256u;

@group(0) @binding(0) var<storage, read_write> x: array<T>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<storage, read_write> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;
@group(0) @binding(5) var<uniform> sizes: Sizes;

@compute @workgroup_size(THREADS, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    for (var i = id.y; i < sizes.planes; i += sizes.layers) {
        normalise(i, id.x * RUN, thread);
    }
}

// A run of the plane `index`, from `first` on.
fn normalise(index: u32, first: u32, thread: u32) {
    let channel = index % sizes.channels;
    let picture = index / sizes.channels;
    let per_group = sizes.channels / sizes.groups;
    let group = picture * sizes.groups + channel / per_group;

    // The parts of the group, joined one after the other (Chan et al., 1979).
    let plane = sizes.plane;
    let values = plane * per_group;
    var mean = 0.0;
    var deviations = 0.0;
    var seen = 0.0;
    for (var i = 0u; i < sizes.parts; i++) {
        let place = (group * sizes.parts + i) * 2u;
        let count = f32(min(sizes.part, values - i * sizes.part));
        let delta = statistics[place] - mean;
        let joined = seen + count;
        mean += delta * count / joined;
        deviations += statistics[place + 1u] + delta * delta * seen * count / joined;
        seen = joined;
    }
    let scale = weight[channel] * inverseSqrt(deviations / seen + EPS);
    let shift = bias[channel];

    let base = index * plane;
    for (var k = first + thread; k < min(plane, first + RUN); k += THREADS) {
        var value = (f32(x[base + k]) - mean) * scale + shift;
        if SILU {
            // Beyond 80 the exponential would leave f32; the result is value or 0 either way.
            value = value / (1.0 + exp(clamp(-value, -80.0, 80.0)));
        }
        y[base + k] = T(value);
    }
}
