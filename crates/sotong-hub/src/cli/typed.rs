//! What was typed: words, not yet checked.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::bench::{self, Bench};
use super::compress::Compress;
use super::connect::{self, Connect};
use super::exit::{Exit, Failure};
use super::front::Front;
use super::tls::Tls;

/// A realtime server that any browser page talks to with `new WebSocket(url)`.
#[derive(Debug, Parser)]
#[command(name = "sotong", version, subcommand_required = true, disable_help_subcommand = true)]
pub(super) struct Typed {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves live pages and the WebSocket behind them, on one port
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<Serve>),
    /// Answers each message with itself: a target for tests and measurements
    #[command(after_help = ECHO_EXAMPLES)]
    Echo(Box<Echo>),
    /// Talks to any WebSocket server, by hand or in a script
    #[command(after_help = connect::EXAMPLES)]
    Connect(Box<Connect>),
    /// Loads any WebSocket server and tells its throughput and latency
    #[command(after_help = bench::EXAMPLES)]
    Bench(Box<Bench>),
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen: an IP address and a port; may be given more than once
    ///
    /// IPv6 addresses stand in brackets: [::1]:8000. Port 0 lets the system
    /// choose a free one, which is then printed. Ports below 1024 need a
    /// right that ordinary users do not have.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8000", verbatim_doc_comment)]
    pub(super) listen: Vec<String>,
    /// A website whose pages may connect, too; may be given more than once
    ///
    /// As a browser writes it: https://example.com, with a port if it is not
    /// the usual one. No wildcards.
    #[arg(long, value_name = "ORIGIN", verbatim_doc_comment)]
    pub(super) allow_origin: Vec<String>,
    /// A name that browsers know this server by; may be given more than once
    ///
    /// Needed when the pages are opened by a name of your own, such as
    /// chat.example.com. Localhost and IP addresses are known. Other names
    /// are refused, because a hostile page can make its own name point to
    /// this machine (DNS rebinding).
    #[arg(long, value_name = "HOST", verbatim_doc_comment)]
    pub(super) allow_host: Vec<String>,
    #[command(flatten)]
    pub(super) tls: Tls,
    #[command(flatten)]
    pub(super) front: Front,
    #[command(flatten)]
    pub(super) compress: Compress,
    /// How often the page /ticker is asked to confirm an order, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "15", allow_negative_numbers = true)]
    pub(super) ask_interval: String,
    /// How many threads serve connections
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true)]
    pub(super) threads: String,
    /// What to log on stderr: LEVEL, or TARGET=LEVEL, with commas between
    ///
    /// Levels: off, error, warn, info, debug, trace. Targets: sotong
    /// (connections), sotong_hub (sessions), hyper (pages).
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "warn,sotong_hub=info,sotong::tls=info",
        verbatim_doc_comment
    )]
    pub(super) log: String,
}

#[derive(Debug, Args)]
pub(super) struct Echo {
    /// Where to listen: an IP address and a port; may be given more than once
    ///
    /// IPv6 addresses stand in brackets: [::1]:9001. Port 0 lets the system
    /// choose a free one, which is then printed.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9001", verbatim_doc_comment)]
    pub(super) listen: Vec<String>,
    #[command(flatten)]
    pub(super) tls: Tls,
    /// How many threads serve connections
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true)]
    pub(super) threads: String,
    /// Which form of the library answers
    ///
    /// event: a value whose methods are called. pull: a task with a loop.
    #[arg(long, value_name = "event|pull", default_value = "event")]
    pub(super) style: String,
    #[command(flatten)]
    pub(super) compress: Compress,
    /// The largest message that is answered; a larger one ends with 1009
    ///
    /// The default of 64 MiB is far above what a server should take from
    /// strangers (the library's own default is 1 MiB). It lets the largest
    /// messages of the Autobahn test suite through, which have 16 MiB.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "67108864",
        allow_negative_numbers = true,
        verbatim_doc_comment
    )]
    pub(super) message_bytes_max: String,
    /// What to log on stderr: LEVEL, or TARGET=LEVEL, with commas between
    #[arg(long, value_name = "FILTER", default_value = "warn,sotong_hub=info,sotong::tls=info")]
    pub(super) log: String,
}

const EXAMPLES: &str = "\
Examples:
  sotong serve                       pages and chat at http://127.0.0.1:8000/
  sotong echo --listen 127.0.0.1:0   an echo server on a free port
  sotong connect ws://127.0.0.1:9001 a client: lines in, messages out
  sotong bench ws://127.0.0.1:9001   loads a server: throughput, latency
  sotong serve --help                all options of serve

