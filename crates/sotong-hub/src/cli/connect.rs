//! `sotong connect`: what was typed, what is meant, and what its end means for the exit code.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sotong::CloseCode;
use tokio::sync::mpsc;

use super::compress::Compress;
use super::exit::{Exit, Failure};
use super::settings::{message_bytes_max, wrong};
use super::signals::Signals;
use super::way::Way;
use crate::connect::{self, Cut, Detail, Kind, Linger, Trouble, TroubleKind, Trust};

/// What a control frame has room for, behind the code (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;
/// More seconds than anybody waits: a day.
const SECONDS_MAX: f64 = 86_400.0;

#[derive(Debug, Args)]
pub(super) struct Connect {
    /// Where to: ws://HOST[:PORT][/PATH], or wss:// for TLS
    #[arg(value_name = "URL")]
    url: String,
    /// A header of the request, 'Name: value'; may be given more than once
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// A sub-protocol to offer, the best first; may be given more than once
    #[arg(long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Pretends to be a page of this site (the header Origin)
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Sends a ping so often, and shows how long its pong takes
    #[arg(long, value_name = "SECS", allow_negative_numbers = true)]
    ping_interval: Option<String>,
    /// Sends lines as binary messages instead of text
    #[arg(long)]
    binary: bool,
    /// Sends all of stdin as one message instead of one for each line
    #[arg(long)]
    whole: bool,
    /// How long to listen after the end of stdin, or 'forever'
    ///
    /// Without it a Close is sent at the end of stdin, and what the server
    /// sends until its own Close is still shown. That is enough for a server
    /// that answers in order. One that thinks first, or that speaks unasked,
    /// needs the time. At a terminal Ctrl-D always closes at once.
    #[arg(
        long,
        value_name = "SECS",
        default_value = "0",
        allow_negative_numbers = true,
        verbatim_doc_comment
    )]
    wait: String,
    /// Shows each event as one JSON object in one line of stdout
    #[arg(long)]
    json: bool,
    /// Shows each message and control event, both ways: what, how large
    ///
    /// Messages are shown whole, as the library gives them, not frame by
    /// frame; pings of the server are answered without being shown.
    #[arg(long, verbatim_doc_comment)]
    show_frames: bool,
    /// Shows messages only; what fails is still told on stderr
    #[arg(long, short, conflicts_with = "show_frames")]
    quiet: bool,
    /// How long connecting may take
    #[arg(long, value_name = "SECS", default_value = "30", allow_negative_numbers = true)]
    connect_timeout: String,
    /// The largest message, in either direction
    #[arg(long, value_name = "BYTES", default_value = "67108864", allow_negative_numbers = true)]
    message_bytes_max: String,
    /// With what to close at the end of stdin, or at Ctrl-D: 4000, 4000:bye
    #[arg(long, value_name = "CODE[:REASON]", default_value = "1000")]
    close: String,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    compress: Compress,
    /// A file with certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believes every server, and whoever sits between (wss)
    ///
    /// Whoever is on the way can read and change everything. For tests; with
    /// a certificate of your own, --ca is the safe way.
    #[arg(long, verbatim_doc_comment)]
    danger_accept_any_certificate: bool,
    /// What other programs call the one above. Told, not accepted.
    #[arg(long, hide = true)]
    insecure: bool,
    /// What to log on stderr: LEVEL, or TARGET=LEVEL, with commas between
    #[arg(long, value_name = "FILTER", default_value = "error")]
    pub(super) log: String,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  sotong connect ws://127.0.0.1:9001
      type lines; what comes is shown above them; /help lists commands
  echo hi | sotong connect ws://127.0.0.1:9001
      sends hi, prints the answers, and ends
  sotong connect wss://example.com/feed --json < /dev/null --wait 10
      listens for ten seconds: one JSON object for each event
  sotong connect wss://example.com/ -H 'Authorization: Bearer abc'
      with a header; --protocol NAME and --origin ORIGIN work alike
  sotong connect wss://example.com/ --auth @token.txt --reconnect
      logs in by what stands in a file; stays connected, and tells when not
  sotong connect wss://example.com/ --socks5 127.0.0.1:9050 --follow
      through a SOCKS5 proxy; follows redirects, without secrets for others

