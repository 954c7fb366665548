# Sourced by run.sh and .ci/run: finds or installs what building needs, a C compiler and Rust.
# Plain sh, so that it runs on any Linux and on macOS.

RUST_NEEDED=1.95

install_packages() {
    if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
    if command -v apt-get >/dev/null; then
        $sudo apt-get update && $sudo apt-get install -y --no-install-recommends gcc libc6-dev curl ca-certificates
    elif command -v dnf >/dev/null; then
        $sudo dnf install -y gcc curl
    elif command -v pacman >/dev/null; then
        $sudo pacman -Sy --noconfirm --needed gcc curl
    elif command -v zypper >/dev/null; then
        $sudo zypper --non-interactive install gcc curl
    elif command -v apk >/dev/null; then
        $sudo apk add gcc musl-dev curl
    else
        echo "Please install a C compiler (cc) and curl, then run this again." >&2
        return 1
    fi
}

rust_is_new_enough() {
    command -v cargo >/dev/null || return 1
    have=$(rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n%s\n' "$RUST_NEEDED" "$have" | sort -V | head -n 1)" = "$RUST_NEEDED" ]
}

if [ -f "$HOME/.cargo/env" ]; then
    . "$HOME/.cargo/env"
fi
if ! command -v cc >/dev/null; then
    install_packages
fi
if ! rust_is_new_enough; then
    echo "Rust $RUST_NEEDED or newer is needed; installing it with rustup into $HOME/.cargo" >&2
    if command -v rustup >/dev/null; then
        rustup update stable && rustup default stable
    else
        command -v curl >/dev/null || install_packages
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
        . "$HOME/.cargo/env"
    fi
fi
