//! The other end of the benchmarks `receive` and `send`: it streams messages in, or takes in what is streamed, on some
//! connections by one thread with one epoll.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::connection::PATIENCE;
use crate::dialer::{Dialer, Target};
use crate::echo_reader::Wire;
use crate::failure::{Failure, Result, While, is_not_now};
use crate::frame::{self, Head, Opcode};
use crate::handshake::{self, Offer};
use crate::one_way_server::{self as server, ASK, TEXT, Way};

/// How much is written at a time.
const BLOCK_BYTES: usize = 16 << 10;
/// How much is read at a time.
const SCRATCH_BYTES: usize = 512 << 10;

/// Some connections, all messages going one way.
pub(crate) struct Streams {
    way: Way,
    wire: Wire,
    epoll: OwnedFd,
    streams: Vec<Stream>,
    events: Vec<epoll::Event>,
    /// What is written again and again, or what must come again and again. Whole frames.
    block: Vec<u8>,
    frame_bytes: usize,
    scratch: Vec<u8>,
    bytes: u64,
}

struct Stream {
    socket: TcpStream,
    /// Where in the block the stream stands.
    offset: usize,
    /// Bytes since the beginning.
    bytes: u64,
}

impl Streams {
    pub(crate) fn connect(target: &Target, wire: Wire, way: Way, connections: usize) -> Result<Self> {
        let block = match way {
            Way::Receive => masked_frames(BLOCK_BYTES),
            // More than a read brings, so that each read is one comparison.
            Way::Send => server::frames(SCRATCH_BYTES + BLOCK_BYTES),
        };
        let frame_bytes = match way {
            Way::Receive => 2 + 4 + TEXT.len(),
            Way::Send => 2 + TEXT.len(),
        };
        let epoll = epoll::create(CreateFlags::CLOEXEC).during("making an epoll")?;
        let interest = match way {
            Way::Receive => EventFlags::OUT,
            Way::Send => EventFlags::IN,
        };
        let mut all = Self {
            way,
            wire,
            epoll,
            streams: Vec::new(),
            events: Vec::with_capacity(256),
            block,
            frame_bytes,
            scratch: vec![0; SCRATCH_BYTES],
            bytes: 0,
        };
        let mut dialer = Dialer::new(target.address);
        for index in 0..connections {
            let mut socket = dialer.dial()?;
            socket.set_read_timeout(Some(PATIENCE)).during("setting a read timeout")?;
            socket.set_write_timeout(Some(PATIENCE)).during("setting a write timeout")?;
            let early = match wire {
                Wire::Raw => Vec::new(),
                Wire::WebSocket => handshake::shake(&mut socket, target, Offer::Nothing)?,
            };
            socket.set_nonblocking(true).during("making a socket non-blocking")?;
            epoll::add(&all.epoll, &socket, EventData::new_u64(index as u64), interest)
                .during("adding to an epoll")?;
            all.streams.push(Stream { socket, offset: 0, bytes: 0 });
            all.take(index, &early)?;
        }
        Ok(all)
    }

    /// How many messages have gone, or come, altogether. Of those that the server is to receive it has had all only after
    /// [`settle`](Self::settle).
    pub(crate) fn messages(&self) -> u64 {
        self.bytes / self.frame_bytes as u64
    }