At a terminal everything a server sends is escaped. To a pipe a text message
goes as it is with a line end behind it, a binary one without; --json keeps
the borders between messages. Notices go to stderr then.

Ends with 0 when the connection was closed with 1000, 1001 or no code;
'sotong --help' lists all exit codes.";

/// What is meant.
pub(super) fn check(typed: Connect) -> Result<connect::Settings, Failure> {
    if typed.insecure {
        return Err(insecure());
    }
    let linger = match typed.wait.as_str() {
        "forever" => Linger::Forever,
        wait => Linger::For(seconds("--wait", wait, 0.0)?),
    };
    let detail = match (typed.quiet, typed.show_frames) {
        (true, _) => Detail::Quiet,
        (_, true) => Detail::Frames,
        _ => Detail::Usual,
    };
    let way = typed.way.check()?;
    let headers = typed.header.iter().map(|each| header(each)).collect::<Result<Vec<_>, _>>()?;
    // One of the two would be sent beside the other, or not at all.
    for (option, is_given, name) in
        [("--auth", way.login.is_some(), "Authorization"), ("--origin", typed.origin.is_some(), "Origin")]
    {
        if is_given && headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)) {
            return Err(Exit::Usage.because(format_args!(
                "--header '{name}: …' and {option} say the same header twice: give one of them"
            )));
        }
    }
    Ok(connect::Settings {
        url: url(typed.url)?,
        headers,
        protocols: typed.protocol,
        origin: typed.origin,
        ping_interval: match &typed.ping_interval {
            Some(interval) => Some(seconds("--ping-interval", interval, 0.01)?),
            None => None,
        },
        kind: if typed.binary { Kind::Binary } else { Kind::Text },
        cut: if typed.whole { Cut::Whole } else { Cut::Lines },
        json: typed.json,
        detail,
        linger,
        connect_timeout: seconds("--connect-timeout", &typed.connect_timeout, 0.001)?,
        message_bytes_max: message_bytes_max(&typed.message_bytes_max)?,
        compression: typed.compress.check()?,
        ca: typed.ca,
        trust: match typed.danger_accept_any_certificate {
            true => Trust::Anybody,
            false => Trust::Checked,
        },
        route: way.route,
        redirects_max: way.redirects_max,
        login: way.login,
        again: way.again,
        close: close(&typed.close)?,
    })
}

pub(super) fn insecure() -> Failure {
    Exit::Usage.because(
        "--insecure has another name here: --danger-accept-any-certificate; whoever is on the way can then \
         read and change everything (--ca FILE is the safe way)",
    )
}

/// Says what is missing where the library could only say that something is.
pub(super) fn url(typed: String) -> Result<String, Failure> {
    match typed.contains("://") || typed.is_empty() {
        true => Ok(typed),
        false => {
            let shown = without_secrets(&typed);
            let missing = format_args!("the scheme is missing, as in ws://{shown} or wss://{shown}");
            Err(wrong("URL", shown, missing))
        }
    }
}

/// What may be repeated of something that was meant as a URL: neither who logs in, nor the query.
fn without_secrets(typed: &str) -> &str {
    let front = typed.split(['?', '#']).next().unwrap_or_default();
    front.rsplit('@').next().unwrap_or_default()
}

fn close(typed: &str) -> Result<(CloseCode, String), Failure> {
    let (code, reason) = typed.split_once(':').unwrap_or((typed, ""));
    let code = code.parse().ok().and_then(CloseCode::new).ok_or_else(|| {
        wrong(
            "--close",
            typed,
            "a code that may be sent is wanted, with a reason behind a colon if you like, as in 4000:bye; allowed are \
             1000-1003, 1007-1014 and 3000-4999",
        )
    })?;
    match reason.len() {
        bytes if bytes > REASON_BYTES_MAX => Err(Exit::Usage.because(format_args!(
            "--close: a reason of {bytes} bytes, a Close has room for {REASON_BYTES_MAX}"
        ))),
        _ => Ok((code, reason.to_owned())),
    }
}

/// What a value holds may be a secret, so only what stands before the colon is ever repeated.
pub(super) fn header(typed: &str) -> Result<(String, String), Failure> {
    match typed.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim_matches([' ', '\t']).to_owned())),
        None => Err(Exit::Usage.because(
            "--header: a colon is missing between name and value, as in --header 'Authorization: Bearer abc'",
        )),
    }
}

