//! The floor: a TCP echo that parses nothing. One thread unless more are wanted, one epoll for each, one recv and one send per
//! readiness, with TLS if it is wanted. No WebSocket server that wakes by epoll and reads and writes by system calls can be
//! cheaper, so it is what others are compared with.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustls::ServerConfig;

use crate::cores;
use crate::failure::{Failure, Result, While, is_not_now};
use crate::settings::RawSettings;
use crate::tls::{self, Carrier};

/// Larger than all that 10 connections x 4 messages x 64 KiB leave waiting on one socket. 128 KiB is much worse there.
const BUFFER_BYTES: usize = 512 << 10;

const LISTENER: u64 = u64::MAX;

/// The subcommand `raw`.
pub(crate) fn run(settings: &RawSettings) -> Result<()> {
    cores::raise_open_files(0)?;
    let listener = listen(settings.listen)?;
    let address = listener.local_addr().during("asking for the port")?;
    let tls = settings.tls.as_ref().map(|(chain, key)| tls::server_config(chain, key)).transpose()?;
    // The kernel spreads connections over listeners at one address, so that threads have nothing in common.
    for _ in 1..settings.threads {
        let echo = Echo::new(listen(address)?, tls.clone())?;
        std::thread::spawn(move || {
            if let Err(failure) = echo.serve() {
                // Not to be measured any more.
                eprintln!("sotong-bench: {failure}");
                std::process::exit(1);
            }
        });
    }
    let echo = Echo::new(listener, tls)?;
    println!("listening on {address}");
    io::stdout().flush().during("writing to stdout")?;
    echo.serve()
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listening = net::socket_with(family, SocketType::STREAM, flags, None).and_then(|socket| {
        sockopt::set_socket_reuseport(&socket, true)?;
        net::bind(&socket, &address)?;
        net::listen(&socket, 1024)?;
        Ok(socket)
    });
    listening.map(TcpListener::from).during(format_args!("listening on {address}"))
}

struct Peer {
    stream: Carrier,
    /// What the kernel refused. While there is any, nothing more is read: the client waits, memory does not grow.
    unsent: Vec<u8>,
}

struct Echo {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    epoll: rustix::fd::OwnedFd,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

impl Echo {
    fn new(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).during("making an epoll")?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
            .during("adding to an epoll")?;
        Ok(Self { listener, tls, epoll, peers: Vec::new(), free: Vec::new(), buffer: vec![0; BUFFER_BYTES] })
    }

    fn serve(mut self) -> Result<()> {
        let mut events = Vec::with_capacity(1024);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("waiting for readiness"),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    // An index is used again only after its socket is closed, and a socket comes once per batch.
                    index => self.ready(index as usize)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nodelay(true).during("setting TCP_NODELAY")?;
                    stream.set_nonblocking(true).during("making a socket non-blocking")?;
                    let index = self.free.pop().unwrap_or_else(|| {
                        self.peers.push(None);
                        self.peers.len() - 1
                    });
                    epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)
                        .during("adding to an epoll")?;
                    let stream = Carrier::server(stream, self.tls.as_ref())?;
                    self.peers[index] = Some(Peer { stream, unsent: Vec::new() });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Out of files: going on would spin, and a floor with refused connections measures nothing.
                Err(error) => return Err(Failure::new(format!("accepting a connection: {error}"))),
            }
        }
    }

    fn ready(&mut self, index: usize) -> Result<()> {
        let Some(peer) = &mut self.peers[index] else { return Ok(()) };
        let was_blocked = peer.is_blocked();
        let outcome = if was_blocked { peer.write_unsent() } else { peer.echo_once(&mut self.buffer) };
        match outcome {
            Ok(()) => {
                let is_blocked = peer.is_blocked();
                if is_blocked != was_blocked {
                    let interest = if is_blocked { EventFlags::OUT } else { EventFlags::IN };
                    epoll::modify(&self.epoll, &peer.stream, EventData::new_u64(index as u64), interest)
                        .during("changing an epoll interest")?;
                }
            }
            Err(error) if is_not_now(&error) => {}
            // The peer is gone, in order or not. Dropping the socket takes it out of the epoll.
            Err(_) => {
                self.peers[index] = None;
                self.free.push(index);
            }
        }
        Ok(())
    }
}

impl Peer {
    fn is_blocked(&self) -> bool {
        !self.unsent.is_empty() || self.stream.is_behind()
    }

    #[inline]
    fn echo_once(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let received = self.stream.read(buffer)?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let sent = match self.stream.write(&buffer[..received]) {
            Ok(sent) => sent,
            Err(error) if is_not_now(&error) => 0,
            Err(error) => return Err(error),
        };
        if sent < received {
            self.unsent.extend_from_slice(&buffer[sent..received]);
        }
        Ok(())
    }

    fn write_unsent(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return self.stream.flush();
        }
        let sent = self.stream.write(&self.unsent)?;
        self.unsent.drain(..sent);
        Ok(())
    }
}
