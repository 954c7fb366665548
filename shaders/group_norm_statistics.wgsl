// First half of group normalisation: the mean and the sum of squared deviations of each part of each
// group. The twin is `ops::flex::group_norm`. One workgroup per part.
//
// The program puts these constants before this text:
//   T      the type of the stored values, f32 or f16

struct Sizes {
    // Values of one group: its channels × rows × columns, contiguous.
    values: u32,
    // Parts that a group is split into, and the values of each; the last one may have fewer.
    parts: u32,
    part: u32,
}

const THREADS = 256u;

@group(0) @binding(0) var<storage, read_write> x: array<T>;
// [groups of the whole batch, parts, (mean, squared deviations)]
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

var<workgroup> sums: array<f32, THREADS>;

// The sum over all threads, for all threads.
fn total(value: f32, thread: u32) -> f32 {
    workgroupBarrier();
    sums[thread] = value;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            sums[thread] += sums[thread + half];
        }
    }
    workgroupBarrier();
    return sums[0];
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let part = id.x;
    let group = id.y;
    let start = part * sizes.part;
    let count = min(sizes.part, sizes.values - start);
    let base = group * sizes.values + start;

    var sum = 0.0;
    for (var k = thread; k < count; k += THREADS) {
        sum += f32(x[base + k]);
    }
    let mean = total(sum, thread) / f32(count);
    var squares = 0.0;
    for (var k = thread; k < count; k += THREADS) {
        let t = f32(x[base + k]) - mean;
        squares += t * t;
    }
    let deviations = total(squares, thread);
    if thread == 0u {
        let place = (group * sizes.parts + part) * 2u;
        statistics[place] = mean;
        statistics[place + 1u] = deviations;
    }
}
