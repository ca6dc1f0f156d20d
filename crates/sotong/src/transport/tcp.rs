//! TCP through tokio.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Reads once, when there is something.
///
/// A short read has emptied the socket's buffer. tokio's `try_read` keeps the readiness all the same, and the next
/// poll pays for a read that says `EAGAIN`; so a short read is reported to tokio as "would block", which clears it.
/// A byte that comes in between is not missed: its event has a later tick than the one that is cleared.
#[inline]
pub(super) fn poll_read(
    stream: &TcpStream,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(context))?;
        let mut short = None;
        let result = stream.try_io(Interest::READABLE, || {
            let count = (&*SockRef::from(stream)).read(buffer)?;
            if count > 0 && count < buffer.len() {
                short = Some(count);
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(count)
        });
        match (short, result) {
            (Some(count), _) => return Poll::Ready(Ok(count)),
            (None, Err(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            (None, result) => return Poll::Ready(result),
        }
    }
}

/// Writes what the kernel takes at this moment.
///
/// The kernel is asked before tokio's record of readiness is: nearly always it takes all, and that record is one more line
/// of memory to fetch, for each of a thousand subscribers. Where there is no room the record has to be right, so that
/// somebody waits for it: then tokio tries, and clears it.
pub(super) fn try_write(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match send(stream, slices) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        result => return result,
    }
    match slices {
        [slice] => stream.try_write(slice),
        slices => stream.try_write_vectored(slices),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn send(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendFlags};
    // A peer that is gone is an error, not a signal.
    let flags = SendFlags::NOSIGNAL;
    let sent = match slices {
        [slice] => rustix::net::send(stream, slice, flags),
        slices => rustix::net::sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags),
    };
    Ok(sent?)
}

pub(super) fn shutdown(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).shutdown(Shutdown::Write)
}

/// How many bytes the kernel may hold that it has not sent.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 16 * 1024;

/// Bounds what waits in the kernel: by default that is up to some megabytes, which a peer that has been away for a minute
/// would get to see first. Where a system has no such option, it is as it is.
pub(super) fn keep_fresh(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "the kernel does not bound what is unsent");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
}
