//! What is meant: checked, and in the form that the program uses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sotong::Compression;
use sotong::handshake::OriginPolicy;
use sotong::tls::ServerTls;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::exit::{Exit, Failure};
use super::typed::{self, Typed};
use crate::core::Limits;
use crate::serve;

/// More threads than any machine has cores are a slip of the finger.
const THREADS_MAX: usize = 1024;
/// The longest time between two orders, in seconds: a day.
const ASK_INTERVAL_SECONDS_MAX: u64 = 86_400;
/// A message of more than 1 GiB does not fit into the memory of most machines, twice over as it may have to.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// A command that can be carried out.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) command: Command,
    pub(super) log: Targets,
}

#[derive(Debug)]
pub(super) enum Command {
    Serve(Box<serve::Settings>),
    Echo(Echo),
    Connect(Box<crate::connect::Settings>),
    Bench(Box<crate::bench::Settings>),
}

#[derive(Debug)]
pub(super) struct Echo {
    pub(super) listen: Vec<SocketAddr>,
    pub(super) tls: Option<ServerTls>,
    /// 0 for the main thread.
    pub(super) threads: usize,
    pub(super) style: Style,
    pub(super) compression: Option<Compression>,
    pub(super) message_bytes_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Event,
    Pull,
}

impl Settings {
    pub(super) fn check(typed: Typed) -> Result<Settings, Failure> {
        let (log, command) = match typed.command {
            typed::Command::Serve(serve) => {
                let listen = addresses(&serve.listen)?;
                let (front, origins) = serve.front.check(origins(&serve.allow_origin, &serve.allow_host)?)?;
                let settings = serve::Settings {
                    tls: serve.tls.check(&listen, &serve.allow_host)?,
                    listen,
                    origins,
                    front,
                    compression: serve.compress.check()?,
                    threads: threads(&serve.threads)?,
                    limits: Limits::default(),
                    ask_interval: ask_interval(&serve.ask_interval)?,
                };
                (serve.log, Command::Serve(Box::new(settings)))
            }
            typed::Command::Echo(echo) => {
                let listen = addresses(&echo.listen)?;
                let settings = Echo {
                    tls: echo.tls.check(&listen, &[])?,
                    listen,
                    threads: threads(&echo.threads)?,
                    style: style(&echo.style)?,
                    compression: echo.compress.check()?,
                    message_bytes_max: message_bytes_max(&echo.message_bytes_max)?,
                };
                (echo.log, Command::Echo(settings))
            }
            typed::Command::Connect(connect) => {
                (connect.log.clone(), Command::Connect(Box::new(super::connect::check(*connect)?)))
            }
            typed::Command::Bench(bench) => {
                (bench.log.clone(), Command::Bench(Box::new(super::bench::check(*bench)?)))
            }
        };
        Ok(Settings { command, log: filter(&log)? })
    }
}

pub(super) fn wrong(option: &str, seen: &str, why: impl std::fmt::Display) -> Failure {
    Exit::Usage.because(format_args!("{option} '{seen}': {why}"))
}

fn addresses(typed: &[String]) -> Result<Vec<SocketAddr>, Failure> {
    typed.iter().map(|each| address(each).map_err(|why| wrong("--listen", each, why))).collect()
}

pub(super) fn address(typed: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = typed.parse() {
        return Ok(address);
    }
    // It is none; find the best words for why.
    let example = "an IP address and a port are wanted, such as 127.0.0.1:8000 or [::1]:8000";
    if let Ok(address) = typed.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Err(match address {
            IpAddr::V4(_) => format!("the port is missing, as in {typed}:8000"),
            IpAddr::V6(address) => format!("the port is missing, as in [{address}]:8000"),
        });
    }
    let Some((host, port)) = typed.rsplit_once(':') else { return Err(format!("not an address; {example}")) };
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        if port.parse::<u16>().is_err() {
            return Err(format!("port {port} is above 65535"));
        }
        if host == "localhost" {
            return Err(format!(
                "a name can stand for several addresses; write 127.0.0.1:{port}, or [::1]:{port}"
            ));
        }
    }
    Err(format!("not an address; {example}"))
}

fn origins(allowed: &[String], hosts: &[String]) -> Result<OriginPolicy, Failure> {
    let mut policy = OriginPolicy::default();
    for origin in allowed {
        policy = policy
            .with_allowed_origin(origin)
            .map_err(|error| Exit::Usage.because(format_args!("--allow-origin: {error}")))?;
    }
    for host in hosts {
        policy = policy
            .with_allowed_host(host)
            .map_err(|error| Exit::Usage.because(format_args!("--allow-host: {error}")))?;
    }
    Ok(policy)
}

