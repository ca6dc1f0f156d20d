//! Where what happens is shown: messages on stdout, what is said about them beside them, on stderr, or as JSON.

use std::io::{self, Write as _};

use sotong::{Closed, Initiator, Message};

use super::event::Event;
use super::output::{Gone, Output};
use super::{json, text};

/// The form of what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For eyes: escaped, with notices among the messages.
    Terminal,
    /// For a program that reads lines or bytes: messages as they are; notices go to stderr.
    Pipe,
    /// For a program that reads events.
    Json,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Messages, and why it failed.
    Quiet,
    /// That it is open, how long pongs take, how it closed, too.
    Usual,
    /// And that each message was sent or came, how large it is, and what the Close frames say.
    Frames,
}

/// What is shown, and where.
#[derive(Debug)]
pub(super) struct View {
    form: Form,
    detail: Detail,
    /// Whether the connection is made again when it is lost.
    is_made_again: bool,
}

/// From which bytes on what has gathered is written, though more is ready.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

impl View {
    pub(super) fn new(form: Form, detail: Detail, is_made_again: bool) -> View {
        View { form, detail, is_made_again }
    }

    /// Adds a message that came.
    pub(super) fn message(&self, block: &mut Vec<u8>, message: Message) {
        let event = Event::Received(message.as_ref());
        match self.form {
            Form::Json => {
                self.line(block, &json::line(&event));
                return;
            }
            _ if self.detail == Detail::Frames => self.say(block, &text::notice(&event)),
            _ => {}
        }
        match (self.form, message) {
            (Form::Terminal, message) => {
                block.extend_from_slice(text::message(&message.as_ref()).as_bytes());
            }
            (_, Message::Text(text)) => self.line(block, &text),
            // Bytes have no lines: what comes out is what came in.
            (_, Message::Binary(bytes)) => block.extend_from_slice(&bytes),
        }
    }

    /// Shows something else that happened.
    pub(super) async fn tell(&self, output: &Output, event: &Event<'_>) -> Result<(), Gone> {
        let mut block = Vec::new();
        if self.is_told(event) {
            match self.form {
                Form::Json => self.line(&mut block, &json::line(event)),
                _ => self.say(&mut block, &text::notice(event)),
            }
        }
        if let Event::Open(opened) = event
            && self.form != Form::Json
            && self.detail == Detail::Frames
        {
            text::headers(&opened.headers).iter().for_each(|line| self.say(&mut block, line));
        }
        write(output, block).await
    }

    /// Shows what a newcomer may want to know.
    pub(super) async fn hint(&self, output: &Output, line: &str) -> Result<(), Gone> {
        match self.detail {
            Detail::Quiet => Ok(()),
            _ => self.answer(output, line).await,
        }
    }

    /// Shows an answer to something that was typed.
    pub(super) async fn answer(&self, output: &Output, lines: &str) -> Result<(), Gone> {
        let mut block = Vec::new();
        for line in lines.lines() {
            self.say(&mut block, line);
        }
        write(output, block).await
    }

    /// Shows how it ended: the last that is said, after whatever else wrote to stdout has stopped to. `is_told`: the
    /// line that will be on stderr says it, too.
    pub(super) fn closed(&self, closed: &Closed, is_told: bool) {
        let event = Event::Closed(closed);
        let mut block = Vec::new();
        if self.form == Form::Json {
            self.line(&mut block, &json::line(&event));
        } else {
            if self.detail == Detail::Frames {
                text::close_frames(closed).iter().for_each(|line| self.say(&mut block, line));
            }
            // Who reads a pipe has asked for the end, or sees it.
            let is_news = self.form == Form::Terminal || closed.first != Some(Initiator::Local);
            if self.is_told(&event) && is_news && !is_told {
                self.say(&mut block, &text::closed(closed));
            }
        }
        // There is nobody left to tell that it failed.
        let _ = io::stdout().write_all(&block).and_then(|()| io::stdout().flush());
    }

    /// Shows what went wrong, where that is not left to stderr alone.
    pub(super) fn failed(&self, event: &Event<'_>) {
        if self.form == Form::Json {
            let _ = writeln!(io::stdout(), "{}", json::line(event));
        }
    }

    fn is_told(&self, event: &Event<'_>) -> bool {
        let least = match (event, self.form) {
            (Event::Sent(..) | Event::Received(_) | Event::Ping, _) => Detail::Frames,
            (Event::Failed(_), _) | (_, Form::Json) => Detail::Quiet,
            // A pipe that opens is nothing to be told about, unless it was not open before.
            (Event::Open(_), Form::Pipe) if !self.is_made_again => Detail::Frames,
            _ => Detail::Usual,
        };
        self.detail >= least
    }

    /// A notice: at a terminal among the messages, otherwise where it cannot be taken for one.
    fn say(&self, block: &mut Vec<u8>, line: &str) {
        match self.form {
            Form::Terminal => self.line(block, &format!("* {line}")),
            _ => {
                let _ = writeln!(io::stderr(), "sotong: {line}");
            }
        }
    }

    fn line(&self, block: &mut Vec<u8>, line: &str) {
        block.extend_from_slice(line.as_bytes());
        block.push(b'\n');
    }
}

async fn write(output: &Output, block: Vec<u8>) -> Result<(), Gone> {
    match block.is_empty() {
        true => Ok(()),
        false => output.write(block).await,
    }
}
