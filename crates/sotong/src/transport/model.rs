//! A carrier for models: two queues, room for a few bytes, and a peer that the test plays.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// One end of it. The driver has one, the test plays the peer with another.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    to_peer: VecDeque<u8>,
    /// How many bytes may be on their way.
    room: usize,
    from_peer: VecDeque<u8>,
    peer_is_done: bool,
    we_are_done: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    peer: Option<Waker>,
}

impl Wire {
    pub(crate) fn new(room: usize) -> Wire {
        Wire(Arc::new(Mutex::new(State {
            to_peer: VecDeque::new(),
            room,
            from_peer: VecDeque::new(),
            peer_is_done: false,
            we_are_done: false,
            reader: None,
            writer: None,
            peer: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.from_peer.is_empty() && !state.peer_is_done {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(state.from_peer.len());
        for (place, byte) in buffer.iter_mut().zip(state.from_peer.drain(..count)) {
            *place = byte;
        }
        Poll::Ready(Ok(count))
    }

    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.try_write(slices) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut state = self.lock();
                if state.to_peer.len() < state.room {
                    drop(state);
                    return Poll::Ready(self.try_write(slices));
                }
                state.writer = Some(context.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        let room = state.room - state.to_peer.len();
        if room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(room).collect();
        state.to_peer.extend(&bytes);
        let peer = state.peer.take();
        drop(state);
        peer.into_iter().for_each(Waker::wake);
        Ok(bytes.len())
    }

    pub(super) fn shutdown(&self) {
        let mut state = self.lock();
        state.we_are_done = true;
        let peer = state.peer.take();
        drop(state);
        peer.into_iter().for_each(Waker::wake);
    }

    /// The peer takes what is there; nothing is the end.
    pub(crate) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Vec<u8>> {
        let mut state = self.lock();
        if state.to_peer.is_empty() && !state.we_are_done {
            state.peer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let taken = state.to_peer.drain(..).collect();
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(taken)
    }

    /// The peer says something; `is_last` is the end of its direction.
    pub(crate) fn say(&self, bytes: &[u8], is_last: bool) {
        let mut state = self.lock();
        state.from_peer.extend(bytes);
        state.peer_is_done |= is_last;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}
