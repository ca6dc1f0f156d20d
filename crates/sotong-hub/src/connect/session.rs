//! A connection that is open: what is typed goes out, what comes is shown, until one of the ends closes.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sotong::reconnect::{End, Ending};
use sotong::{CloseCode, Closed, Config, Error, Initiator, PeerError, Timeout};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::command::{Command, HELP};
use super::event::{Event, Opcode, Trouble, TroubleKind};
use super::lines::{InputError, Piece};
use super::link::{Changed, Heard, How, Link, Source};
use super::output::{Gone, Output};
use super::text;
use super::view::{BLOCK_BYTES, View};
use super::{Linger, dial};

/// How long all may take after Ctrl-C: longer than the connection takes to end, so that this is the end of a stdout
/// that nobody reads.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The same after nobody reads our stdout any more: nobody waits for that.
const GONE_TIMEOUT: Duration = Duration::from_secs(1);

/// What comes in at this end.
#[derive(Debug)]
pub(super) enum Input {
    /// A message.
    Piece(Piece),
    /// What was typed at a terminal.
    Command(Command),
    /// Nothing more will come; how long to go on listening.
    End(Linger),
    /// It cannot be sent.
    Failed(InputError),
}

/// What a session is made of, besides the connection.
pub(super) struct Session<'a> {
    pub(super) view: &'a View,
    pub(super) output: &'a Output,
    pub(super) ping_interval: Option<Duration>,
    pub(super) message_bytes_max: u64,
    pub(super) is_binary: bool,
    /// The limits from when this end closes.
    pub(super) at_end: Config,
    /// With what it closes when there is nothing more to send.
    pub(super) close: (CloseCode, String),
}

/// How a session ended.
pub(super) struct Over {
    /// How the connection ended; `None` if that was not waited for.
    pub(super) closed: Option<Arc<Closed>>,
    pub(super) trouble: Option<Trouble>,
}

