//! Frames gathered outside the outbox's lock.

use std::io::IoSlice;

use crate::frame::{self, OpCode};
use crate::message::MessageRef;
use crate::side::Side;

/// Frames of a server that one thread gathers while it works through one read, without taking the lock of the
/// [`Outbox`](crate::Outbox) for each.
///
/// What is corked comes before whatever waits in the outbox; [`Outbox::prepend`](crate::Outbox::prepend) joins
/// them. A cork knows nothing of limits and closing: use it only while the outbox is empty and open, and
/// hold it to [`outbox_bytes_max`](crate::Config::outbox_bytes_max) yourself.
///
/// A large payload need not be copied: if it lies in the buffer that was read into,
/// [`send_lent`](Self::send_lent) notes where. Whoever writes then shows that buffer.
#[derive(Debug, Default)]
pub struct Cork {
    /// All but the payloads that are lent.
    bytes: Vec<u8>,
    lent: Vec<Lent>,
    lent_bytes: usize,
    /// How many of the bytes are Pongs.
    pong_bytes: usize,
    /// The payload of the latest Ping whose Pong found no room.
    postponed: Option<Box<[u8]>>,
}

/// A payload that stands in the buffer that was read into.
#[derive(Debug)]
struct Lent {
    /// How many of the cork's own bytes go before it.
    after: usize,
    start: usize,
    length: usize,
}

impl Cork {
    /// How many payloads may be lent at a time: each is two slices more of one write.
    pub const LENT_MAX: usize = 32;
    /// How many slices [`io_slices`](Self::io_slices) uses at most.
    pub const SLICES_MAX: usize = 2 * Self::LENT_MAX + 1;

    /// An empty cork.
    pub const fn new() -> Self {
        Cork { bytes: Vec::new(), lent: Vec::new(), lent_bytes: 0, pong_bytes: 0, postponed: None }
    }

    /// Adds a message.
    #[inline]
    pub fn send(&mut self, message: MessageRef<'_>) {
        super::push_frame(&mut self.bytes, super::opcode(message), message.as_bytes(), None);
    }

    /// Adds a message whose payload stays where it is, `start` bytes into the buffer that was read into. That buffer must
    /// not be read into again before the cork is empty.
    ///
    /// False, and nothing is added, when [`LENT_MAX`](Self::LENT_MAX) are lent.
    #[must_use]
    pub fn send_lent(&mut self, message: MessageRef<'_>, start: usize) -> bool {
        if self.lent.len() == Self::LENT_MAX {
            return false;
        }
        let length = message.as_bytes().len();
        frame::encode_header(&mut self.bytes, super::opcode(message), length, None);
        self.lent.push(Lent { after: self.bytes.len(), start, length });
        self.lent_bytes += length;
        true
    }

    /// Adds a Pong, unless Pongs would then take more than `pong_bytes_max` here (see
    /// [`Config::pong_bytes_max`](crate::Config::pong_bytes_max)). Then the latest is answered behind all that is
    /// corked, which is all that RFC 6455 asks for (section 5.5.3): see [`is_postponed`](Self::is_postponed).
    pub fn pong(&mut self, payload: &[u8], pong_bytes_max: usize) {
        let pong_bytes = self.pong_bytes + frame::frame_length(payload.len(), Side::Server);
        if self.pong_bytes != 0 && pong_bytes > pong_bytes_max {
            self.postponed = Some(payload.into());
            return;
        }
        self.pong_bytes = pong_bytes;
        super::push_frame(&mut self.bytes, OpCode::Pong, payload, None);
    }

    /// Whether the latest Ping is still to be answered, behind all that is corked: [`Outbox::prepend_rest`] does it.
    ///
    /// [`Outbox::prepend_rest`]: crate::Outbox::prepend_rest
    #[inline]
    pub fn is_postponed(&self) -> bool {
        self.postponed.is_some()
    }

    /// The payload of that Ping.
    pub(super) fn take_postponed(&mut self) -> Option<Box<[u8]>> {
        self.postponed.take()
    }

    /// All that is corked, if it is one run of bytes: if no payload is lent.
    #[inline]
    pub fn as_one(&self) -> Option<&[u8]> {
        (!self.is_lent()).then_some(&self.bytes)
    }

