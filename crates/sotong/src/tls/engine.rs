//! One end of TLS without a stream and without buffers of its own: ciphertext goes in, plaintext comes out, and the other
//! way round. Both sides of rustls' unbuffered connection behind one face.

use std::cell::Cell;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{ClientConfig, Error, ServerConfig};

/// What a record has besides its plaintext, at most (RFC 8446, section 5.2; RFC 5246, section 6.2.3).
const RECORD_OVERHEAD_BYTES: usize = 5 + 256;
/// The plaintext of one record (RFC 8446, section 5.1).
pub(super) const RECORD_BYTES: usize = 16 * 1024;
/// The room for ciphertext that a thread keeps: what one write makes.
const CIPHERTEXT_BYTES_KEPT: usize = 128 * 1024;

/// One end of TLS.
pub(super) enum Engine {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What is to be put into records.
#[derive(Clone, Copy)]
pub(super) enum Saying<'a> {
    Data(&'a [u8]),
    /// `close_notify` (RFC 8446, section 6.1).
    GoodBye,
}

/// What one step came to.
struct Step {
    /// How many of the first bytes that came in are used up.
    used: usize,
    outcome: Result<Progress, Error>,
}

#[derive(PartialEq)]
enum Progress {
    /// There may be more to do.
    GoesOn,
    /// The peer has said good-bye. We may still have something to say.
    PeerIsDone,
    /// Nothing to do before more comes in, or is to be said.
    Waits,
}

impl Engine {
    pub(super) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        UnbufferedClientConnection::new(config, name).map(Engine::Client)
    }

    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(Engine::Server)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Engine::Client(connection) => connection.is_handshaking(),
            Engine::Server(connection) => connection.is_handshaking(),
        }
    }

    fn wants_write(&self) -> bool {
        match self {
            Engine::Client(connection) => connection.wants_write(),
            Engine::Server(connection) => connection.wants_write(),
        }
    }

    /// Goes on until there is nothing more to do. Of the ciphertext in `area` from `at` on, it hands the plaintext of each record
    /// to `heard`, with what of `area` is free by then, and moves `at` behind what it has used up. What is to be sent goes into
    /// `ciphertext`, and so does what is in `saying`; it stays there if it may not be said yet, or any more.
    ///
    /// What is not used up must be there again at the next call, in front of what has come since: rustls remembers how far it
    /// has looked at it.
    ///
    /// True if the peer has said good-bye.
    ///
    /// # Errors
    /// The peer broke the protocol, or its certificate is no good. The alert that tells it so is in `ciphertext`.
    pub(super) fn run(
        &mut self,
        area: &mut [u8],
        at: &mut usize,
        mut heard: impl FnMut(&mut [u8], &[u8]),
        saying: &mut Option<Saying<'_>>,
        ciphertext: &mut Ciphertext,
    ) -> Result<bool, Error> {
        let mut peer_is_done = false;
        loop {
            let (free, unread) = area.split_at_mut(*at);
            let step = self.step(unread, |plaintext| heard(free, plaintext), saying, ciphertext);
            *at += step.used.min(unread.len());
            match step.outcome {
                Ok(Progress::GoesOn) => {}
                Ok(Progress::PeerIsDone) => peer_is_done = true,
                Ok(Progress::Waits) => return Ok(peer_is_done),
                Err(error) => {
                    // What waits to be sent, the alert last. Nothing that came in is looked at again.
                    while self.wants_write()
                        && self.step(&mut area[*at..], |_| {}, &mut None, ciphertext).outcome.is_ok()
                    {
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Does the next thing.
    fn step(
        &mut self,
        incoming: &mut [u8],
        heard: impl FnMut(&[u8]),
        saying: &mut Option<Saying<'_>>,
        ciphertext: &mut Ciphertext,
    ) -> Step {
        match self {
            Engine::Client(connection) => {
                take(connection.process_tls_records(incoming), heard, saying, ciphertext)
            }
            Engine::Server(connection) => {
                take(connection.process_tls_records(incoming), heard, saying, ciphertext)
            }
        }
    }
}

fn take<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    heard: impl FnMut(&[u8]),
    saying: &mut Option<Saying<'_>>,
    ciphertext: &mut Ciphertext,
) -> Step {
    let mut used = status.discard;
    let outcome = status.state.and_then(|state| handle(state, &mut used, heard, saying, ciphertext));
    Step { used, outcome }
}

fn handle<Data>(
    state: ConnectionState<'_, '_, Data>,
    used: &mut usize,
    mut heard: impl FnMut(&[u8]),
    saying: &mut Option<Saying<'_>>,
    ciphertext: &mut Ciphertext,
) -> Result<Progress, Error> {
    match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                *used += record.discard;
                heard(record.payload);
            }
        }
        ConnectionState::EncodeTlsData(mut data) => {
            ciphertext.append(0, |room| data.encode(room).map_err(Wanted::from))?;
        }
        // What is encoded stands before all that is said later, so it is as good as sent.
        ConnectionState::TransmitTlsData(data) => data.done(),
        ConnectionState::WriteTraffic(mut traffic) => {
            match saying.take() {
                None => {}
                Some(Saying::Data(data)) => {
                    let guess = data.len() + data.len().div_ceil(RECORD_BYTES) * RECORD_OVERHEAD_BYTES;
                    ciphertext.append(guess, |room| traffic.encrypt(data, room).map_err(Wanted::from))?;
                }
                Some(Saying::GoodBye) => {
                    let guess = RECORD_OVERHEAD_BYTES;
                    ciphertext
                        .append(guess, |room| traffic.queue_close_notify(room).map_err(Wanted::from))?;
                }
            }
            return Ok(Progress::Waits);
        }
        ConnectionState::PeerClosed => return Ok(Progress::PeerIsDone),
        ConnectionState::BlockedHandshake | ConnectionState::Closed => return Ok(Progress::Waits),
        // Early data is off; it could be replayed.
        _ => return Err(Error::General("TLS came into a state that it is never asked for".to_owned())),
    }
    Ok(Progress::GoesOn)
}