    /// Bytes on the wire so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn run_for(&mut self, window: Duration) -> Result<()> {
        const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let end = Instant::now() + window;
        let (mut last, mut last_bytes) = (Instant::now(), self.bytes);
        loop {
            self.events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("waiting for readiness"),
            }
            for position in 0..self.events.len() {
                self.turn(self.events[position].data.u64() as usize)?;
            }
            let now = Instant::now();
            if self.bytes != last_bytes {
                (last, last_bytes) = (now, self.bytes);
            } else if now - last > PATIENCE {
                return Err(Failure::new(format!("nothing moved for {PATIENCE:?}")));
            }
            if now >= end {
                return Ok(());
            }
        }
    }

    fn turn(&mut self, index: usize) -> Result<()> {
        let stream = &mut self.streams[index];
        match self.way {
            Way::Receive => match stream.socket.write(&self.block[stream.offset..]) {
                Ok(sent) => {
                    stream.went(sent, self.block.len());
                    self.bytes += sent as u64;
                }
                Err(error) if is_not_now(&error) => {}
                Err(error) => return Err(Failure::new(format!("sending messages: {error}"))),
            },
            Way::Send => {
                let mut scratch = std::mem::take(&mut self.scratch);
                let taken = match stream.socket.read(&mut scratch) {
                    Ok(0) => Err(Failure::new("the server hung up")),
                    Ok(count) => self.take(index, &scratch[..count]),
                    Err(error) if is_not_now(&error) => Ok(()),
                    Err(error) => Err(Failure::new(format!("reading messages: {error}"))),
                };
                self.scratch = scratch;
                taken?;
            }
        }
        Ok(())
    }

    /// Compares what came with what must come: every byte.
    fn take(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        let stream = &mut self.streams[index];
        if self.block.get(stream.offset..stream.offset + bytes.len()) != Some(bytes) {
            return Err(Failure::new(format!(
                "the server sent something else than was agreed on, within {} bytes after byte {}",
                bytes.len(),
                stream.bytes
            )));
        }
        stream.bytes += bytes.len() as u64;
        // So that the next read is one piece of the block again.
        stream.offset = (stream.offset + bytes.len()) % self.frame_bytes;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends each stream with a whole block and waits until the server has said that it has had every message. What it
    /// sends of its own accord needs none of this.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if self.way == Way::Send {
            return Ok(());
        }
        for stream in &mut self.streams {
            stream.socket.set_nonblocking(false).during("making a socket blocking")?;
            let rest = &self.block[stream.offset..];
            if stream.offset > 0 {
                stream.socket.write_all(rest).during("sending messages")?;
                self.bytes += rest.len() as u64;
                stream.went(rest.len(), self.block.len());
            }
            let had = stream.ask(self.wire, self.frame_bytes)?;
            let sent = stream.bytes / self.frame_bytes as u64;
            if had != sent {
                return Err(Failure::new(format!("the server counts {had} messages; {sent} were sent")));
            }
            stream.socket.set_nonblocking(true).during("making a socket non-blocking")?;
        }
        Ok(())
    }
}

impl Stream {
    fn went(&mut self, bytes: usize, block_bytes: usize) {
        self.offset = (self.offset + bytes) % block_bytes;
        self.bytes += bytes as u64;
    }

    /// Asks for the count of messages.
    fn ask(&mut self, wire: Wire, frame_bytes: usize) -> Result<u64> {
        let during = "asking for the count";
        if wire == Wire::Raw {
            self.socket.write_all(&[ASK]).during(during)?;
            let mut answer = [0; 8];
            self.socket.read_exact(&mut answer).during(during)?;
            return Ok(u64::from_be_bytes(answer) / frame_bytes as u64);
        }
        let mut question = Vec::new();
        frame::write_masked(&mut question, Opcode::Binary, *b"ask!", b"?");
        self.socket.write_all(&question).during(during)?;
        let mut answer = Vec::new();
        loop {
            let mut chunk = [0; 64];
            match self.socket.read(&mut chunk).during(during)? {
                0 => return Err(Failure::new("the server hung up")),
                count => answer.extend_from_slice(&chunk[..count]),
            }
            let Some(head) = Head::parse(&answer)? else { continue };
            let Some(digits) = answer.get(head.head_bytes..head.head_bytes + head.payload_bytes as usize)
            else {
                continue;
            };
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            return number.ok_or_else(|| Failure::new("the server's count is no number"));
        }
    }
}

/// Masked frames with [`TEXT`], as many as fit, under masks that differ. No byte of them is [`ASK`]: text and masks are
/// below 0x80, and so are their differences.
fn masked_frames(bytes: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(bytes);
    let mut number: u32 = 0;
    while block.len() + 2 + 4 + TEXT.len() <= bytes {
        number += 1;
        let mask = (number.wrapping_mul(0x9E37_79B9) & 0x7F7F_7F7F).to_be_bytes();
        frame::write_masked(&mut block, Opcode::Text, mask, TEXT.as_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_frame_has_the_byte_that_asks() {
        let block = masked_frames(BLOCK_BYTES);
        assert!(block.len() > BLOCK_BYTES - 38 && block.len().is_multiple_of(38));
        assert!(!block.contains(&ASK));
    }

    #[test]
    fn the_text_has_as_many_bytes_as_it_is_measured_with() {
        assert_eq!(TEXT.len(), 32);
    }
}
