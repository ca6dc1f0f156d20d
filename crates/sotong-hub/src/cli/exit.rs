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
    /// `connect`, `bench`: there is no connection: no such host, nobody listens, no TLS, too slow.
    Unreachable = 4,
    /// `connect`, `bench`: the server refused the handshake, or answered it wrongly.
    Refused = 5,
    /// `connect`: the connection ended with a code that tells of a fault, or without a Close.
    Abnormal = 6,
    /// `bench`: a limit of this machine would stop it; nothing was started.
    Limit = 7,
    /// A second SIGINT or SIGTERM ended it before all connections were closed.
    Interrupted = 130,
}

impl Exit {
    /// All of them, with what `--help` says about each.
    pub const ALL: [(Exit, &'static str); 9] = [
        (Exit::Fine, "fine; also after SIGINT (Ctrl-C) and SIGTERM, all connections closed"),
        (Exit::Failed, "failed while running"),
        (Exit::Usage, "wrong command line"),
        (Exit::Address, "cannot listen there: in use, not permitted, not of this machine"),
        (Exit::Unreachable, "connect, bench: no connection: name, TCP, TLS, or too slow"),
        (Exit::Refused, "connect, bench: the server refused the handshake, or answered it wrongly"),
        (Exit::Abnormal, "connect: closed with a code that tells of a fault, or not closed"),
        (Exit::Limit, "bench: a limit of this machine would stop it: open files, ports"),
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
        Failure { exit: self, line, details: String::new() }
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
    /// What belongs to that line, in lines of its own; usually nothing.
    pub(super) details: String,
}

impl Failure {
    pub(super) fn with_details(mut self, details: String) -> Failure {
        self.details = details;
        self
    }
}
