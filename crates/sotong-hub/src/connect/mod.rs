//! `sotong connect`: an interactive client, and a client for scripts.
//!
//! ```text
//!   stdin  ──► lines.rs    ──► command.rs ──┐
//!   keys   ──► terminal.rs ──► command.rs ──┴─► session.rs ──► link.rs: the connection, made by dial.rs
//!                                                   │
//!   stdout ◄── output.rs ◄── view.rs ◄── event.rs ◄─┘        view.rs chooses text.rs or json.rs
//! ```
//!
//! What a peer sends passes through `escape.rs` before a terminal sees it.

mod command;
mod dial;
pub(crate) mod escape;
mod event;
mod hexdump;
mod json;
mod lines;
mod link;
mod output;
mod session;
mod terminal;
mod text;
mod view;

use std::fmt;
use std::io::{self, BufReader, IsTerminal};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sotong::{CloseCode, Proxy};
use tokio::sync::mpsc;
use tokio::time::timeout;

use command::Command;
pub(crate) use dial::trouble;
pub use event::{Answer, Trouble, TroubleKind};
use event::{Event, Opened};
pub use lines::{Cut, Kind};
use lines::{Piece, Pieces};
use link::Source;
use output::{Output, Stdout};
use session::{Input, Over, Session};
use terminal::{Terminal, Typed};
pub use view::Detail;
use view::{Form, View};

/// How long the end may take when the server closes first, or after Ctrl-C: some servers leave TCP open, and nobody
/// wants to wait for them.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same when we close first, because there is nothing more to send: what the server still has to say before its
/// own Close is wanted.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what was received may take to be written after an interrupt.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);
/// From which bytes on what was read from stdin is handed over.
const BATCH_BYTES: usize = 64 * 1024;
/// How many batches wait, or lines that were typed.
const BATCHES_MAX: usize = 2;

/// What `sotong connect` was told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to: `ws://` or `wss://`.
    pub url: String,
    /// Headers of the request, by name and value.
    pub headers: Vec<(String, String)>,
    /// Sub-protocols to offer, the one that is liked most first.
    pub protocols: Vec<String>,
    /// The header `Origin`.
    pub origin: Option<String>,
    /// How often to send a Ping and show its latency.
    pub ping_interval: Option<Duration>,
    /// Whether text or bytes are sent.
    pub kind: Kind,
    /// How stdin becomes messages.
    pub cut: Cut,
    /// Whether events are shown as JSON.
    pub json: bool,
    /// How much is said.
    pub detail: Detail,
    /// What to do after the end of stdin, if that is not a terminal.
    pub linger: Linger,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// The largest message, in either direction.
    pub message_bytes_max: u64,
    /// Which compression to offer.
    pub compression: Option<sotong::Compression>,
    /// A file with certificates to trust besides the platform's.
    pub ca: Option<PathBuf>,
    /// Whether certificates are checked.
    pub trust: Trust,
    /// Which way to go.
    pub route: Route,
    /// How many redirects are followed.
    pub redirects_max: u32,
    /// Who one is, for the server.
    pub login: Option<Login>,
    /// Whether to connect again.
    pub again: Again,
    /// With what to close at the end of stdin, or at Ctrl-D.
    pub close: (CloseCode, String),
}

/// Which way to go to the server.
#[derive(Clone, Debug)]
pub enum Route {
    /// As the environment says.
    Environment,
    /// Without a proxy, whatever the environment says.
    Direct,
    /// Through this one.
    Through(Proxy),
}

/// Who one is. Neither a password nor a token is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// By name and password (RFC 7617).
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// By a token (RFC 6750).
    Bearer(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Login::Basic { .. } => "Basic",
            Login::Bearer(_) => "Bearer",
        })
    }
}

/// Whether to connect again when the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It ends then.
    Never,
    /// Again, up to so many times in a row; `None` for a day.
    Tries(Option<u32>),
}

/// How long to go on listening when there is nothing more to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// So long; zero is the usual.
    For(Duration),
    /// Until the server closes.
    Forever,
}

