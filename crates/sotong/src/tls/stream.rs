//! TLS over a stream of bytes.
//!
//! ```text
//!  read:   the stream ─► the reader's own buffer, behind a gap ─► engine ─► plaintext, from its front on
//!  write:  plaintext ─► engine ─► ciphertext, in the thread's room for it ─► the stream
//! ```
//!
//! Between two messages it owns no buffer: what stays is a record whose end has not come, and what the stream did not take.
//! rustls' buffered connection keeps 4 KiB for reading with each connection, and reads no more than that at a time.

use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::engine::{Ciphertext, Engine, RECORD_BYTES, Saying};

/// How much is read at a time while the handshake lasts.
const HANDSHAKE_READ_BYTES: usize = 4096;
/// Unfinished records are bounded: a handshake message may have 64 KiB (as rustls has it), and what it is cut into may be small.
const INCOMING_BYTES_MAX: usize = 128 * 1024;
/// Between the plaintext and the ciphertext that it comes from: one record, so that the one never reaches the other.
const GAP_BYTES: usize = RECORD_BYTES;
/// A reader with less room than this behind the gap gets its plaintext from a buffer of ours.
const READ_BYTES_MIN: usize = RECORD_BYTES + 512;

/// How often the rest of a stream is read before others have their turn.
const READS_PER_POLL: usize = 4;

/// TLS over the stream `S`.
pub(crate) struct TlsStream<S> {
    stream: S,
    engine: Engine,
    /// Ciphertext of a record whose end has not come.
    incoming: Vec<u8>,
    /// Plaintext that the reader had no room for, and how much of it is handed out.
    plaintext: Vec<u8>,
    handed_out: usize,
    /// Ciphertext that the stream has not taken, and how much of it is.
    outgoing: Vec<u8>,
    sent: usize,
    /// What ended it. After that rustls is not asked again.
    failure: Option<rustls::Error>,
    /// Whether the peer has said good-bye, and whether we have.
    peer_is_done: bool,
    has_said_good_bye: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// `read` has come out of the stream already. Nothing is sent before [`handshake`](Self::handshake).
    pub(super) fn new(engine: Engine, stream: S, read: Vec<u8>) -> Self {
        TlsStream {
            stream,
            engine,
            incoming: read,
            plaintext: Vec::new(),
            handed_out: 0,
            outgoing: Vec::new(),
            sent: 0,
            failure: None,
            peer_is_done: false,
            has_said_good_bye: false,
        }
    }

