#!/usr/bin/env bash
# Makes the pictures of the window, docs/images/window*.png, with the program MINKDS on a virtual screen.
#
#     bash tools/shots.sh MINKDS
#
# It needs Xvfb, xdotool, ImageMagick and Mesa's software Vulkan, and takes two minutes. Look at what it made.
set -euo pipefail
minkds=$(realpath "$1")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

Xvfb -displayfd 3 -screen 0 1360x860x24 -nolisten tcp -noreset 3>"$folder/display" 2>/dev/null &
until [ -s "$folder/display" ]; do sleep 0.2; done
export DISPLAY=:$(cat "$folder/display")
env -u WAYLAND_DISPLAY XDG_CACHE_HOME="$folder/cache" XDG_DATA_HOME="$folder/data" XDG_RUNTIME_DIR="$folder" \
    "$minkds" assets/example.png --device cpu 2>"$folder/said" &
program=$!

# Waits for a window whose title begins with these words, and prints its number.
window() {
    until xdotool search --onlyvisible --name "^$1" 2>/dev/null | tail -1 | grep .; do
        kill -0 "$program" || { cat "$folder/said" >&2; exit 1; }
        sleep 0.5
    done
}
press() {
    xdotool windowfocus "$window" key --window "$window" "$1"
}
# The program draws with what the processor leaves it: a while.
shoot() {
    xdotool mousemove 500 780
    sleep 20
    import -window root -define png:exclude-chunks=date,time "docs/images/$1.png"
}

window=$(window "example.png")
sleep 15
press ctrl+Return
window "example.png, enlarged" >/dev/null
press 2
sleep 20
shoot window-vanilla
press 1
shoot window
