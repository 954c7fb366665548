#!/bin/sh
# Tries everything on the graphics card of this machine, and writes what comes out into one Markdown
# file: adapters, the doctor's report, the tests, and the timings beside PyTorch on the same card.
#   sh tools/gpu.sh [RESULT.md]          (about an hour with the builds; needs Python 3 with venv)
# What fails is written down too, and does not stop the rest.
set -u
project=$(cd "$(dirname "$0")/.." && pwd)
cd "$project" || exit 1
result=$(realpath "${1:-performance.md}")
. "$project/tools/prepare.sh"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/minkds-target}"
venv="${MINKDS_VENV:-$HOME/.cache/minkds-gpu-venv}"
device="${MINKDS_DEVICE:-gpu}"
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" && "$venv/bin/pip" install -q -r tools/requirements.txt
fi

# A heading, then what a command prints and how it ends.
part() {
    title=$1
    shift
    echo "== $title" >&2
    { echo "## $title"; echo; } >>"$result"
    "$@" >>"$result" 2>"$result.errors"
    code=$?
    if [ $code != 0 ]; then
        { echo "exit code $code"; tail -n 20 "$result.errors" | sed 's/^/    /'; } >>"$result"
    fi
    rm -f "$result.errors"
    echo >>"$result"
}
quoted() { "$@" | sed 's/^/    /'; }
minkds() { "$CARGO_TARGET_DIR/release/minkds" "$@"; }
tests() { MINKDS_REQUIRE_GPU=1 cargo test --release --locked --test gpu 2>&1 | grep '^test ' | sed 's/^/    /'; }
bench() { "$venv/bin/python" tools/bench.py --device "$device" "$@"; }

echo "# On a graphics card, $(date -u +%Y-%m-%d), $(git rev-parse --short HEAD 2>/dev/null)" >"$result"
echo >>"$result"
part "Build" cargo build --release --locked
part "Adapters" quoted minkds devices
part "Doctor" quoted minkds doctor --software -o "$result.doctor.json"
part "Tests" tests
for precision in f32 f16; do
    part "WGSL, $precision" bench --precision "$precision" --batch 10
    part "WGSL, $precision, a whole run" bench --precision "$precision" --whole
done
case $(uname) in Darwin) feature=metal ;; *) feature=vulkan ;; esac
for precision in f32 f16; do
    part "$feature, $precision" bench --features $feature --precision "$precision" --batch 10
    part "$feature, $precision, a whole run" bench --features $feature --precision "$precision" --whole
done
if [ $feature = vulkan ]; then
    device=cuda:0
    for precision in f32 f16; do
        part "CUDA, $precision" bench --features cuda --precision "$precision" --batch 10
        part "CUDA, $precision, a whole run" bench --features cuda --precision "$precision" --whole
    done
fi
cargo build --release --locked --quiet
echo "written to $result" >&2
