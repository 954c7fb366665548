# Makes dist\minkds-VERSION-windows-x86_64.zip. Run on Windows with Rust (MSVC) and the C++ build tools.
# The C runtime is linked in, so that nothing needs to be installed beside it. Never tried yet: see docs/packaging.md.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")

$env:RUSTFLAGS = "-C target-feature=+crt-static"
cargo build --release --locked
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }

$target = if ($env:CARGO_TARGET_DIR) { $env:CARGO_TARGET_DIR } else { "target" }
$version = (Select-String -Path Cargo.toml -Pattern '^version = "(.*)"').Matches[0].Groups[1].Value
$name = "minkds-$version-windows-x86_64"
Remove-Item -Recurse -Force "dist\$name" -ErrorAction SilentlyContinue
New-Item -ItemType Directory -Force "dist\$name" | Out-Null
Copy-Item "$target\release\minkds.exe", README.md, LICENSE-MIT, LICENSE-APACHE "dist\$name"
& "dist\$name\minkds.exe" completions powershell | Out-File -Encoding utf8 "dist\$name\minkds.ps1"
Compress-Archive -Force "dist\$name" "dist\$name.zip"
Write-Output "dist\$name.zip"
