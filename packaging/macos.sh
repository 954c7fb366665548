#!/bin/sh
# Makes dist/minkds-VERSION-macos-ARCH.zip with minkds.app in it. Run on macOS with Xcode's command line tools.
# To give it to others, set IDENTITY to a "Developer ID Application" and notarise the archive afterwards
# (xcrun notarytool submit … --wait; xcrun stapler staple dist/minkds.app). Never tried yet: see docs/packaging.md.
set -eu
cd "$(dirname "$0")/.."
. tools/prepare.sh

cargo build --release --locked --features metal
target=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
app=dist/minkds.app/Contents
rm -rf dist/minkds.app
mkdir -p "$app/MacOS" "$app/Resources"
cp "$target/release/minkds" "$app/MacOS/"
cp LICENSE-MIT LICENSE-APACHE README.md "$app/Resources/"

# All the sizes that macOS wants, from the one picture.
icons=$(mktemp -d)/minkds.iconset
mkdir "$icons"
qlmanage -t -s 1024 -o "$icons" assets/icon.svg >/dev/null
mv "$icons/icon.svg.png" "$icons/source.png"
for size in 16 32 128 256 512; do
    sips -z $size $size "$icons/source.png" --out "$icons/icon_${size}x$size.png" >/dev/null
    sips -z $((2 * size)) $((2 * size)) "$icons/source.png" --out "$icons/icon_${size}x$size@2x.png" >/dev/null
done
rm "$icons/source.png"
iconutil -c icns "$icons" -o "$app/Resources/minkds.icns"

cat > "$app/Info.plist" <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>CFBundleName</key><string>minkds</string>
    <key>CFBundleDisplayName</key><string>minkds</string>
    <key>CFBundleIdentifier</key><string>org.minkds.minkds</string>
    <key>CFBundleVersion</key><string>$version</string>
    <key>CFBundleShortVersionString</key><string>$version</string>
    <key>CFBundlePackageType</key><string>APPL</string>
    <key>CFBundleExecutable</key><string>minkds</string>
    <key>CFBundleIconFile</key><string>minkds</string>
    <key>LSMinimumSystemVersion</key><string>11.0</string>
    <key>LSApplicationCategoryType</key><string>public.app-category.photography</string>
    <key>NSHighResolutionCapable</key><true/>
    <key>CFBundleDocumentTypes</key>
    <array>
        <dict>
            <key>CFBundleTypeName</key><string>Image</string>
            <key>CFBundleTypeRole</key><string>Viewer</string>
            <key>LSHandlerRank</key><string>Alternate</string>
            <key>LSItemContentTypes</key>
            <array>
                <string>public.png</string>
                <string>public.jpeg</string>
                <string>org.webmproject.webp</string>
                <string>public.tiff</string>
                <string>com.microsoft.bmp</string>
            </array>
        </dict>
    </array>
</dict>
</plist>
PLIST
codesign --force --options runtime --sign "${IDENTITY:--}" dist/minkds.app
ditto -c -k --keepParent dist/minkds.app "dist/minkds-$version-macos-$(uname -m).zip"
echo "dist/minkds-$version-macos-$(uname -m).zip"
