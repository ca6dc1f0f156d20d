//! Any stream that tokio can read and write: TLS, unix sockets, memory.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::carrier::Duplex;

/// How much one write gathers at most. TLS makes records of up to 16 KiB of it; a few at a time are worth a call.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// The stream. The lock is the driver's alone, so nobody ever waits for it; it lets the driver hold the stream
/// behind a shared reference, as it holds a socket.
pub(crate) struct Stream(Mutex<Inner>);

struct Inner {
    stream: Box<dyn Duplex>,
    /// How many of the first bytes to write the stream has taken without having passed them all on: TLS holds
    /// ciphertext until the socket takes it. They count as written when they are.
    on_their_way: usize,
    is_shut_down: bool,
}

impl Stream {
    pub(super) fn new(stream: Box<dyn Duplex>) -> Self {
        Stream(Mutex::new(Inner { stream, on_their_way: 0, is_shut_down: false }))
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

    /// Writes a frame's header and its payload by one call, so that TLS does not put them in two records.
    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if inner.on_their_way == 0 {
            let gathered;
            let bytes = match slices {
                [slice] => &slice[..],
                slices => {
                    gathered = gather(slices);
                    &gathered
                }
            };
            inner.on_their_way = loop {
                match ready!(Pin::new(&mut inner.stream).poll_write(context, bytes)) {
                    Ok(0) if !bytes.is_empty() => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                    Ok(count) => break count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            };
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

fn gather(slices: &[IoSlice<'_>]) -> Vec<u8> {
    let all: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut gathered = Vec::with_capacity(all.min(GATHERED_BYTES_MAX));
    for slice in slices {
        let room = GATHERED_BYTES_MAX - gathered.len();
        gathered.extend_from_slice(&slice[..room.min(slice.len())]);
        if room <= slice.len() {
            break;
        }
    }
    gathered
}