pub(super) fn seconds(option: &str, typed: &str, min: f64) -> Result<Duration, Failure> {
    match typed.parse::<f64>() {
        Ok(seconds) if (min..=SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(wrong(
            option,
            typed,
            format_args!("a number of seconds from {min} to {SECONDS_MAX} is wanted"),
        )),
    }
}

/// Runs it.
pub(super) async fn run(settings: connect::Settings) -> Result<(), Failure> {
    if settings.trust == Trust::Anybody && settings.detail != Detail::Quiet {
        let _ = writeln!(
            io::stderr(),
            "sotong: warning: no certificate is checked; whoever is on the way can read and change everything"
        );
    }
    let mut signals = Signals::listen().map_err(|error| Exit::Failed.because(error))?;
    let (stop, stops) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            signals.next().await;
            // Two are enough; more that come at once mean the same.
            let _ = stop.try_send(());
        }
    });
    connect::run(settings, stops).await.map_err(|trouble| failure(&trouble))
}

pub(super) fn failure(trouble: &Trouble) -> Failure {
    exit(trouble.kind).because(connect::line(trouble)).with_details(connect::details(trouble))
}

fn exit(kind: TroubleKind) -> Exit {
    match kind {
        TroubleKind::Usage => Exit::Usage,
        TroubleKind::Resolve
        | TroubleKind::Connect
        | TroubleKind::Proxy
        | TroubleKind::Tls
        | TroubleKind::Timeout => Exit::Unreachable,
        TroubleKind::Refused | TroubleKind::Handshake => Exit::Refused,
        TroubleKind::Abnormal => Exit::Abnormal,
        TroubleKind::Input | TroubleKind::Output => Exit::Failed,
        TroubleKind::Interrupted => Exit::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_split_at_the_first_colon() {
        let header = |typed| header(typed).map_err(|failure| failure.line);
        assert_eq!(header("A: b"), Ok(("A".into(), "b".into())));
        assert_eq!(header("A:b:c "), Ok(("A".into(), "b:c".into())));
        assert_eq!(header("A:"), Ok(("A".into(), String::new())));
        let error = header("secret").expect_err("no colon");
        assert!(error.contains("a colon is missing") && !error.contains("secret"), "{error}");
        // What could add another header is left for the library to refuse, not taken off.
        assert_eq!(header("A: b\r\nC: d\n"), Ok(("A".into(), "b\r\nC: d\n".into())));
    }

    #[test]
    fn codes_and_reasons_to_close_with() {
        let close = |typed: &str| close(typed).map(|(code, reason)| (u16::from(code), reason));
        assert_eq!(close("1000"), Ok((1000, String::new())));
        assert_eq!(close("4000:see you: later"), Ok((4000, "see you: later".to_owned())));
        assert_eq!(close("3000:"), Ok((3000, String::new())));
        let longest = format!("4999:{}", "소".repeat(41));
        assert_eq!(close(&longest).map(|(_, reason)| reason.len()), Ok(123));
        for typed in ["", "bye", ":bye", "999", "1005:x", "5000", "70000", &format!("{longest}x")] {
            assert_eq!(close(typed).expect_err(typed).exit, Exit::Usage);
        }
    }

    #[test]
    fn seconds_at_their_limits_and_past_them() {
        for (typed, expected) in
            [("0.01", Some(10)), ("2", Some(2000)), ("1.5", Some(1500)), ("86400", Some(86_400_000))]
        {
            let milliseconds = expected.map(Duration::from_millis);
            assert_eq!(seconds("--x", typed, 0.01).ok(), milliseconds, "{typed}");
        }
        for typed in ["", "0", "-1", "x", "nan", "inf", "86401", "1s"] {
            assert_eq!(seconds("--x", typed, 0.01).expect_err(typed).exit, Exit::Usage);
        }
    }

    #[test]
    fn every_kind_of_trouble_has_its_exit_code() {
        for kind in TroubleKind::ALL {
            assert_ne!(exit(*kind), Exit::Fine, "{kind:?}");
        }
    }
}