/// Which servers are believed to be who they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those with a certificate that stands the checks.
    Checked,
    /// All, and whoever sits between.
    Anybody,
}

/// Connects, sends what comes from stdin and shows what comes from the server, until one of them ends. Each message
/// from `stops` asks for the end: the first one closes, the second one does not wait for it.
///
/// # Errors
/// Why it did not end well: one line for stderr, and what [`details`] says.
pub async fn run(settings: Settings, mut stops: mpsc::Receiver<()>) -> Result<(), Trouble> {
    let form = match settings.json {
        true => Form::Json,
        false if io::stdout().is_terminal() => Form::Terminal,
        false => Form::Pipe,
    };
    let view = View::new(form, settings.detail, settings.again != Again::Never);
    let mut over = match connect(&settings, &mut stops).await {
        Ok((source, opened)) => converse(&settings, &view, form, source, opened, &mut stops).await,
        Err(trouble) => Over { closed: None, trouble: Some(trouble) },
    };
    // As in a browser: a regular close with whatever code is no error, only a close.
    let is_regular = over.closed.as_ref().is_some_and(|closed| closed.clean && closed.error.is_none());
    if let Some(trouble) = &over.trouble
        && !(is_regular && trouble.kind == TroubleKind::Abnormal)
    {
        view.failed(&Event::Failed(trouble));
    }
    if let Some(closed) = &over.closed {
        let is_told = over.trouble.as_ref().is_some_and(|trouble| trouble.kind == TroubleKind::Abnormal);
        view.closed(closed, is_told);
    }
    if let Some(trouble) = &mut over.trouble
        && (form == Form::Json || settings.detail == Detail::Quiet)
    {
        // Told already, or not asked for.
        trouble.answer = None;
    }
    over.trouble.map_or(Ok(()), Err)
}

/// The answer of a server that refused, in lines that are set in; empty for other trouble.
pub fn details(trouble: &Trouble) -> String {
    text::details(trouble)
}

/// The line of a trouble, safe to be shown.
pub fn line(trouble: &Trouble) -> String {
    escape::line(&trouble.line)
}

async fn connect(
    settings: &Settings,
    stops: &mut mpsc::Receiver<()>,
) -> Result<(Source, Option<Opened>), Trouble> {
    let client = dial::client(settings)?;
    if let Again::Tries(tries_max) = settings.again {
        // It says itself when it is connected; what is typed until then waits.
        return Ok((Source::again(dial::again(client, settings, tries_max), &settings.url), None));
    }
    tokio::select! {
        connected = dial::dial(&client, &settings.url) => {
            connected.map(|(socket, opened)| (Source::Once(socket), Some(opened)))
        }
        Some(()) = stops.recv() => {
            Err(Trouble::new(TroubleKind::Interrupted, "ended before there was a connection"))
        }
    }
}

async fn converse(
    settings: &Settings,
    view: &View,
    form: Form,
    mut source: Source,
    opened: Option<Opened>,
    stops: &mut mpsc::Receiver<()>,
) -> Over {
    let (to_session, inputs) = mpsc::channel(BATCHES_MAX);
    let (to_stop, mut typed_stops) = mpsc::channel(2);
    let (terminal, output) = match start(settings, form, to_session, to_stop) {
        Ok(started) => started,
        Err(error) => {
            return Over { closed: None, trouble: Some(Trouble::new(TroubleKind::Output, error)) };
        }
    };
    if let Some(opened) = &opened {
        let _ = view.tell(&output, &Event::Open(opened)).await;
    }
    if terminal.is_some() {
        let _ = view.hint(&output, "/help lists what can be typed besides messages").await;
    }
    let session = Session {
        view,
        output: &output,
        ping_interval: settings.ping_interval,
        message_bytes_max: settings.message_bytes_max,
        is_binary: settings.kind == Kind::Binary,
        at_end: dial::config(settings).with_close_timeout(LAST_WORDS_TIMEOUT),
        close: settings.close.clone(),
    };
    // Ctrl-C is a key while a line is edited, and a signal otherwise.
    let (both_stops, mut all_stops) = mpsc::channel(2);
    let mut over = {
        let mut run = std::pin::pin!(session.run(&mut source, inputs, &mut all_stops));
        loop {
            tokio::select! {
                over = &mut run => break over,
                Some(()) = stops.recv() => { let _ = both_stops.try_send(()); },
                Some(()) = typed_stops.recv() => { let _ = both_stops.try_send(()); },
            }
        }
    };
    finish(output, terminal, &mut over, stops).await;
    // Not before: what a server floods us with would be read and thrown away while we want to end.
    drop(source);
    over
}

