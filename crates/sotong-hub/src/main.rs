//! The program `sotong`. All of it is in the library, where it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    sotong_hub::cli::main(std::env::args_os())
}
