//! TCP through tokio.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Reads once.
///
/// A short read has emptied the socket's buffer. tokio's `try_read` keeps the readiness all the same, and the next
/// poll pays for a read that says `EAGAIN`; so a short read is reported to tokio as "would block", which clears it.
/// A byte that comes in between is not missed: its event has a later tick than the one that is cleared.
pub(super) fn try_read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut short = None;
    let result = stream.try_io(Interest::READABLE, || {
        let count = (&*SockRef::from(stream)).read(buffer)?;
        if count > 0 && count < buffer.len() {
            short = Some(count);
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(count)
    });
    match short {
        Some(count) => Ok(count),
        None => result,
    }
}

pub(super) fn shutdown(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).shutdown(Shutdown::Write)
}