In a page, nothing is needed but the browser's own object:
  const socket = new WebSocket(\"ws://127.0.0.1:8000/ws?sub=chat:lobby\");
  socket.addEventListener(\"message\", (event) => console.log(event.data));
";

const SERVE_EXAMPLES: &str = "\
Examples:
  sotong serve
      for this machine only: open http://127.0.0.1:8000/
  sotong serve --listen 0.0.0.0:8000 --allow-host chat.example.com
      for everybody in the network, by address or by that name
  sotong serve --listen 127.0.0.1:8000 --listen '[::1]:8000' --threads 4
      IPv4 and IPv6, on four threads
  sotong serve --listen 0.0.0.0:443 --allow-host chat.example.com \\
      --tls-cert fullchain.pem --tls-key privkey.pem
      open https://chat.example.com/
  sotong serve --allow-origin https://example.com
      pages of that site may connect, too
  sotong serve --trusted-proxy 127.0.0.1 --public-origin https://example.com
      behind nginx or haproxy on the same machine, which ends TLS
  sotong serve --log debug
      shows what happens to each connection

Ctrl-C stops accepting, tells every page to come back later, and ends;
pressed again, it ends at once.";

const ECHO_EXAMPLES: &str = "\
Examples:
  sotong echo
      answers at ws://127.0.0.1:9001, on any path
  sotong echo --listen 127.0.0.1:0 --style pull --threads 2
      on a free port; by the pull form of the library; on two threads
  sotong echo --compress=windowed --compress-window-bits 9
      compressed; a message may refer to the 512 bytes before it
  sotong echo --tls-self-signed
      answers at wss://127.0.0.1:9001, with a certificate for tests";

/// What came of reading the arguments.
pub(super) enum Parsed {
    /// Something to do.
    Command(Box<Typed>),
    /// `--help` or `--version`: a text for stdout.
    Help(String),
}

/// Reads the arguments.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    let command = Typed::command().after_help(after_help());
    let typed = command.try_get_matches_from(arguments).and_then(|matches| Typed::from_arg_matches(&matches));
    match typed {
        Ok(typed) => Ok(Parsed::Command(Box::new(typed))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Parsed::Help(error.render().to_string()))
        }
        Err(error) => Err(Exit::Usage.because(line(&error))),
    }
}

fn after_help() -> String {
    let codes: Vec<String> =
        Exit::ALL.iter().map(|(exit, meaning)| format!("  {:<3}  {meaning}", exit.code())).collect();
    format!("{EXAMPLES}\nExit codes:\n{}", codes.join("\n"))
}

/// One line for what clap tells in five.
fn line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let suggestion =
        |kind| context(kind).map_or(String::new(), |suggested| format!("; did you mean '{suggested}'?"));
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let seen = context(ContextKind::InvalidArg).unwrap_or_default();
            let what = if seen.starts_with('-') { "unknown option" } else { "unexpected argument" };
            let suggested = match owner(seen) {
                Some(command) => format!("; it belongs behind 'sotong {command}'"),
                None => Some(suggestion(ContextKind::SuggestedArg))
                    .filter(|suggested| !suggested.is_empty())
                    .unwrap_or_else(|| "; --help lists all options".to_owned()),
            };
            format!("{what} '{seen}'{suggested}")
        }
        ErrorKind::InvalidSubcommand => {
            let seen = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            let suggested = suggestion(ContextKind::SuggestedSubcommand);
            let suggested = if suggested.is_empty() {
                "; there are serve, echo, connect and bench: see 'sotong --help'".to_owned()
            } else {
                suggested
            };
            format!("unknown command '{seen}'{suggested}")
        }
        ErrorKind::MissingRequiredArgument => match context(ContextKind::InvalidArg) {
            Some("<URL>") => "the URL is missing, as in 'sotong connect ws://127.0.0.1:9001'".to_owned(),
            missing => format!("{} is missing", missing.unwrap_or("an argument")),
        },
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "what shall it do? Try 'sotong serve', or 'sotong --help'".to_owned()
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

/// The command that has this option: somebody gave it to another one, or forgot the command.
fn owner(option: &str) -> Option<String> {
    let long = option.strip_prefix("--")?;
    let program = Typed::command();
    let has = |command: &&clap::Command| command.get_arguments().any(|each| each.get_long() == Some(long));
    program.get_subcommands().find(has).map(|command| command.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_definitions() {
        Typed::command().debug_assert();
    }

    /// clap does not break lines, and a terminal breaks them inside words.
    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        for arguments in [
            &["--help"][..],
            &["serve", "--help"],
            &["echo", "--help"],
            &["connect", "--help"],
            &["bench", "--help"],
        ] {
            let arguments = ["sotong"].iter().chain(arguments).map(OsString::from);
            let Ok(Parsed::Help(help)) = parse(arguments) else { panic!("no help") };
            for line in help.lines().filter(|line| !line.trim_start().starts_with("const socket")) {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }

    #[test]
    fn help_lists_every_exit_code() {
        let help = after_help();
        for (exit, meaning) in Exit::ALL {
            assert!(help.contains(&format!("\n  {:<3}  {meaning}", exit.code())), "{exit:?}");
        }
    }
}