/// Starts to read and to write.
fn start(
    settings: &Settings,
    form: Form,
    to_session: mpsc::Sender<Vec<Input>>,
    to_stop: mpsc::Sender<()>,
) -> io::Result<(Option<Terminal>, Output)> {
    let is_typed = io::stdin().is_terminal();
    if is_typed && form == Form::Terminal {
        let session = to_session.clone();
        let terminal = Terminal::open(move |typed| {
            // When the session is over, nobody listens, and that is fine.
            let input = match typed {
                Typed::Line(line) => Input::Command(Command::parse(line)),
                Typed::End => Input::End(Linger::For(Duration::ZERO)),
                // Not behind lines that wait for a slow server.
                Typed::Interrupt => {
                    let _ = to_stop.try_send(());
                    return;
                }
            };
            // When the session is over nobody listens, and that is fine.
            let _ = session.blocking_send(vec![input]);
        });
        // A terminal that cannot move its cursor is read line by line, as the system edits them.
        if let Ok((terminal, printer)) = terminal {
            return Ok((Some(terminal), Output::start(printer)?));
        }
    }
    let (kind, linger) = match is_typed {
        true => (Kind::Text, Linger::For(Duration::ZERO)),
        false => (settings.kind, settings.linger),
    };
    let input = BufReader::with_capacity(BATCH_BYTES, io::stdin());
    let pieces = Pieces::new(input, settings.cut, kind, settings.message_bytes_max);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        read(pieces, is_typed, linger, &to_session);
    })?;
    Ok((None, Output::start(Stdout)?))
}

/// Reads stdin to its end. What is here already is handed over together.
fn read(
    mut pieces: Pieces<BufReader<io::Stdin>>,
    is_typed: bool,
    linger: Linger,
    to_session: &mpsc::Sender<Vec<Input>>,
) {
    let mut is_done = false;
    while !is_done {
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let input = match pieces.next() {
                Some(Ok(Piece::Text(text))) if is_typed => Input::Command(Command::parse(text)),
                Some(Ok(piece)) => {
                    bytes += piece.len();
                    Input::Piece(piece)
                }
                Some(Err(error)) => Input::Failed(error),
                None => Input::End(linger),
            };
            is_done = matches!(input, Input::Failed(_) | Input::End(_));
            batch.push(input);
            if is_done || bytes >= BATCH_BYTES || !pieces.is_ready() {
                break;
            }
        }
        if to_session.blocking_send(batch).is_err() {
            return;
        }
    }
}

/// Waits until everything is written, and gives the terminal back.
async fn finish(output: Output, terminal: Option<Terminal>, over: &mut Over, stops: &mut mpsc::Receiver<()>) {
    let is_interrupted =
        over.trouble.as_ref().is_some_and(|trouble| trouble.kind == TroubleKind::Interrupted);
    let written = match is_interrupted {
        true => timeout(FINISH_TIMEOUT, output.finish()).await.unwrap_or(Ok(())),
        false => {
            tokio::select! {
                written = output.finish() => written,
                Some(()) = stops.recv() => {
                    over.trouble = Some(Trouble::new(TroubleKind::Interrupted, "ended before all was written"));
                    Ok(())
                }
            }
        }
    };
    if let Some(terminal) = terminal {
        terminal.end();
    }
    if let Err(error) = written
        && over.trouble.is_none()
    {
        let line = format!("cannot write to stdout: {error}");
        over.trouble = Some(Trouble::new(TroubleKind::Output, line));
    }
}
