//! How messages are to be compressed, if the peer agrees.

use std::fmt;

/// How messages are compressed with a peer that can do it (permessage-deflate, RFC 7692). Off is `None`, in
/// [`Config::compression`](crate::Config::compression).
///
/// Compression saves bandwidth and costs processor time and memory: about 10 µs for a message of 1 KiB at each end.
/// And it tells a secret: see "What an attacker learns" below.
///
/// # Two modes
///
/// [`shared`](Compression::shared): each message stands alone ("no context takeover" in both directions). An idle
/// connection keeps nothing; a compressor is lent for as long as a message takes. Right for most servers, for
/// broadcasts, and for messages from some hundred bytes on.
///
/// [`windowed`](Compression::windowed): a message may refer to those before it ("context takeover"), so that many
/// small and similar messages become much smaller. Each connection keeps the last 2^`window_bits` bytes of plain text,
/// per direction, and no compressor. Right for few, chatty connections.
///
/// # What an attacker learns
///
/// What is compressed together tells by its length what it has in common. If a message holds a secret (a token, a
/// cookie, private text) next to text that an attacker chooses, and the attacker sees how long the encrypted messages
/// are, then the secret can be guessed letter by letter: the message gets shorter when the guess is right. These are the
/// attacks called CRIME and BREACH; TLS does not help. With context takeover the two need not even be in the same
/// message. Send such messages uncompressed ([`Outbox::send_uncompressed`](crate::Outbox::send_uncompressed)), in
/// particular in windowed mode, or leave compression off. That, and its cost, is why it is off by default.
///
/// ```
/// use sotong_proto::{Compression, Config, WindowBits};
///
/// let compression = Compression::windowed().with_window_bits(WindowBits::new(11).expect("8 to 15"));
/// let config = Config::default().with_compression(Some(compression));
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// What a message may refer to. Part of the handshake: to change it later changes nothing.
    pub mode: CompressionMode,
    /// The largest window: how far back a message refers. Default: 15 (32 KiB) in shared mode, where it costs no
    /// connection anything; 12 (4 KiB) in windowed mode, where each connection keeps twice as much. Part of the
    /// handshake.
    ///
    /// In shared mode it bounds what we send only. A peer is not asked for less than 9, since compressors in general have no
    /// window of 256 bytes. In windowed mode a peer that cannot be held to it in what it sends has
    /// to do without context takeover.
    pub window_bits: WindowBits,
    /// How hard to try. Default: [`CompressionLevel::FAST`].
    pub level: CompressionLevel,
    /// Messages of fewer bytes are sent as they are. Default: 256 in shared mode, 32 in windowed mode.
    ///
    /// Small messages do not get smaller when they stand alone, and cost as much time as larger ones: a compressor is
    /// got ready for each, which takes some microseconds.
    pub threshold_bytes: usize,
    /// How many times its size on the wire a message may have when it is inflated. Default: `None`, which is as
    /// much as the format allows, about 1,000 times.
    ///
    /// Fails the connection with 1009. A small message that becomes a large one costs a peer nothing and us the time
    /// and memory for all of it; what bounds that is [`message_bytes_max`](crate::Config::message_bytes_max), which
    /// holds while a message is inflated. Set this too where that limit is large; honest text seldom exceeds 20, but a
    /// page of blanks does. The first 16 KiB of a message are free.
    pub ratio_max: Option<u32>,
}

/// What a compressed message may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressionMode {
    /// Nothing but itself: the compressors are shared, an idle connection keeps nothing.
    Shared,
    /// The last plain text of the same direction, which each connection keeps.
    Windowed,
}

impl Compression {
    /// Each message stands alone, and an idle connection keeps nothing.
    pub const fn shared() -> Self {
        Compression {
            mode: CompressionMode::Shared,
            window_bits: WindowBits::MAX,
            level: CompressionLevel::FAST,
            threshold_bytes: 256,
            ratio_max: None,
        }
    }