fn ask_interval(typed: &str) -> Result<Duration, Failure> {
    match typed.parse() {
        Ok(seconds) if (1..=ASK_INTERVAL_SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => {
            let wanted = format_args!("a number of seconds from 1 to {ASK_INTERVAL_SECONDS_MAX} is wanted")
                .to_string();
            Err(wrong("--ask-interval", typed, wanted))
        }
    }
}

fn threads(typed: &str) -> Result<usize, Failure> {
    match typed.parse() {
        // One thread: the main one does it, and needs no other beside it.
        Ok(1) => Ok(0),
        Ok(count) if (2..=THREADS_MAX).contains(&count) => Ok(count),
        _ => Err(wrong("--threads", typed, format_args!("a number from 1 to {THREADS_MAX} is wanted"))),
    }
}

fn style(typed: &str) -> Result<Style, Failure> {
    match typed {
        "event" => Ok(Style::Event),
        "pull" => Ok(Style::Pull),
        _ => Err(wrong("--style", typed, "it is either event or pull")),
    }
}

pub(super) fn message_bytes_max(typed: &str) -> Result<u64, Failure> {
    match typed.parse() {
        Ok(bytes) if (1..=MESSAGE_BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => {
            let wanted =
                format_args!("a number of bytes from 1 to {MESSAGE_BYTES_MAX} is wanted").to_string();
            Err(wrong("--message-bytes-max", typed, wanted))
        }
    }
}

fn filter(typed: &str) -> Result<Targets, Failure> {
    // A lone word that is no level would be taken for a target, and its messages be all that is logged.
    let is_clear =
        |part: &str| part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok());
    match typed.parse() {
        Ok(targets) if typed.split(',').all(is_clear) => Ok(targets),
        _ => Err(wrong(
            "--log",
            typed,
            "a level (off, error, warn, info, debug, trace) or target=level is wanted, with commas",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        for typed in ["127.0.0.1:0", "0.0.0.0:65535", "[::1]:8000", "[::]:0", "[fe80::1%2]:80"] {
            assert_eq!(address(typed).map(|address| address.to_string()), Ok(typed.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (typed, why) in [
            ("", "not an address"),
            ("here", "not an address"),
            (":8000", "not an address"),
            ("8000", "not an address"),
            ("256.0.0.1:80", "not an address"),
            ("127.0.0.1:", "not an address"),
            ("127.0.0.1:-1", "not an address"),
            ("127.0.0.1:http", "not an address"),
            ("example.com:80", "not an address"),
            ("http://127.0.0.1:80", "not an address"),
            ("127.0.0.1:65536", "port 65536 is above 65535"),
            ("127.0.0.1:99999999999999999999", "is above 65535"),
            ("[::1]:70000", "port 70000 is above 65535"),
            ("127.0.0.1", "the port is missing, as in 127.0.0.1:8000"),
            ("::1", "the port is missing, as in [::1]:8000"),
            ("[::1]", "the port is missing, as in [::1]:8000"),
            ("localhost:80", "write 127.0.0.1:80, or [::1]:80"),
        ] {
            let error = address(typed).expect_err(typed);
            assert!(error.contains(why), "{typed}: {error}");
        }
    }

    #[test]
    fn numbers_at_their_limits_and_one_past_them() {
        for (typed, expected) in
            [("1", Some(0)), ("2", Some(2)), ("1024", Some(1024)), ("0", None), ("1025", None)]
        {
            assert_eq!(threads(typed).ok(), expected, "{typed}");
        }
        for (typed, expected) in
            [("1", Some(1)), ("1073741824", Some(1 << 30)), ("0", None), ("1073741825", None)]
        {
            assert_eq!(message_bytes_max(typed).ok(), expected, "{typed}");
        }
        for typed in ["", "-1", "1.5", "1k", "99999999999999999999999"] {
            assert!(threads(typed).is_err() && message_bytes_max(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_filter_has_levels() {
        for typed in ["off", "warn,sotong_hub=info", "sotong=debug", "TRACE"] {
            assert!(filter(typed).is_ok(), "{typed}");
        }
        for typed in ["", "loud", "sotong", "sotong=loud", "warn,", "warn,verbose"] {
            assert!(filter(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn origins_and_hosts_are_checked_at_once() {
        let one = |text: &str| [text.to_owned()];
        assert!(origins(&one("https://example.com"), &one("chat.example.com")).is_ok());
        assert!(origins(&one("http://localhost:3000"), &[]).is_ok());
        for origin in
            ["example.com", "*", "https://*.example.com", "https://example.com/path", "https://", ""]
        {
            let error = origins(&one(origin), &[]).expect_err(origin);
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.line.starts_with("--allow-origin"), "{}", error.line);
        }
        for host in ["https://example.com", "a b", "", "example.com/x"] {
            let error = origins(&[], &one(host)).expect_err(host);
            assert!(error.line.starts_with("--allow-host"), "{}", error.line);
        }
    }
}
