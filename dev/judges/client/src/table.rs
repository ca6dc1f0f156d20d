//! The table of cases (`dev/judges/peers/table.tsv`), played against an echo server. Prints `ok - NAME` or
//! `not ok - NAME: why` for each case.
#![allow(clippy::print_stdout, reason = "the lines are the verdict")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sotong::{Client, CloseCode, Message};
use tokio::time::timeout;

use crate::Style;
use crate::link::Link;

const CASE_DEADLINE: Duration = Duration::from_secs(20);
/// What every echo server can; the rest has to be named with `--can`.
const EVERY_SERVER_CAN: [&str; 4] = ["echo", "many", "ping", "close"];

/// What to play, and how to name it.
#[derive(Debug, Args)]
pub(crate) struct Play {
    /// The file with the table
    #[arg(long)]
    table: PathBuf,
    /// Goes before the name of each case
    #[arg(long, default_value = "")]
    prefix: String,
    /// A verb that this server understands besides those of every echo server; may be given more than once
    #[arg(long)]
    can: Vec<String>,
    /// Plays no case but this one; may be given more than once
    #[arg(long)]
    only: Vec<String>,
}

impl Play {
    pub(crate) async fn run(
        &self,
        client: &Client,
        url: &str,
        style: Style,
    ) -> Result<ExitCode, Box<dyn Error>> {
        let table = std::fs::read_to_string(&self.table)?;
        let mut failures = 0;
        let mut left_out = BTreeSet::new();
        for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [verb, name, values @ ..] = &columns[..] else {
                return Err(format!("a short line: {line}").into());
            };
            if !self.only.is_empty() && !self.only.iter().any(|only| only == name) {
                continue;
            }
            let server_can = EVERY_SERVER_CAN.contains(verb) || self.can.iter().any(|can| can == verb);
            if !server_can || !style.can(verb, values) {
                left_out.insert((*name).to_owned());
                continue;
            }
            let played = timeout(CASE_DEADLINE, play(client, url, style, verb, values)).await;
            match played.unwrap_or_else(|_| Err(format!("not done after {CASE_DEADLINE:?}").into())) {
                Ok(()) => println!("ok - {}{name}", self.prefix),
                Err(why) => {
                    failures += 1;
                    println!("not ok - {}{name}: {why}", self.prefix);
                }
            }
        }
        if !left_out.is_empty() {
            let names = left_out.into_iter().collect::<Vec<_>>().join(", ");
            println!(
                "left out - {}{names}: this server or this form of our client has no call for it",
                self.prefix
            );
        }
        Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Style {
    /// No form has a call for fragments of the application's choosing. Pings are what the browser's object has no call for,
    /// and a Close without a code is what only it has.
    fn can(self, verb: &str, values: &[&str]) -> bool {
        match self {
            Style::Web => !matches!(verb, "fragments" | "ping"),
            Style::Event | Style::Pull => verb != "fragments" && values.first() != Some(&"-"),
        }
    }
}

async fn play(
    client: &Client,
    url: &str,
    style: Style,
    verb: &str,
    values: &[&str],
) -> Result<(), Box<dyn Error>> {
    let value = |index: usize| values.get(index).copied().unwrap_or("");
    let mut link = Link::open(client, url, style).await?;
    match verb {
        "echo" => {
            let message = payload(value(0))?;
            link.send(message.clone()).await?;
            comes_back(&mut link, &message).await?;
        }
        "many" => {
            let count: usize = value(0).parse()?;
            for number in 0..count {
                link.send(Message::text(number.to_string())).await?;
            }
            for number in 0..count {
                comes_back(&mut link, &Message::text(number.to_string())).await?;
            }
        }
        // The library chooses the payload of its pings.
        "ping" => {
            link.ping().await?;
        }
        "close" if value(0) == "-" => return closes(link, None, "").await,
        "close" => return closes(link, Some(code(value(0))?), value(1)).await,
        "asked-close" => {
            let (code, reason) = (code(value(0))?, value(1));
            link.send(Message::text(format!("please close {} {reason}", u16::from(code)))).await?;
            return is_closed_with(link, code, reason).await;
        }
        "asked-ping" => {
            link.send(Message::text(format!("please ping {}", value(0)))).await?;
            comes_back(&mut link, &Message::text(format!("ponged {}", value(0)))).await?;
        }
        "asked-fragments" => {
            let whole = payload(value(0))?;
            let text = whole.as_text().ok_or("only text is asked for in fragments")?;
            link.send(Message::text(format!("please fragment {} {text}", value(1)))).await?;
            comes_back(&mut link, &whole).await?;
        }
        other => return Err(format!("the table has an unknown verb {other}").into()),
    }
    closes(link, Some(CloseCode::NORMAL), "").await
}

async fn comes_back(link: &mut Link, sent: &Message) -> Result<(), Box<dyn Error>> {
    let answer = link.next().await?.ok_or("the connection ended instead of an answer")?;
    if answer == *sent {
        return Ok(());
    }
    Err(format!("sent {}, received {}", describe(sent), describe(&answer)).into())
}

fn describe(message: &Message) -> String {
    let bytes = message.as_ref().as_bytes();
    let kind = if message.as_text().is_some() { "text" } else { "binary" };
    format!(
        "{kind} of {} bytes, {:.40}",
        bytes.len(),
        String::from_utf8_lossy(bytes).escape_debug().to_string()
    )
}

/// We close: the server answers with the same code, and the end is clean.
async fn closes(link: Link, code: Option<CloseCode>, reason: &str) -> Result<(), Box<dyn Error>> {
    let wanted = code.map_or(1005, u16::from);
    let ended = link.close(code, reason).await?;
    if ended.code == wanted && ended.clean {
        return Ok(());
    }
    Err(format!("wanted {wanted} and a clean end: {ended:?}").into())
}

/// The server closes: its code and its reason arrive.
async fn is_closed_with(link: Link, code: CloseCode, reason: &str) -> Result<(), Box<dyn Error>> {
    let ended = link.closed().await?;
    if ended.code == u16::from(code) && ended.reason == reason && ended.clean {
        return Ok(());
    }
    Err(format!("wanted {code:?} {reason:?} and a clean end: {ended:?}").into())
}

fn code(written: &str) -> Result<CloseCode, Box<dyn Error>> {
    CloseCode::new(written.parse()?).ok_or_else(|| format!("{written} cannot stand in a Close frame").into())
}

/// A payload as the table writes it.
fn payload(written: &str) -> Result<Message, Box<dyn Error>> {
    let (kind, rest) = written.split_once(':').ok_or_else(|| format!("no payload: {written}"))?;
    match kind {
        "text" => Ok(Message::text(rest.to_owned())),
        "repeat" => {
            let (count, character) = rest.split_once(':').ok_or_else(|| format!("no payload: {written}"))?;
            Ok(Message::text(character.repeat(count.parse()?)))
        }
        "bytes" => {
            let length: usize = rest.parse()?;
            Ok(Message::binary((0..length).map(|at| (at * 31 + 7) as u8).collect::<Vec<u8>>()))
        }
        _ => Err(format!("the table has a payload of an unknown kind: {written}").into()),
    }
}