/// Why something was not encoded.
enum Wanted {
    /// It needs this much room.
    Room(usize),
    Failed(Error),
}

impl From<EncodeError> for Wanted {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Wanted::Room(required_size)
            }
            EncodeError::AlreadyEncoded => Wanted::Failed(Error::General(error.to_string())),
        }
    }
}

impl From<EncryptError> for Wanted {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Wanted::Room(required_size)
            }
            EncryptError::EncryptExhausted => Wanted::Failed(Error::EncryptError),
        }
    }
}

/// Records on their way out. The room for them is the thread's, and is zeroed once and not for each record.
#[derive(Default)]
pub(super) struct Ciphertext {
    room: Vec<u8>,
    filled: usize,
}

impl Ciphertext {
    /// Lends this thread's to `run`, empty.
    pub(super) fn lend<R>(run: impl FnOnce(&mut Ciphertext) -> R) -> R {
        thread_local! {
            static CIPHERTEXT: Cell<Ciphertext> = const { Cell::new(Ciphertext { room: Vec::new(), filled: 0 }) };
        }
        // At a thread's end there may be none left; whoever takes it while it is lent gets another one.
        let mut ciphertext = CIPHERTEXT.try_with(Cell::take).unwrap_or_default();
        ciphertext.filled = 0;
        let result = run(&mut ciphertext);
        if ciphertext.room.len() <= CIPHERTEXT_BYTES_KEPT {
            let _ = CIPHERTEXT.try_with(|kept| kept.set(ciphertext));
        }
        result
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.filled]
    }

    /// Appends what `encode` writes into room for as many bytes as it wants, `guess` at first.
    fn append(
        &mut self,
        guess: usize,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, Wanted>,
    ) -> Result<(), Error> {
        let mut wanted = guess;
        loop {
            if self.room.len() < self.filled + wanted {
                self.room.resize(self.filled + wanted, 0);
            }
            match encode(&mut self.room[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    return Ok(());
                }
                // More than there was: this ends.
                Err(Wanted::Room(more)) if self.room.len() < self.filled + more => wanted = more,
                Err(Wanted::Room(more)) => {
                    return Err(Error::General(format!(
                        "a record of {more} bytes does not fit where it should"
                    )));
                }
                Err(Wanted::Failed(error)) => return Err(error),
            }
        }
    }
}
