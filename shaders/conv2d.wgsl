// Convolution as a matrix product [O, I·K·K] × [I·K·K, pixels], the second factor gathered on the fly.
// The twin is `ops::flex::conv2d`. A workgroup makes a tile of ROWS output channels by COLUMNS pixels,
// each thread 4 × 4 of them, which lie in registers.
//
// The program puts these constants before this text:
//   K, STRIDE, PAD  the kernel's side, the step, the zeros before the first row and column
//   DOWN, ACROSS    threads of a workgroup along channels and along pixels, 256 together
//   DEPTH           products per round through workgroup memory
//   T               the type of the stored values, f32 or f16; sums are f32

struct Sizes {
    // Channels, rows and columns of the input …
    channels: u32,
    height: u32,
    width: u32,
    // … and of the output.
    out_channels: u32,
    out_height: u32,
    out_width: u32,
    // Workgroups in x, and how many such slices of them a picture's pixels take.
    groups: u32,
    splits: u32,
    // The first slice of this launch.
    first: u32,
}

const THREADS = DOWN * ACROSS;
const ROWS = 4u * DOWN;
const COLUMNS = 4u * ACROSS;
// A spare value in each row of `a` keeps neighbouring threads' stores in different banks.
const A_ROW = ROWS + 1u;

@group(0) @binding(0) var<storage, read_write> x: array<T>;
@group(0) @binding(1) var<storage, read_write> weight: array<T>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;
@group(0) @binding(4) var<uniform> sizes: Sizes;

var<workgroup> a: array<f32, DEPTH * A_ROW>;
var<workgroup> b: array<f32, DEPTH * COLUMNS>;

// What picture `n` has at position k of the kernel over the output pixel whose first tap is at `row`,
// `column` of the padded input; 0 outside.
fn input(n: u32, k: u32, row: u32, column: u32) -> f32 {
    let tap = k % (K * K);
    let top = row + tap / K;
    let left = column + tap % K;
    let channel = k / (K * K);
    let above = top < PAD || left < PAD;
    let below = top >= sizes.height + PAD || left >= sizes.width + PAD;
    if channel >= sizes.channels || above || below {
        return 0.0;
    }
    let plane = n * sizes.channels + channel;
    return f32(x[(plane * sizes.height + top - PAD) * sizes.width + left - PAD]);
}

// The four pixels of a thread lie ACROSS apart: neighbouring threads write neighbouring values.
fn write(n: u32, channel: u32, first: u32, sums: vec4<f32>) {
    if channel >= sizes.out_channels {
        return;
    }
    let pixels = sizes.out_height * sizes.out_width;
    let start = (n * sizes.out_channels + channel) * pixels;
    let values = sums + bias[channel];
    if first < pixels {
        y[start + first] = T(values.x);
    }
    if first + ACROSS < pixels {
        y[start + first + ACROSS] = T(values.y);
    }
    if first + 2u * ACROSS < pixels {
        y[start + first + 2u * ACROSS] = T(values.z);
    }
    if first + 3u * ACROSS < pixels {
        y[start + first + 3u * ACROSS] = T(values.w);
    }
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slice = sizes.first + id.z;
    let n = slice / sizes.splits;
    let first_row = id.y * ROWS;
    let first_column = (slice % sizes.splits * sizes.groups + id.x) * COLUMNS;
    let ty = thread / ACROSS;
    let tx = thread % ACROSS;
    // While loading, a thread looks after one pixel. Beyond the last one, any row is outside.
    let own = first_column + thread % COLUMNS;
    let outside = sizes.height + PAD;
    let row = select(outside, own / sizes.out_width * STRIDE, own < sizes.out_height * sizes.out_width);
    let column = own % sizes.out_width * STRIDE;

    let inner = sizes.channels * K * K;
    var sums_0 = vec4<f32>();
    var sums_1 = vec4<f32>();
    var sums_2 = vec4<f32>();
    var sums_3 = vec4<f32>();
    for (var start = 0u; start < inner; start += DEPTH) {
        for (var e = thread; e < DEPTH * ROWS; e += THREADS) {
            let channel = first_row + e / DEPTH;
            let k = start + e % DEPTH;
            var value = 0.0;
            if channel < sizes.out_channels && k < inner {
                value = f32(weight[channel * inner + k]);
            }
            a[(e % DEPTH) * A_ROW + e / DEPTH] = value;
        }
        for (var e = thread; e < DEPTH * COLUMNS; e += THREADS) {
            b[e] = input(n, start + e / COLUMNS, row, column);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let right = k * COLUMNS + tx;
            let pixels = vec4<f32>(
                b[right],
                b[right + ACROSS],
                b[right + 2u * ACROSS],
                b[right + 3u * ACROSS],
            );
            let left = k * A_ROW + ty;
            sums_0 += a[left] * pixels;
            sums_1 += a[left + DOWN] * pixels;
            sums_2 += a[left + 2u * DOWN] * pixels;
            sums_3 += a[left + 3u * DOWN] * pixels;
        }
        workgroupBarrier();
    }
    let channel = first_row + ty;
    let first = first_column + tx;
    write(n, channel, first, sums_0);
    write(n, channel + DOWN, first, sums_1);
    write(n, channel + 2u * DOWN, first, sums_2);
    write(n, channel + 3u * DOWN, first, sums_3);
}