    /// Fills `slices`, which must have room for [`SLICES_MAX`](Self::SLICES_MAX), with all that is corked, and returns how
    /// many it used. `read` is the buffer that was read into.
    pub fn io_slices<'a>(&'a self, read: &'a [u8], slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slot, run) in slices.iter_mut().zip(self.runs(read)) {
            *slot = IoSlice::new(run);
            used += 1;
        }
        used
    }

    /// The bytes in the order in which they leave.
    fn runs<'a>(&'a self, read: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut from = 0;
        let lent = self.lent.iter().flat_map(move |lent| {
            let own = &self.bytes[std::mem::replace(&mut from, lent.after)..lent.after];
            [own, &read[lent.start..lent.start + lent.length]]
        });
        let last = &self.bytes[self.lent.last().map_or(0, |lent| lent.after)..];
        lent.chain((!last.is_empty()).then_some(last))
    }

    /// How many bytes are corked.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.lent_bytes
    }

    /// Whether payloads are lent, so that writing needs the buffer that was read into.
    #[inline]
    pub fn is_lent(&self) -> bool {
        !self.lent.is_empty()
    }

    /// How many of the bytes are Pongs.
    pub(super) fn pong_bytes(&self) -> usize {
        self.pong_bytes
    }

    /// Whether nothing is corked.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets the bytes and keeps the room.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lent.clear();
        self.lent_bytes = 0;
        self.pong_bytes = 0;
        self.postponed = None;
    }

    /// Gives back memory beyond `room_max` bytes.
    pub fn shrink(&mut self, room_max: usize) {
        self.bytes.shrink_to(room_max);
    }

    /// All that is corked but the first `sent` bytes, as one run.
    pub(super) fn take_rest(&mut self, read: &[u8], mut sent: usize) -> Vec<u8> {
        let rest = if sent == 0 && !self.is_lent() {
            std::mem::take(&mut self.bytes)
        } else {
            let mut rest = Vec::with_capacity(self.len() - sent);
            for run in self.runs(read) {
                let skipped = sent.min(run.len());
                rest.extend_from_slice(&run[skipped..]);
                sent -= skipped;
            }
            rest
        };
        self.clear();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::outbox::Outbox;

    fn written(cork: &Cork, read: &[u8]) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); Cork::SLICES_MAX];
        let used = cork.io_slices(read, &mut slices);
        slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    /// Messages by the lengths of their payloads, every second one lent.
    fn corks(lengths: &[usize], read: &[u8]) -> (Cork, Cork) {
        let (mut lending, mut copying) = (Cork::new(), Cork::new());
        let mut start = 0;
        for (index, length) in lengths.iter().enumerate() {
            let message = MessageRef::Binary(&read[start..start + length]);
            copying.send(message);
            if index % 2 == 0 {
                assert!(lending.send_lent(message, start));
            } else {
                lending.send(message);
            }
            start += length;
        }
        (lending, copying)
    }

    #[test]
    fn what_is_lent_leaves_as_what_is_copied() {
        let read: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
        for lengths in [&[][..], &[0], &[70_000], &[1, 2, 3], &[300, 0, 66_000, 5, 125], &[0, 0, 0]] {
            let (lending, copying) = corks(lengths, &read);
            assert_eq!(lending.len(), copying.len(), "{lengths:?}");
            assert_eq!(written(&lending, &read), written(&copying, &[]), "{lengths:?}");
        }
    }

    #[test]
    fn what_is_lent_waits_as_what_is_copied_wherever_the_kernel_stopped() {
        let read: Vec<u8> = (0..600u32).map(|index| index as u8).collect();
        let lengths = [200, 5, 130, 0, 1];
        let all = corks(&lengths, &read).0.len();
        for sent in 0..=all {
            let [mut lending, mut copying] = [(); 2].map(|()| Outbox::server(Config::default().into()));
            let (mut lent, mut copied) = corks(&lengths, &read);
            lending.prepend_rest(&mut lent, &read, sent);
            copying.prepend_rest(&mut copied, &[], sent);
            assert!(lent.is_empty() && !lent.is_lent());
            assert_eq!(lending.take_bytes(), copying.take_bytes(), "after {sent}");
        }
    }

    #[test]
    fn no_more_is_lent_than_one_write_takes() {
        let read = [7; 10];
        let mut cork = Cork::new();
        for _ in 0..Cork::LENT_MAX {
            assert!(cork.send_lent(MessageRef::Binary(&read), 0));
        }
        let before = written(&cork, &read);
        assert!(!cork.send_lent(MessageRef::Binary(&read), 0), "one more");
        assert_eq!(written(&cork, &read), before);
        cork.send(MessageRef::Binary(&read));
        assert_eq!(written(&cork, &read).len(), before.len() + 12);
    }

    #[test]
    fn of_pongs_that_find_no_room_the_latest_is_kept() {
        let mut cork = Cork::new();
        for payload in [b"1234", b"5678", b"9012"] {
            cork.pong(payload, 8);
        }
        assert_eq!(written(&cork, &[]), b"\x8a\x041234");
        assert_eq!(cork.take_postponed().as_deref(), Some(&b"9012"[..]));
        assert_eq!(cork.take_postponed(), None);
    }
}
