//! The program `sotong`. All of it is in the library, where it can be tested.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Connections are many small blocks with an alignment of 128 bytes, around which glibc leaves gaps; and when they
/// are gone, their memory goes back to the system (`dev/bench`, `memory`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sotong_hub::cli::main(std::env::args_os())
}
