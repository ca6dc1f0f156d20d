//! The command line, in three steps.
//!
//! ```text
//!   arguments ──► typed.rs: what was typed ──► settings.rs: what is meant, checked ──► run.rs: done
//!                        │                            │                                   │
//!                        └───── Failure (exit.rs): one line on stderr and an exit code ◄──┘
//! ```

mod bench;
mod compress;
mod connect;
mod exit;
mod front;
mod run;
mod settings;
mod signals;
mod tls;
mod typed;
mod way;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

pub use exit::Exit;
use exit::Failure;
use settings::Settings;
use typed::Parsed;

/// Runs the program `sotong` with these arguments, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match try_main(arguments) {
        Ok(()) => Exit::Fine.into(),
        Err(Failure { exit, line, details }) => {
            // Nobody to read it is no reason to change the exit code.
            let _ = write!(io::stderr(), "sotong: {line}\n{details}");
            exit.into()
        }
    }
}

fn try_main(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    match typed::parse(arguments)? {
        Parsed::Command(typed) => run::run(Settings::check(*typed)?),
        Parsed::Help(text) => say(&text),
    }
}

/// Writes to stdout and flushes. A reader that has gone (`sotong --help | head -1`) has what it wanted.
fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Exit::Failed.because(format_args!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
