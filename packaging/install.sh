#!/bin/sh
# Copies the program and what belongs to it to PREFIX (~/.local, or /usr/local for root); ./install.sh --remove
# takes it away again.
set -eu
cd "$(dirname "$0")"
if [ "$(id -u)" = 0 ]; then usual=/usr/local; else usual=$HOME/.local; fi
prefix=${PREFIX:-$usual}
share=$prefix/share

each() {
    "$1" minkds "$prefix/bin/minkds" 755
    for page in man/*.1; do "$1" "$page" "$share/man/man1/$(basename "$page")" 644; done
    "$1" completions/minkds.bash "$share/bash-completion/completions/minkds" 644
    "$1" completions/minkds.zsh "$share/zsh/site-functions/_minkds" 644
    "$1" completions/minkds.fish "$share/fish/vendor_completions.d/minkds.fish" 644
    "$1" minkds.desktop "$share/applications/minkds.desktop" 644
    "$1" icon.svg "$share/icons/hicolor/scalable/apps/minkds.svg" 644
}
put() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2" && chmod "$3" "$2"
}
take() { rm -f "$2"; }

if [ "${1:-}" = --remove ]; then
    each take
    echo "removed from $prefix"
else
    each put
    echo "installed to $prefix"
    case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "add $prefix/bin to PATH to call it as minkds" ;; esac
fi
if command -v update-desktop-database >/dev/null; then
    update-desktop-database "$share/applications" 2>/dev/null || true
fi
