#!/usr/bin/env bash
# After a change of assets/model: makes again whatever shows the bundled model or compares with it.
#
#     bash tools/renew.sh HR LR SECOND V0 OUT
#
# HR and LR hold the validation photographs and their small versions, SECOND what `python tools/train pictures` gathers,
# V0 the first bundled model, OUT receives what is measured on the way. Programs needed are the README's for tests;
# `python3` needs the packages of tools/train, tifffile, and those that `tools/train validate` names for Real-ESRGAN.
#
# By hand remain: words and numbers in assets/model/README.md, README.md and docs/settings.md (the sweep's table is
# printed), the window's pictures in docs/images, and looking at all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
hr=$1 lr=$2 second=$3 v0=$4 out=$5
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/minkds-target}"
mkdir -p "$out"
# What tables call the model: the last word of its name.
name=$(python3 -c 'import json; print(json.load(open("assets/model/minkds.json"))["name"].split()[-1])')

cargo build --release --locked
# Another build must not change the program while it is measured.
minkds="$out/minkds"
cp "$CARGO_TARGET_DIR/release/minkds" "$minkds"

draw() { "$minkds" --no-gui --quiet assets/example.png --device cpu --on-conflict overwrite "$@"; }
draw -o assets/example_x4.png
draw -o "$out/vanilla.png" --vanilla
python3 tools/figures.py comparison assets/example.png "$out/vanilla.png" assets/example_x4.png docs/images/comparison.png --crop 16 0 384
python3 tools/fixtures.py bundled

# What v0 recommended in its time.
old="--color-fix consistency --steps 6"
judge() {
    local folder=$1
    shift
    python3 tools/train validate --program "$minkds" --model "v0=$v0" --arguments "v0=$old" \
        --model "$name=assets/model" --out "$out/$folder" "$@"
}
told=(--model "$name --clean=assets/model" --arguments "$name --clean=--clean")
card=(--card assets/model/README.md --block)
judge clean --pictures "$hr" "${told[@]}" --real-esrgan "${card[@]}" "clean"
old="--color-fix consistency" judge clean-15 --pictures "$hr" "${told[@]}" --steps 15 "${card[@]}" "clean 15"
judge second --pictures "$second" "${told[@]}" --real-esrgan "${card[@]}" "clean second"
judge degraded --pictures "$hr" --degraded --crop 256 --real-esrgan "${card[@]}" "degraded"
judge degraded-second --pictures "$second" --degraded --crop 256 --real-esrgan "${card[@]}" "degraded second"

mkdir -p "$out/twelve"
for stem in colorful-wall dragonfly-on-lavender kitten-on-lawn oakland-zoo-otters roman-colosseum tea-gardens \
    scikit-image-{astronaut,brick,chelsea,coffee,rocket} scipy-face; do
    for folder in "$hr" "$second"; do
        [ ! -e "$folder/$stem.png" ] || cp "$folder/$stem.png" "$out/twelve"
    done
done
judge crops --pictures "$out/twelve" "${told[@]}" --real-esrgan --sheet
python3 -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).save("docs/images/crops.webp", quality=92)' "$out/crops/sheet.png"

python3 tools/sweep.py --binary "$minkds" --lr "$lr" --hr "$hr" --crop 32 --out "$out/sweep.csv" | tee "$out/sweep.txt"

UPDATE_SNAPSHOTS=force cargo test --release --locked --test window looks -- --test-threads=1
find tests/snapshots -name '*.old.png' -o -name '*.diff.png' | xargs rm -f
git status --short
