// Mean shift: m_i = sum_j w_ij (P_j - P_i) / sum_j w_ij for every patch P of every particle i.
// The twin is `kds::cpu::mean_shift`. One workgroup per patch.
//
// The program puts these constants before this text:
//   N, C             particles and channels of x and y ([N, C, H, W])
//   P                side of the patches
//   DOWN             values are scaled by this, so that no difference or sum leaves f32
//   ROOT_SCALE, FAR  w = exp(-e), e = sum of (ROOT_SCALE² t)² over the differences t of scaled values,
//                    which are clamped to ±FAR
//   CUTOFF           from this exponent on, w = 0
//   THREADS          threads of a workgroup
//   LANES            threads that share one pair of particles, a power of two
//   PAIRS            N (N - 1) / 2, at least 1
//
// A patch is read in tiles of TILE values of every particle, so that it may be larger than workgroup
// memory: once for the exponents, and, unless it fits into one tile, once more for the result.

struct Sizes {
    height: u32,
    width: u32,
}

const TILE_VALUES = 2048u;
const TILE = TILE_VALUES / N;
const LARGEST = 3.4028234e38;
// Pairs that one thread looks after.
const OWN = (PAIRS * LANES + THREADS - 1u) / THREADS;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

var<workgroup> tile: array<f32, TILE_VALUES>;
// First the lanes' parts of the exponents; then each pair's weight, in its first lane's place.
var<workgroup> weights: array<f32, PAIRS * LANES>;

struct Patch {
    top: u32,
    left: u32,
    width: u32,
    cells: u32,
}

// Where value `e` of particle i's patch lies.
fn place(patch_: Patch, i: u32, e: u32) -> u32 {
    let c = e / patch_.cells;
    let cell = e % patch_.cells;
    let row = patch_.top + cell / patch_.width;
    let column = patch_.left + cell % patch_.width;
    return ((i * C + c) * sizes.height + row) * sizes.width + column;
}

// Loads values `start..` of every particle's patch; returns how many there are.
fn load(patch_: Patch, start: u32, thread: u32) -> u32 {
    let count = min(TILE, C * patch_.cells - start);
    workgroupBarrier();
    for (var k = thread; k < N * count; k += THREADS) {
        let i = k / count;
        let e = k % count;
        tile[i * TILE + e] = x[place(patch_, i, start + e)] * DOWN;
    }
    workgroupBarrier();
    return count;
}

// The pair's place in `weights`; a particle is no pair with itself.
fn pair_index(i: u32, j: u32) -> u32 {
    let low = min(i, j);
    let high = max(i, j);
    return high * (high - 1u) / 2u + low;
}

fn weight(i: u32, j: u32) -> f32 {
    if i == j {
        return 1.0;
    }
    return weights[pair_index(i, j) * LANES];
}

@compute @workgroup_size(THREADS, 1, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let left = group.x * P;
    let top = group.y * P;
    let width = min(P, sizes.width - left);
    let patch_ = Patch(top, left, width, width * min(P, sizes.height - top));
    let values = C * patch_.cells;

    // Exponents: LANES threads share a pair and take its values in turn.
    var exponents: array<f32, OWN>;
    for (var start = 0u; start < values; start += TILE) {
        let count = load(patch_, start, thread);
        for (var own = 0u; own < OWN; own++) {
            let task = own * THREADS + thread;
            let pair = task / LANES;
            if N > 1u && pair < PAIRS {
                // The inverse of pair_index.
                var high = u32((1.0 + sqrt(1.0 + 8.0 * f32(pair))) * 0.5);
                if high * (high - 1u) / 2u > pair {
                    high -= 1u;
                }
                if high * (high + 1u) / 2u <= pair {
                    high += 1u;
                }
                let low = pair - high * (high - 1u) / 2u;
                var sum = 0.0;
                for (var e = task % LANES; e < count; e += LANES) {
                    let t = clamp(tile[high * TILE + e] - tile[low * TILE + e], -FAR, FAR);
                    let scaled = t * ROOT_SCALE * ROOT_SCALE;
                    sum += scaled * scaled;
                }
                exponents[own] += sum;
            }
        }
    }
    let tiled = values > TILE;

    for (var own = 0u; own < OWN; own++) {
        let task = own * THREADS + thread;
        if task < PAIRS * LANES {
            weights[task] = exponents[own];
        }
    }
    workgroupBarrier();
    // One thread adds the lanes' parts of a pair, which fixes the order.
    for (var pair = thread; pair < PAIRS; pair += THREADS) {
        var exponent = 0.0;
        for (var lane = 0u; lane < LANES; lane++) {
            exponent += weights[pair * LANES + lane];
        }
        weights[pair * LANES] = select(exp(-exponent), 0.0, exponent >= CUTOFF);
    }

    // The result, in differences to particle i, so that equal particles give exactly 0.
    for (var start = 0u; start < values; start += TILE) {
        var count = min(TILE, values - start);
        if tiled {
            count = load(patch_, start, thread);
        } else {
            workgroupBarrier();
        }
        for (var k = thread; k < N * count; k += THREADS) {
            let i = k / count;
            let e = k % count;
            let own = tile[i * TILE + e];
            var sum = 0.0;
            var total = 0.0;
            for (var j = 0u; j < N; j++) {
                let w = weight(i, j);
                if w > 0.0 {
                    sum += w * (tile[j * TILE + e] - own);
                    total += w;
                }
            }
            let most = LARGEST * DOWN;
            y[place(patch_, i, start + e)] = clamp(sum / total, -most, most) / DOWN;
        }
    }
}
