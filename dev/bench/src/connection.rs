//! One connection of the load generator: what is in flight, what is unsent, what came back.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd};

use crate::dialer::{Dialer, Target};
use crate::echo_reader::{EchoReader, Fed, Wire};
use crate::failure::{Failure, Result, While, is_not_now};
use crate::flight::Flight;
use crate::frame::{self, Opcode};
use crate::handshake;
use crate::tls::Carrier;

/// How long a server may take for anything before the measurement is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Carrier,
    wire: Wire,
    reader: EchoReader,
    in_flight: usize,
    /// Where the stream of frames stands in the flight block, and how many bytes of it wait for the kernel.
    offset: usize,
    unsent: usize,
    /// Whole pong frames that wait for the end of the frame being sent, and whether the first of them is half out.
    pongs: Vec<u8>,
    pong_begun: bool,
}

impl Connection {
    /// Connects and shakes hands, blocking. The stream stays blocking.
    pub(crate) fn open(dialer: &mut Dialer, target: &Target, wire: Wire, flight: &Flight) -> Result<Self> {
        let stream = dialer.dial()?;
        stream.set_read_timeout(Some(PATIENCE)).during("setting a read timeout")?;
        stream.set_write_timeout(Some(PATIENCE)).during("setting a write timeout")?;
        let mut stream = Carrier::client(stream, target.tls.as_ref())?;
        let early = match wire {
            Wire::Raw => Vec::new(),
            Wire::WebSocket => handshake::shake(&mut stream, target, flight.offer())?,
        };
        let reader = EchoReader::new(wire);
        let mut connection = Self {
            stream,
            wire,
            reader,
            in_flight: 0,
            offset: 0,
            unsent: 0,
            pongs: Vec::new(),
            pong_begun: false,
        };
        connection.take(&early, flight)?;
        Ok(connection)
    }

    pub(crate) fn set_nonblocking(&self) -> Result<()> {
        self.stream.set_nonblocking(true).during("making a socket non-blocking")
    }

    pub(crate) fn wire_bytes(&self) -> u64 {
        self.reader.wire_bytes()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether the kernel refused something: then writability is of interest.
    pub(crate) fn is_blocked(&self) -> bool {
        self.unsent > 0 || self.pong_begun || self.stream.is_behind()
    }

    /// Puts more messages in flight and offers them to the kernel, in one write unless it refuses a part.
    #[inline]
    pub(crate) fn send(&mut self, messages: usize, flight: &Flight) -> Result<()> {
        self.in_flight += messages;
        self.unsent += messages * flight.frame_bytes();
        self.flush(flight)
    }

    /// Reads once; how many echoes that completed.
    #[inline]
    pub(crate) fn receive(&mut self, scratch: &mut [u8], flight: &Flight) -> Result<usize> {
        match self.stream.read(scratch) {
            Ok(0) => Err(Failure::new("the server hung up")),
            Ok(n) => self.take(&scratch[..n], flight),
            Err(error) if is_not_now(&error) => Ok(0),
            Err(error) => Err(Failure::new(format!("reading echoes: {error}"))),
        }
    }

    fn take(&mut self, bytes: &[u8], flight: &Flight) -> Result<usize> {
        let Fed { completed, closed } = self.reader.feed(bytes, flight, &mut self.pongs)?;
        if completed > self.in_flight {
            return Err(Failure::new("the server sent a message that nobody asked for"));
        }
        if closed {
            return Err(Failure::new("the server closed the connection with a Close frame"));
        }
        self.in_flight -= completed;
        Ok(completed)
    }

    /// Offers to the kernel what is unsent, pongs between two frames.
    #[inline]
    pub(crate) fn flush(&mut self, flight: &Flight) -> Result<()> {
        loop {
            if !self.pongs.is_empty() && (self.pong_begun || self.offset.is_multiple_of(flight.frame_bytes()))
            {
                match self.stream.write(&self.pongs) {
                    Ok(n) => {
                        self.pongs.drain(..n);
                        self.pong_begun = !self.pongs.is_empty();
                    }
                    Err(error) if is_not_now(&error) => {
                        self.pong_begun = true;
                        return Ok(());
                    }
                    Err(error) => return Err(Failure::new(format!("sending a pong: {error}"))),
                }
            } else if self.unsent > 0 {
                match self.stream.write(flight.piece(self.offset, self.unsent)) {
                    Ok(n) => {
                        self.offset = flight.advance(self.offset, n);
                        self.unsent -= n;
                    }
                    Err(error) if is_not_now(&error) => return Ok(()),
                    Err(error) => return Err(Failure::new(format!("sending messages: {error}"))),
                }
            } else {
                return match self.stream.flush() {
                    Err(error) if is_not_now(&error) => Ok(()),
                    flushed => flushed.during("sending messages"),
                };
            }
        }
    }

    /// Sends one message and waits for its echo, on a blocking stream.
    pub(crate) fn round_trip(&mut self, scratch: &mut [u8], flight: &Flight) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        self.send(1, flight)?;
        while self.in_flight > 0 {
            self.receive(scratch, flight)?;
            self.flush(flight)?;
            if Instant::now() > deadline {
                return Err(Failure::new(format!("an echo did not come back within {PATIENCE:?}")));
            }
        }
        Ok(())
    }

    /// Ends a blocking connection as RFC 6455, section 7.1.1, asks of a client: Close, then wait until the server hangs
    /// up. A raw connection is dropped.
    pub(crate) fn close(mut self, scratch: &mut [u8]) -> Result<()> {
        if self.wire == Wire::Raw {
            return Ok(());
        }
        let mut close = Vec::new();
        frame::write_masked(&mut close, Opcode::Close, *b"done", &1000u16.to_be_bytes());
        self.stream.write_all(&close).and_then(|()| self.stream.flush()).during("sending a Close frame")?;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Some servers close with the client's bytes unread; the connection is over either way.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                // TLS says so when TCP ends, told or not.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => {
                    return Err(Failure::new(format!("waiting for the server to hang up: {error}")));
                }
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
