// Doubles rows and columns by repeating pixels. The twin is `ops::flex::upsample_nearest_2x`.
// One thread per input column, one row of workgroups per input row.
//
// The program puts these constants before this text:
//   T   the type of the stored values, f32 or f16

struct Sizes {
    // Rows and columns of the input.
    height: u32,
    width: u32,
    // Pictures × channels.
    planes: u32,
    // Workgroups in z, each of which takes every layers-th plane.
    layers: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x;
    let row = id.y;
    let width = sizes.width;
    if column >= width {
        return;
    }
    for (var plane = id.z; plane < sizes.planes; plane += sizes.layers) {
        let value = x[(plane * sizes.height + row) * width + column];
        let target_ = (plane * 2u * sizes.height + 2u * row) * 2u * width + 2u * column;
        y[target_] = value;
        y[target_ + 1u] = value;
        y[target_ + 2u * width] = value;
        y[target_ + 2u * width + 1u] = value;
    }
}
