#!/usr/bin/env bash
# Proves that the core's clippy.toml refuses what it bans: core_bans.sh SCRATCH_FOLDER
#
# Clippy says nothing when it finds no clippy.toml, or a wrong path in it. So a scratch crate with the core's own
# clippy.toml and one offence per line is checked, and clippy has to name every single line.

set -euo pipefail
scratch="$1"
core="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../crates/sotong-proto" && pwd)"

mkdir -p "$scratch/src"
cp "$core/clippy.toml" "$scratch/clippy.toml"
cat >"$scratch/Cargo.toml" <<'TOML'
[package]
name = "core-bans"
version = "0.0.0"
edition = "2024"

[workspace]
TOML

offences=(
    'pub fn sockets(_: &std::net::TcpStream) {}'
    'pub fn listeners(_: &std::net::TcpListener) {}'
    'pub fn datagrams(_: &std::net::UdpSocket) {}'
    'pub fn unix(_: &std::os::unix::net::UnixStream) {}'
    'pub fn addresses(_: &dyn std::net::ToSocketAddrs<Iter = std::vec::IntoIter<std::net::SocketAddr>>) {}'
    'pub fn reads(_: &dyn std::io::Read) {}'
    'pub fn writes(_: &dyn std::io::Write) {}'
    'pub fn generic_reads<T: std::io::Read>(_: T) {}'
    'pub fn files(_: &std::fs::File) {}'
    'pub fn reads_files() { let _ = std::fs::read("x"); }'
    'pub fn instants(_: std::time::Instant) {}'
    'pub fn clocks() { let _ = std::time::Instant::now(); }'
    'pub fn wall_clocks() { let _ = std::time::SystemTime::now(); }'
    'pub fn threads() { std::thread::spawn(|| ()); }'
    'pub fn sleeps() { std::thread::sleep(std::time::Duration::ZERO); }'
    'pub fn environment() { let _ = std::env::var("X"); }'
    'pub fn randomness(_: &std::collections::hash_map::RandomState) {}'
    'pub fn processes(_: &std::process::Command) {}'
)
{ echo '//! One offence per line.'; printf '%s\n' "${offences[@]}"; } >"$scratch/src/lib.rs"

report="$scratch/clippy.txt"
if CARGO_TARGET_DIR="$scratch/target" cargo clippy --offline --manifest-path "$scratch/Cargo.toml" -- -D warnings >"$report" 2>&1; then
    echo "clippy accepted a crate full of what crates/sotong-proto/clippy.toml bans"
    exit 1
fi
missed=0
for index in "${!offences[@]}"; do
    line=$((index + 2))
    if ! grep -q "src/lib.rs:$line:" "$report"; then
        echo "not banned by crates/sotong-proto/clippy.toml: ${offences[$index]}"
        missed=1
    fi
done
# Another complaint than the ban (a type error, say) must not pass for one.
if grep '^error' "$report" | grep -vE 'use of a disallowed (type|method|macro)|could not compile'; then
    echo "clippy stopped for another reason; see $report"
    missed=1
fi
[ "$missed" -eq 0 ] || exit 1
echo "the core's clippy.toml refuses all ${#offences[@]} offences"
