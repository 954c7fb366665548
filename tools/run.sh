#!/bin/sh
# Builds minkds, with whatever that needs, and runs it with the given words:
#   sh tools/run.sh --no-gui photo.jpg
set -eu
project=$(cd "$(dirname "$0")/.." && pwd)
. "$project/tools/prepare.sh"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/minkds-target}"
cargo build --release --locked --manifest-path "$project/Cargo.toml"
exec "$CARGO_TARGET_DIR/release/minkds" "$@"
