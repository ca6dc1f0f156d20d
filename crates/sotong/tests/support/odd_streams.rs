//! Streams with habits that no socket has, and that every stream may have.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// What is odd about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It is pending before every byte that it gives or takes, and before every flush.
    Reluctant,
    /// It takes one byte per write.
    OneByteWrites,
    /// It keeps what is written until it is flushed, and flushes only while its control lets it.
    HeldFlush,
    /// Nothing, but its control has what was written in each call.
    None,
}

/// What is done to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Flush,
    Shutdown,
}

pub const EVERY_CALL: [Call; 4] = [Call::Read, Call::Write, Call::Flush, Call::Shutdown];

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Error,
    Panic,
}

/// The test's hand on a stream.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    fault: Option<(Call, Fault)>,
    holds_flushes: bool,
    flusher: Option<Waker>,
    writes: Vec<usize>,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while it is locked")
    }

    /// From now on that call goes wrong.
    pub fn break_at(&self, call: Call, fault: Fault) {
        self.lock().fault = Some((call, fault));
    }

    pub fn hold_flushes(&self, hold: bool) {
        let mut state = self.lock();
        state.holds_flushes = hold;
        let flusher = state.flusher.take();
        drop(state);
        flusher.into_iter().for_each(Waker::wake);
    }

    /// How many bytes each write took, since the last time.
    pub fn take_writes(&self) -> Vec<usize> {
        std::mem::take(&mut self.lock().writes)
    }

    fn call(&self, call: Call) -> io::Result<()> {
        let fault = self.lock().fault;
        match fault {
            Some((broken, Fault::Error)) if broken == call => Err(io::Error::other("the stream is broken")),
            Some((broken, Fault::Panic)) if broken == call => panic!("the stream is broken"),
            _ => Ok(()),
        }
    }
}

/// One end of a pair in memory, with a habit.
pub struct Odd {
    inner: DuplexStream,
    habit: Habit,
    control: Control,
    /// Whether it has been pending, in each direction.
    has_waited: [bool; 2],
    kept: Vec<u8>,
}

/// A pair: the end of a peer, the odd end, and the hand on that.
pub fn odd(habit: Habit) -> (DuplexStream, Odd, Control) {
    let (near, inner) = tokio::io::duplex(64 * 1024);
    let control = Control::default();
    (near, Odd { inner, habit, control: control.clone(), has_waited: [false; 2], kept: Vec::new() }, control)
}

impl Odd {
    /// Pending, every other time.
    fn poll_mood(&mut self, direction: usize, context: &mut Context<'_>) -> Poll<()> {
        if self.habit != Habit::Reluctant {
            return Poll::Ready(());
        }
        self.has_waited[direction] = !self.has_waited[direction];
        if self.has_waited[direction] {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn poll_take(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.control.call(Call::Write)?;
        ready!(self.poll_mood(1, context));
        let count = match self.habit {
            Habit::Reluctant | Habit::OneByteWrites => {
                ready!(Pin::new(&mut self.inner).poll_write(context, &bytes[..bytes.len().min(1)]))?
            }
            Habit::HeldFlush => {
                self.kept.extend_from_slice(bytes);
                bytes.len()
            }
            Habit::None => ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?,
        };
        self.control.lock().writes.push(count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncRead for Odd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.control.call(Call::Read)?;
        ready!(self.poll_mood(0, context));
        if self.habit != Habit::Reluctant {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut one))?;
        buffer.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Odd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.poll_take(context, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.control.call(Call::Flush)?;
        ready!(self.poll_mood(1, context));
        let mut state = self.control.lock();
        if state.holds_flushes {
            state.flusher = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        while !self.kept.is_empty() {
            let this = &mut *self;
            let count = ready!(Pin::new(&mut this.inner).poll_write(context, &this.kept))?;
            this.kept.drain(..count);
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.control.call(Call::Shutdown)?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