    /// A message may refer to those before it; a connection keeps the last 4 KiB of each direction.
    pub const fn windowed() -> Self {
        Compression {
            mode: CompressionMode::Windowed,
            window_bits: WindowBits(12),
            threshold_bytes: 32,
            ..Compression::shared()
        }
    }

    /// Sets [`window_bits`](Self::window_bits).
    #[must_use]
    pub const fn with_window_bits(mut self, window_bits: WindowBits) -> Self {
        self.window_bits = window_bits;
        self
    }

    /// Sets [`level`](Self::level).
    #[must_use]
    pub const fn with_level(mut self, level: CompressionLevel) -> Self {
        self.level = level;
        self
    }

    /// Sets [`threshold_bytes`](Self::threshold_bytes).
    #[must_use]
    pub const fn with_threshold_bytes(mut self, threshold_bytes: usize) -> Self {
        self.threshold_bytes = threshold_bytes;
        self
    }

    /// Sets [`ratio_max`](Self::ratio_max).
    #[must_use]
    pub const fn with_ratio_max(mut self, ratio_max: Option<u32>) -> Self {
        self.ratio_max = ratio_max;
        self
    }
}

/// The size of a window: 2 to the power of this many bytes, 8 (256 bytes) to 15 (32 KiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes.
    pub const MIN: WindowBits = WindowBits(8);
    /// 512 bytes: the least that peers in general can do with.
    pub(crate) const ASKABLE_MIN: WindowBits = WindowBits(9);
    /// 32 KiB, which is what both ends use where nothing is agreed (RFC 7692, section 7.1.2).
    pub const MAX: WindowBits = WindowBits(15);

    /// `None` unless it is 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(WindowBits(bits)) } else { None }
    }

    /// From what stands in a handshake: decimal, without leading zeros (section 7.1.2.1).
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'8'..=b'9'] => WindowBits::new(digit - b'0'),
            [b'1', digit @ b'0'..=b'5'] => WindowBits::new(10 + digit - b'0'),
            _ => None,
        }
    }

    /// The number of bits.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// How many sizes there are.
    pub(crate) const COUNT: usize = (Self::MAX.0 - Self::MIN.0 + 1) as usize;

    /// Its place among them.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0 - Self::MIN.0)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        1 << self.0
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How hard a compressor tries: 1 is fast, 9 takes many times as long for some percent less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompressionLevel(u8);

impl CompressionLevel {
    /// 1: for messages that are sent once.
    pub const FAST: CompressionLevel = CompressionLevel(1);
    /// 6: what zlib has as its default.
    pub const BALANCED: CompressionLevel = CompressionLevel(6);
    /// 9: for broadcasts to very many.
    pub const SMALL: CompressionLevel = CompressionLevel(9);

    /// `None` unless it is 1 to 9.
    pub const fn new(level: u8) -> Option<Self> {
        if level >= 1 && level <= 9 { Some(CompressionLevel(level)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d6_window_bits_are_8_to_15_without_leading_zeros() {
        let accepted: Vec<String> =
            (0..=300).map(|bits| bits.to_string()).filter(|bits| WindowBits::parse(bits).is_some()).collect();
        assert_eq!(accepted, ["8", "9", "10", "11", "12", "13", "14", "15"]);
        for value in
            ["", "08", "010", "+8", "-8", "8 ", " 8", "8.0", "0x8", "8a", "１０", "4294967304", "1\u{0}"]
        {
            assert_eq!(WindowBits::parse(value), None, "{value:?}");
        }
        for bits in 8..=15 {
            assert_eq!(WindowBits::parse(&bits.to_string()), WindowBits::new(bits));
        }
        assert_eq!((WindowBits::new(7), WindowBits::new(16)), (None, None));
    }

    #[test]
    fn levels_are_1_to_9() {
        assert!((1..=9).all(|level| CompressionLevel::new(level).is_some_and(|it| it.get() == level)));
        assert_eq!((CompressionLevel::new(0), CompressionLevel::new(10)), (None, None));
    }
}
