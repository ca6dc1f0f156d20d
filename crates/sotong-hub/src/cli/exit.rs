//! Exit codes, and failures that lead to them.

use std::fmt;
use std::process::ExitCode;

/// How the program ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked; also after SIGINT and SIGTERM, when all connections were closed.
    Fine = 0,
    /// It failed while running.
    Failed = 1,
    /// The command line is wrong; nothing was started.
    Usage = 2,
    /// An address cannot be listened on; nothing was started.
    Address = 3,
    /// A second SIGINT or SIGTERM ended it before all connections were closed.
    Interrupted = 130,
}

impl Exit {
    /// All of them, with what `--help` says about each.
    pub const ALL: [(Exit, &'static str); 5] = [
        (Exit::Fine, "fine; also after SIGINT (Ctrl-C) and SIGTERM, all connections closed"),
        (Exit::Failed, "failed while running"),
        (Exit::Usage, "wrong command line"),
        (Exit::Address, "cannot listen there: in use, not permitted, not of this machine"),
        (Exit::Interrupted, "a second SIGINT or SIGTERM ended it at once"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// A failure with this exit code.
    pub(super) fn because(self, line: impl fmt::Display) -> Failure {
        // One line, whatever was typed.
        let line = line.to_string().chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
        Failure { exit: self, line }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why the program ends: one line for people, one number for programs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) line: String,
}