    /// The handshake, until both ends may speak. A peer that gets it wrong is told why.
    ///
    /// # Errors
    /// Those of the stream, and those of TLS as `InvalidData` with a [`rustls::Error`] inside.
    ///
    /// # Cancel safety
    /// It may be dropped and called again.
    pub(super) async fn handshake(&mut self) -> io::Result<()> {
        let result = std::future::poll_fn(|context| self.poll_handshake(context)).await;
        if result.is_err() {
            // Who gets it wrong may not listen either.
            let _ = std::future::poll_fn(|context| self.poll_send(context)).await;
            let _ = std::future::poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await;
        }
        result
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.advance(&mut None)?;
            let sent = self.poll_send(context)?;
            if !self.engine.is_handshaking() {
                ready!(sent);
                return Pin::new(&mut self.stream).poll_flush(context);
            }
            if self.peer_is_done {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            // Also while the stream does not take what we say: the peer may listen only when it is heard.
            self.incoming.reserve(HANDSHAKE_READ_BYTES);
            if ready!(pin!(self.stream.read_buf(&mut self.incoming)).poll(context))? == 0 {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Has the engine look at what has come, and say what is in `saying`, if it may.
    fn advance(&mut self, saying: &mut Option<Saying<'_>>) -> io::Result<()> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut at = 0;
        let result = Ciphertext::lend(|ciphertext| {
            let heard = |_: &mut [u8], heard: &[u8]| self.plaintext.extend_from_slice(heard);
            let result = self.engine.run(&mut incoming, &mut at, heard, saying, ciphertext);
            self.outgoing.extend_from_slice(ciphertext.bytes());
            result
        });
        self.take(result, &incoming[at..]);
        self.check()
    }

    /// What rustls came to. What it has not used up is kept, and a failure is one for good.
    fn take(&mut self, result: Result<bool, rustls::Error>, rest: &[u8]) {
        let result = match result {
            Ok(_) if rest.len() > INCOMING_BYTES_MAX => {
                let (seen, max) = (rest.len(), INCOMING_BYTES_MAX);
                Err(rustls::Error::General(format!(
                    "unfinished TLS records have {seen} bytes, more than {max}"
                )))
            }
            result => result,
        };
        match result {
            Ok(is_done) => {
                self.peer_is_done |= is_done;
                self.incoming = rest.to_vec();
            }
            Err(error) => {
                self.failure = Some(error);
                self.incoming = Vec::new();
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(error) => Err(io::Error::new(ErrorKind::InvalidData, error.clone())),
        }
    }

    /// Reads into `area` and decrypts there; how much plaintext stands at its front. 0 is the end, or nothing yet that is
    /// for the reader.
    fn poll_fill(&mut self, context: &mut Context<'_>, area: &mut [u8]) -> Poll<io::Result<usize>> {
        let kept = self.incoming.len();
        let mut at = GAP_BYTES;
        let mut end = at + kept;
        let mut read = ReadBuf::new(&mut area[end..]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
        }
        end += read.filled().len();
        area[at..at + kept].copy_from_slice(&self.incoming);

        let mut filled = 0;
        let result = Ciphertext::lend(|ciphertext| {
            let heard = |free: &mut [u8], heard: &[u8]| match free.get_mut(filled..filled + heard.len()) {
                Some(place) if self.plaintext.is_empty() => {
                    place.copy_from_slice(heard);
                    filled += heard.len();
                }
                // Plaintext is shorter than its records, so there is a place; and if there were none, nothing would be lost.
                _ => self.plaintext.extend_from_slice(heard),
            };
            let result = self.engine.run(&mut area[..end], &mut at, heard, &mut None, ciphertext);
            self.outgoing.extend_from_slice(ciphertext.bytes());
            result
        });
        self.take(result, &area[at..end]);
        // Answers of TLS itself. Whether they could be written is told to the next writer.
        let _ = self.poll_send(context);
        Poll::Ready(Ok(filled))
    }

    /// Reads to the end of the stream, without looking at it; some at a time, so that others have their turn.
    fn poll_end(&mut self, context: &mut Context<'_>, area: &mut [u8]) -> Poll<io::Result<()>> {
        for _ in 0..READS_PER_POLL {
            let mut read = ReadBuf::new(area);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands out plaintext that waits; whether there was any.
    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.plaintext[self.handed_out..];
        if rest.is_empty() {
            return false;
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.handed_out += count;
        if self.handed_out == self.plaintext.len() {
            (self.plaintext, self.handed_out) = (Vec::new(), 0);
        }
        true
    }

    /// Passes on what the stream has not taken.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            self.sent += ready!(write(&mut self.stream, context, &self.outgoing[self.sent..]))?;
        }
        if self.sent > 0 {
            (self.outgoing, self.sent) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes some.
fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        match ready!(Pin::new(&mut *stream).poll_write(context, bytes)) {
            Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    /// Ends regularly after the peer's good-bye. An end of the stream without one is `UnexpectedEof`: somebody may have cut
    /// off what came behind.
    ///
    /// After a good-bye of ours nothing is looked at any more, and only the end is told: a WebSocket that has hung up waits for
    /// nothing else, and rustls has nothing to say to a record that is no good by then (its debug builds panic).
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        loop {
            if stream.hand_out(buffer) || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            stream.check()?;
            if stream.peer_is_done {
                return Poll::Ready(Ok(()));
            }
            if stream.has_said_good_bye {
                return stream.poll_end(context, buffer.initialize_unfilled());
            }
            let wanted = GAP_BYTES + stream.incoming.len() + READ_BYTES_MIN;
            // Costs nothing where it is initialised, as the driver's is.
            let area = buffer.initialize_unfilled();
            if area.len() >= wanted {
                let filled = ready!(stream.poll_fill(context, area))?;
                if filled > 0 {
                    buffer.advance(filled);
                    return Poll::Ready(Ok(()));
                }
            } else {
                let mut area = vec![0; wanted];
                let filled = ready!(stream.poll_fill(context, &mut area))?;
                // Before what did not fit there, if anything did not.
                area.truncate(filled);
                area.append(&mut stream.plaintext);
                stream.plaintext = area;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    /// Takes all, if what was taken before has left. The stream may still hold it: see `poll_flush`.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        ready!(stream.poll_send(context))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        stream.check()?;
        if stream.has_said_good_bye {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let mut saying = Some(Saying::Data(bytes));
        let mut result = stream.say(&mut saying, context);
        if saying.is_some() {
            // Neither said nor an error: TLS is over, or not begun.
            result = result.and(Err(ErrorKind::BrokenPipe.into()));
        }
        result.map(|()| bytes.len()).into()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        ready!(stream.poll_send(context))?;
        Pin::new(&mut stream.stream).poll_flush(context)
    }

    /// Says good-bye, and ends the stream's direction.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        ready!(stream.poll_send(context))?;
        // After a failure the alert was the last word.
        if !std::mem::replace(&mut stream.has_said_good_bye, true) && stream.failure.is_none() {
            let _ = stream.say(&mut Some(Saying::GoodBye), context);
            ready!(stream.poll_send(context))?;
        }
        Pin::new(&mut stream.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Puts it into records, and those straight into the stream. What that does not take waits here.
    fn say(&mut self, saying: &mut Option<Saying<'_>>, context: &mut Context<'_>) -> io::Result<()> {
        if !self.incoming.is_empty() {
            // rustls wants to see the start of what it has not seen whole.
            self.advance(saying)?;
            return pending_is_fine(self.poll_send(context));
        }
        Ciphertext::lend(|ciphertext| {
            let heard = |_: &mut [u8], heard: &[u8]| self.plaintext.extend_from_slice(heard);
            let result = self.engine.run(&mut [], &mut 0, heard, saying, ciphertext);
            self.take(result, &[]);
            let mut rest = ciphertext.bytes();
            while !rest.is_empty() {
                match write(&mut self.stream, context, rest) {
                    Poll::Ready(count) => rest = &rest[count?..],
                    Poll::Pending => {
                        self.outgoing.extend_from_slice(rest);
                        break;
                    }
                }
            }
            self.check()
        })
    }
}

fn pending_is_fine(poll: Poll<io::Result<()>>) -> io::Result<()> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(()),
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
