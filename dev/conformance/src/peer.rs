//! Driving a player against a peer that can block.

use std::io;

use crate::{Case, Output, Player, Subject, Verdict, Wait};

/// The other end of the connection, after the opening handshake.
pub trait Peer {
    /// Hands over these bytes as one write. What an earlier call has handed over comes before.
    ///
    /// # Errors
    /// When the peer has closed the connection and takes nothing more. Bytes that it had sent before
    /// can still be received.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Appends what the peer has sent, and waits for it as long as [`Wait`] asks.
    fn receive(&mut self, wait: Wait, into: &mut Vec<u8>) -> Received;
}

/// What came of a call of [`Peer::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// At least one byte was appended.
    Bytes,
    /// Nothing came within the time.
    Silence,
    /// The peer has closed its direction of the connection, and all its bytes were received.
    End,
}

/// Plays a case from its first frame to the verdict. The connection is not to be used afterwards,
/// and the caller closes it.
pub fn play(case: &Case, subject: Subject, peer: &mut impl Peer) -> Verdict {
    let mut player = Player::new(case, subject);
    let mut bytes = Vec::new();
    loop {
        let wait = match player.poll() {
            Output::Done(verdict) => return verdict,
            Output::Wait(wait) => wait,
            Output::Write(write) => match peer.send(&write) {
                Ok(()) => Wait::Nothing,
                Err(_) => {
                    hear_out(&mut player, peer);
                    continue;
                }
            },
        };
        bytes.clear();
        match peer.receive(wait, &mut bytes) {
            Received::Bytes => player.receive(&bytes),
            Received::Silence if wait == Wait::Nothing => {}
            Received::Silence => player.handle_silence(),
            Received::End => player.handle_end(),
        }
    }
}

/// The peer takes no more, yet its last words may tell why.
fn hear_out(player: &mut Player, peer: &mut impl Peer) {
    let mut bytes = Vec::new();
    while peer.receive(Wait::End, &mut bytes) == Received::Bytes {
        player.receive(&bytes);
        bytes.clear();
    }
    player.handle_end();
}
