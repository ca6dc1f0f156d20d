//! Any stream that tokio can read and write: TLS, unix sockets, memory.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::Frames;
use crate::carrier::Duplex;

/// How much one write gathers at most. TLS makes records of up to 16 KiB of it; a few at a time are worth a call.
const GATHERED_BYTES_MAX: usize = 64 * 1024;
/// How much it gathers at least, where the stream takes little at a time.
const GATHERED_BYTES_MIN: usize = 1024;

/// The stream. The lock is the driver's alone, so nobody ever waits for it; it lets the driver hold the stream
/// behind a shared reference, as it holds a socket.
pub(crate) struct Stream(Mutex<Inner>);

struct Inner {
    stream: Box<dyn Duplex>,
    /// How many of the first bytes to write the stream has taken without having passed them all on: TLS holds
    /// ciphertext until the socket takes it. They count as written when they are.
    on_their_way: usize,
    /// How much the next write gathers: what the stream does not take is gathered again.
    gathered_max: usize,
    /// The frames that were written.
    frames: Frames,
    is_shut_down: bool,
}

impl Stream {
    pub(super) fn new(stream: Box<dyn Duplex>) -> Self {
        Stream(Mutex::new(Inner {
            stream,
            on_their_way: 0,
            gathered_max: GATHERED_BYTES_MAX,
            frames: Frames::default(),
            is_shut_down: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A stream that has panicked is asked again; what it then says is the connection's end.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        let mut buffer = ReadBuf::new(buffer);
        loop {
            match ready!(Pin::new(&mut inner.stream).poll_read(context, &mut buffer)) {
                Ok(()) => return Poll::Ready(Ok(buffer.filled().len())),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // TLS tells of a TCP end without its own good-bye. WebSocket has one, too, and that is what counts.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes a frame's header and its payload by one call, and ends the call where TLS would put them in two records.
    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if inner.on_their_way == 0 {
            let gathered;
            let bytes = match slices {
                [slice] => &slice[..slice.len().min(GATHERED_BYTES_MAX)],
                slices => {
                    gathered = gather(slices, inner.gathered_max);
                    &gathered
                }
            };
            let bytes = &bytes[..inner.frames.cut(bytes)];
            let taken = loop {
                match Pin::new(&mut inner.stream).poll_write(context, bytes) {
                    Poll::Ready(Ok(0)) if !bytes.is_empty() => {
                        return Poll::Ready(Err(ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(count)) => break count,
                    Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        // Asked again at every turn, also at those that have nothing to do with writing.
                        inner.gathered_max = GATHERED_BYTES_MIN;
                        return Poll::Pending;
                    }
                }
            };
            let more = if taken < bytes.len() { taken } else { inner.gathered_max };
            inner.gathered_max = (more * 2).clamp(GATHERED_BYTES_MIN, GATHERED_BYTES_MAX);
            inner.frames.pass(&bytes[..taken]);
            inner.on_their_way = taken;
        }
        ready!(Pin::new(&mut inner.stream).poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut inner.on_their_way)))
    }

    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        if !inner.is_shut_down {
            let result = ready!(Pin::new(&mut inner.stream).poll_shutdown(context));
            inner.is_shut_down = true;
            return Poll::Ready(result);
        }
        Poll::Ready(Ok(()))
    }
}

/// The first `max` bytes of the slices.
fn gather(slices: &[IoSlice<'_>], max: usize) -> Vec<u8> {
    let all: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut gathered = Vec::with_capacity(all.min(max));
    for slice in slices {
        let room = max - gathered.len();
        gathered.extend_from_slice(&slice[..room.min(slice.len())]);
        if room <= slice.len() {
            break;
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;

    use super::*;

    /// Takes as many bytes at a time as it is told, and counts those that it is offered.
    struct Narrow {
        taken_max: usize,
        offered: Arc<AtomicUsize>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl AsyncRead for Narrow {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Narrow {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.offered.fetch_add(bytes.len(), Ordering::Relaxed);
            if self.taken_max == 0 {
                return Poll::Pending;
            }
            let count = bytes.len().min(self.taken_max);
            self.written.lock().expect("no panic").extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Writes 32 slices of 2 KiB by at most `calls_max` calls, and tells how many bytes were copied for that.
    fn copied_for(taken_max: usize, calls_max: usize) -> usize {
        let (offered, written) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let narrow = Narrow { taken_max, offered: offered.clone(), written: written.clone() };
        let stream = Stream::new(Box::new(narrow));
        let mut runs: Vec<Vec<u8>> = (0..32).map(|byte| vec![byte; 2048]).collect();
        // One frame.
        runs[0][..10].copy_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xf6]);
        let mut slices: Vec<IoSlice<'_>> = runs.iter().map(|run| IoSlice::new(run)).collect();
        let mut left = &mut slices[..];
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..calls_max {
            if left.is_empty() {
                break;
            }
            if let Poll::Ready(count) = stream.poll_write(&mut context, left) {
                IoSlice::advance_slices(&mut left, count.expect("it takes something"));
            }
        }
        if taken_max > 0 {
            assert!(left.is_empty());
            assert_eq!(*written.lock().expect("no panic"), runs.concat());
        }
        offered.load(Ordering::Relaxed)
    }

    #[test]
    fn what_a_stream_does_not_take_is_not_copied_again_and_again() {
        let all = 64 * 1024;
        assert_eq!(copied_for(usize::MAX, 1), all, "one call where it takes all");
        for taken_max in [1, 100, 3000, 40_000] {
            let copied = copied_for(taken_max, all);
            let calls = all / taken_max + 1;
            assert!(copied <= all + 2 * all + calls * 2048, "{copied} bytes for {taken_max} at a time");
        }
    }

    #[test]
    fn a_stream_that_takes_nothing_is_offered_little_again_and_again() {
        let copied = copied_for(0, 1000);
        assert!(copied <= 64 * 1024 + 1000 * GATHERED_BYTES_MIN, "{copied} bytes");
    }
}