impl Session<'_> {
    /// Sends and shows until the connection is over.
    pub(super) async fn run(
        &self,
        source: &mut Source,
        mut inputs: mpsc::Receiver<Vec<Input>>,
        stops: &mut mpsc::Receiver<()>,
    ) -> Over {
        let link = source.link();
        let mut input_trouble = None;
        let asked = Notify::new();
        let opened = watch::Sender::new(matches!(link, Link::Once(_)));
        let received = tokio::select! {
            received = self.receive(source, &opened) => received,
            () = self.output.gone() => Err(Gone),
            () = self.send(&link, &mut inputs, &asked, &opened, &mut input_trouble) => return Over::unseen(None),
            () = self.ping(&link, &asked) => return Over::unseen(None),
            trouble = stop(&link, stops) => return Over::unseen(Some(trouble)),
        };
        match received {
            Err(Gone) => {
                link.close(CloseCode::NORMAL, "");
                let _ = timeout(GONE_TIMEOUT, until_over(source)).await;
                Over::unseen(None)
            }
            Ok(how) => {
                let mut over = Over::of(how, &link).await;
                over.trouble = input_trouble.or(over.trouble);
                over
            }
        }
    }

    /// Shows what comes. What came in one read is written in one block.
    async fn receive(&self, source: &mut Source, opened: &watch::Sender<bool>) -> Result<How, Gone> {
        let mut block = Vec::new();
        loop {
            let ready = match block.len() {
                0 => Poll::Ready(source.next().await),
                BLOCK_BYTES.. => Poll::Pending,
                _ => poll_fn(|context| Poll::Ready(source.poll_next(context))).await,
            };
            if let Poll::Ready(Heard::Message(message)) = ready {
                self.view.message(&mut block, message);
                // A notice of each message, but nothing of its own to write: an empty binary one.
                continue;
            }
            if !block.is_empty() {
                self.output.write(std::mem::take(&mut block)).await?;
            }
            match ready {
                Poll::Ready(Heard::State(changed)) => {
                    self.tell(&changed).await?;
                    if let Changed::Open(_) = changed {
                        opened.send_replace(true);
                    }
                }
                Poll::Ready(Heard::Over(how)) => return Ok(how),
                Poll::Ready(Heard::Message(_)) | Poll::Pending => {}
            }
        }
    }

    async fn tell(&self, changed: &Changed) -> Result<(), Gone> {
        let event = match changed {
            // That it begins is no news.
            Changed::Connecting { number: 0 } => return Ok(()),
            Changed::Connecting { number } => Event::Connecting(*number),
            Changed::Open(opened) => Event::Open(opened),
            Changed::Waiting { number, delay, because } => {
                Event::Waiting { number: *number, delay: *delay, because }
            }
        };
        self.view.tell(self.output, &event).await
    }

    /// Sends what comes in at this end. Never ready: how it ends is told by what is received.
    async fn send(
        &self,
        link: &Link,
        inputs: &mut mpsc::Receiver<Vec<Input>>,
        asked: &Notify,
        opened: &watch::Sender<bool>,
        trouble: &mut Option<Trouble>,
    ) {
        while let Some(batch) = inputs.recv().await {
            for input in batch {
                match input {
                    Input::Piece(piece) => self.say(link, piece).await,
                    Input::Command(command) => self.obey(link, command, asked).await,
                    Input::End(linger) => {
                        // The time to listen begins when there was a connection and everything has been said.
                        let _ = opened.subscribe().wait_for(|is_open| *is_open).await;
                        if let Link::Again(_) = link {
                            link.flushed().await;
                        }
                        match linger {
                            Linger::For(time) => sleep(time).await,
                            Linger::Forever => pending().await,
                        }
                        self.close(link, self.close.0, &self.close.1).await;
                    }
                    Input::Failed(error) => {
                        *trouble = Some(Trouble::new(TroubleKind::Input, error));
                        self.close(link, CloseCode::NORMAL, "").await;
                    }
                }
            }
        }
        pending().await
    }

    async fn say(&self, link: &Link, piece: Piece) {
        let bytes = piece.len();
        let opcode = match &piece {
            Piece::Text(_) => Opcode::Text,
            Piece::Binary(_) => Opcode::Binary,
        };
        if bytes as u64 > self.message_bytes_max {
            let max = self.message_bytes_max;
            let line =
                format!("not sent: {bytes} bytes, the largest message has {max} (--message-bytes-max)");
            let _ = self.view.answer(self.output, &line).await;
            return;
        }
        if link.say(piece).await {
            let _ = self.view.tell(self.output, &Event::Sent(opcode, bytes)).await;
        }
    }

    async fn obey(&self, link: &Link, command: Command, asked: &Notify) {
        match command {
            Command::Say(text) if self.is_binary => self.say(link, Piece::Binary(text.into())).await,
            Command::Say(text) => self.say(link, Piece::Text(text)).await,
            Command::Hex(bytes) => self.say(link, Piece::Binary(bytes)).await,
            Command::Ping => asked.notify_one(),
            Command::Close(code, reason) => self.close(link, code, &reason).await,
            Command::Help => {
                let _ = self.view.answer(self.output, HELP).await;
            }
            Command::Wrong(why) => {
                let _ = self.view.answer(self.output, &super::escape::line(&why)).await;
            }
        }
    }

    /// Closes, because there is nothing more to send.
    async fn close(&self, link: &Link, code: CloseCode, reason: &str) {
        // The time for the end begins when everything is on its way.
        link.flushed().await;
        link.raise_limits(self.at_end.clone());
        link.close(code, reason);
    }

    /// Sends pings, in time and when asked. Never ready.
    async fn ping(&self, link: &Link, asked: &Notify) {
        let mut ticks = self.ping_interval.map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let mut tick = async || match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => pending().await,
        };
        loop {
            let is_asked = tokio::select! {
                () = tick() => false,
                () = asked.notified() => true,
            };
            match link.connection().filter(|connection| !connection.is_closed()) {
                Some(connection) => {
                    let _ = self.view.tell(self.output, &Event::Ping).await;
                    if let Ok(latency) = connection.ping().await {
                        let _ = self.view.tell(self.output, &Event::Pong(latency)).await;
                    }
                }
                None if matches!(link, Link::Once(_)) => return pending().await,
                None if is_asked => {
                    let _ = self.view.answer(self.output, "there is no connection to ping just now").await;
                }
                None => {}
            }
        }
    }
}

impl Over {
    async fn of(how: How, link: &Link) -> Over {
        match (how, link) {
            (How::Once(error), Link::Once(sender)) => {
                let closed = sender.closed().await;
                let trouble = verdict(error.as_ref(), &closed);
                Over { closed: Some(closed), trouble }
            }
            (How::Again(end), Link::Again(sender)) => {
                let counters = sender.counters();
                let mut over = Over::of_end(end);
                let lost = counters.may_be_lost + counters.unsent;
                if lost > 0 && over.trouble.is_none() {
                    let line = match lost {
                        1 => "1 message was not confirmed: it may be lost".to_owned(),
                        lost => format!("{lost} messages were not confirmed: they may be lost"),
                    };
                    over.trouble = Some(Trouble::new(TroubleKind::Abnormal, line));
                }
                over
            }
            _ => unreachable!("both come from the same source"),
        }
    }

