//! The benchmark harness: what an echoed message costs a server in CPU time, and what an idle connection costs it in
//! memory, always beside a floor that was measured in the same run.
//!
//! ```text
//!   run / memory ──starts──▶ server::Server (raw, sotong echo, peers) ──CPU time, memory──▶ process
//!        │
//!        └──drives──▶ load ──▶ connection ──▶ echo_reader ──▶ frame
//! ```
//!
//! `README.md` in this folder says what each figure is.
#![allow(clippy::print_stdout, reason = "a tool: its tables are its output")]

mod arguments;
mod cell;
mod codec;
mod connection;
mod connects;
mod cores;
mod deflate;
mod dialer;
mod echo_reader;
mod failure;
mod fan_out;
mod fan_out_memory;
mod fan_out_server;
mod flight;
mod frame;
mod handshake;
mod load;
mod machine;
mod memory;
mod one_way;
mod one_way_load;
mod one_way_server;
mod page;
mod plot;
mod process;
mod raw;
mod recipe;
mod run;
mod server;
mod settings;
mod spread;
mod threads;
mod tls;

use std::process::ExitCode;

use settings::Command;

/// As the binary `sotong` has it. Servers of others have what Rust has by default, as in their examples: with mimalloc all of
/// them took more for large messages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 0: fine. 1: failed while running. 2: wrong command line.
fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(arguments::Stop::Help(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(arguments::Stop::Wrong(line)) => {
            eprintln!("sotong-bench: {line}");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Raw(settings) => raw::run(&settings),
        Command::Load(settings) => load::print(&settings),
        Command::Run(settings) => run::run(&settings),
        Command::Memory(settings) => memory::run(&settings),
        Command::Codec(settings) => codec::run(&settings),
        Command::Connects(settings) => connects::run(&settings),
        Command::Threads(settings) => threads::run(&settings),
        Command::FanOut(settings) => fan_out::run(&settings),
        Command::FanOutMemory(settings) => fan_out_memory::run(&settings),
        Command::OneWay(settings) => one_way::run(&settings),
        Command::OneWayServer(settings) => one_way_server::run(&settings),
        Command::FanOutServer(settings) => fan_out_server::run(&settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sotong-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
