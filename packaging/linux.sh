#!/bin/sh
# Makes dist/minkds-VERSION-linux-ARCH.tar.gz: the program, its man pages and completions, desktop entry and icon,
# and install.sh, which copies them to where the desktop finds them (~/.local, or /usr/local for root).
#
# The archive runs wherever glibc is at least as new as here, so run this on the oldest system that is to be
# served, for example in a container:
#
#   docker run --rm -v "$PWD:/src" -w /src debian:11 sh packaging/linux.sh
set -eu
cd "$(dirname "$0")/.."
. tools/prepare.sh

cargo build --release --locked
target=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=minkds-$version-linux-$(uname -m)
rm -rf "dist/$name"
mkdir -p "dist/$name/completions" "dist/$name/man"
cp "$target/release/minkds" README.md LICENSE-MIT LICENSE-APACHE packaging/install.sh packaging/minkds.desktop assets/icon.svg "dist/$name/"
if command -v strip >/dev/null; then strip "dist/$name/minkds"; fi
"dist/$name/minkds" man -o "dist/$name/man"
for shell in bash zsh fish; do
    "dist/$name/minkds" completions "$shell" > "dist/$name/completions/minkds.$shell"
done

# What the archive needs, by asking the program itself.
needs=$(grep -ao 'GLIBC_2\.[0-9]*' "dist/$name/minkds" | sort -uV | tail -n 1)
echo "needs $needs or newer" > "dist/$name/REQUIRES"
tar --owner=0 --group=0 -C dist -czf "dist/$name.tar.gz" "$name"
(cd dist && sha256sum "$name.tar.gz" > "$name.tar.gz.sha256")
echo "dist/$name.tar.gz ($needs)"