    /// How a connection that was made again has ended for good.
    fn of_end(end: End) -> Over {
        let of_ending = |ending: Ending, gave_up: &str| match ending {
            Ending::Lost { closed, error } => {
                let trouble = verdict(error.as_ref(), &closed);
                Over { closed: Some(closed), trouble }
            }
            Ending::Connect(error) => {
                let mut trouble = dial::trouble(&error);
                trouble.line.insert_str(0, gave_up);
                Over { closed: None, trouble: Some(trouble) }
            }
            other => Over::unseen(Some(Trouble::new(TroubleKind::Connect, other))),
        };
        match end {
            End::Closed(Some(closed)) => {
                let trouble = verdict(None, &closed);
                Over { closed: Some(closed), trouble }
            }
            // Nobody waits for it: it was asked to end while there was no connection.
            End::Closed(None) => Over::unseen(None),
            End::Final(ending) => of_ending(ending, ""),
            End::Exhausted { last } => of_ending(last, "gave up: "),
            other => Over::unseen(Some(Trouble::new(TroubleKind::Abnormal, other))),
        }
    }

    fn unseen(trouble: Option<Trouble>) -> Over {
        Over { closed: None, trouble }
    }
}

/// Takes what still comes, until it is over.
async fn until_over(source: &mut Source) {
    while !matches!(source.next().await, Heard::Over(_)) {}
}

/// Closes at the first stop, and waits briefly; ready when that was in vain, or at the second.
async fn stop(link: &Link, stops: &mut mpsc::Receiver<()>) -> Trouble {
    if stops.recv().await.is_none() {
        return pending().await;
    }
    link.close(CloseCode::GOING_AWAY, "");
    tokio::select! {
        Some(()) = stops.recv() => Trouble::new(TroubleKind::Interrupted, "ended at once, without a closing handshake"),
        () = sleep(INTERRUPT_TIMEOUT) => {
            Trouble::new(TroubleKind::Interrupted, "ended: what came is not read from stdout")
        }
    }
}

/// Whether the end is one to be worried about.
fn verdict(error: Option<&Error>, closed: &Closed) -> Option<Trouble> {
    let abnormal = |line| Some(Trouble::new(TroubleKind::Abnormal, line));
    match error {
        // Nor is it ours that it does not wait for our answer.
        Some(Error::Io(_)) if closed.received.is_some() => {}
        Some(Error::Io(error)) => return abnormal(format!("the connection was lost: {error}")),
        // Everything was said both ways; that TCP stays open is the server's affair.
        Some(Error::Peer(PeerError::Timeout(Timeout::Close))) if closed.received.is_some() => {}
        Some(Error::Peer(error)) => {
            // Another name of the same limit, which is the one that can be set here.
            let line = text::closed(closed).replace("message_bytes_max", "--message-bytes-max");
            return abnormal(if closed.error.is_some() { line } else { error.to_string() });
        }
        Some(_) => return abnormal(text::closed(closed)),
        None => {}
    }
    match (closed.code(), closed.first) {
        (1000 | 1001 | 1005, _) => None,
        // The server repeats what we said.
        (_, Some(Initiator::Local)) if closed.received.is_some() => None,
        _ => abnormal(text::closed(closed)),
    }
}

#[cfg(test)]
mod tests {
    use sotong::Close;

    use super::*;

    fn closed(first: Option<Initiator>, received: Option<u16>) -> Closed {
        let mut closed = Closed::vanished();
        closed.first = first;
        closed.received = received.map(|code| Close::new(CloseCode::new(code).unwrap(), ""));
        closed.clean = received.is_some();
        closed
    }

    #[test]
    fn the_code_decides_unless_it_repeats_ours() {
        for (first, code, is_fine) in [
            (Initiator::Peer, 1000, true),
            (Initiator::Peer, 1001, true),
            (Initiator::Peer, 1011, false),
            (Initiator::Peer, 4000, false),
            (Initiator::Local, 1000, true),
            (Initiator::Local, 4000, true),
        ] {
            let verdict = verdict(None, &closed(Some(first), Some(code)));
            assert_eq!(verdict.is_none(), is_fine, "{first:?} {code}");
        }
    }

    #[test]
    fn a_server_that_leaves_tcp_open_after_its_close_has_closed() {
        let timeout = Error::Peer(PeerError::Timeout(Timeout::Close));
        let mut answered = closed(Some(Initiator::Local), Some(1000));
        answered.error = Some(PeerError::Timeout(Timeout::Close));
        assert_eq!(verdict(Some(&timeout), &answered), None);
        let unanswered = closed(Some(Initiator::Local), None);
        assert!(verdict(Some(&timeout), &unanswered).is_some());
        assert!(verdict(Some(&Error::Vanished), &closed(None, None)).is_some());
    }
}
