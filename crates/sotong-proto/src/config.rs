//! Every limit and every deadline, in one place.

use std::time::Duration;

use crate::extension::deflate::Compression;

/// The limits and deadlines of a connection, each with a default that is safe on the open internet.
///
/// ```
/// use sotong_proto::Config;
/// use std::time::Duration;
///
/// let config = Config::default()
///     .with_message_bytes_max(64 * 1024)
///     .with_ping_interval(Some(Duration::from_secs(10)));
/// assert_eq!(config.message_bytes_max, 64 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long a peer may take for the handshake: a client from the first moment of the connection, a server from
    /// the moment that it is asked. Default: 10 seconds.
    ///
    /// A client is answered with 408. Without it, connections that never say anything fill the table of open files
    /// ("slowloris"). Raise it only for peers behind very slow links.
    pub handshake_timeout: Duration,
    /// The longest request line, in bytes. Default: 8 KiB, as common web servers have it.
    ///
    /// Answered with 414. Tokens in a query need some room; more invites a peer to make us keep what we do not
    /// want.
    pub request_line_bytes_max: usize,
    /// The largest head (request or status line, and headers), in bytes. Default: 16 KiB.
    ///
    /// A request is answered with 431, a response fails the handshake. Until the head is complete it is kept, so this is what a peer that has not yet said who
    /// it is may cost. Cookies are what makes heads large.
    pub head_bytes_max: usize,
    /// The most header lines in a request or a response. Default: 64.
    ///
    /// A request is answered with 431, a response fails the handshake. Browsers send about 15. Many headers broke other implementations (CVE-2024-37890).
    pub headers_max: usize,

    /// The largest message, in bytes of payload, of all its fragments together. Default: 1 MiB. `u64::MAX`: no
    /// limit.
    ///
    /// Fails the connection with 1009 as soon as a header announces more, before any of that payload is read or
    /// any memory is set aside. Without it a peer decides how much memory it costs us. Raise it where large
    /// messages are expected, for example for uploads, and count: each connection may cost twice this.
    pub message_bytes_max: u64,
    /// The most bytes on the wire, frame headers counted, that one message may take. Default: 2 MiB + 64 KiB.
    ///
    /// Fails the connection with 1009. Stops a message that is made of endless empty or tiny fragments
    /// (CVE-2014-0193, CVE-2026-48779), whose payload alone never reaches [`message_bytes_max`](Self::message_bytes_max).
    /// [`with_message_bytes_max`](Self::with_message_bytes_max) sets it to twice that limit and 64 KiB, which lets
    /// fragments of ten bytes through.
    pub message_wire_bytes_max: u64,
    /// How long a peer may take from the first byte of a message to its last one. Default: 60 seconds. `None`: as
    /// long as it likes.
    ///
    /// Fails the connection with 1008. A half-sent message holds memory, and a peer that answers pings in the
    /// middle of it looks alive for ever. Only the time counts in which we read. Raise it for large messages over slow links.
    pub message_timeout: Option<Duration>,

    /// The most bytes that may wait to be sent. Default: 2 MiB.
    ///
    /// A message that does not fit is handed back as "full". One message is always accepted when nothing is
    /// waiting, however large it is. This is what a peer that does not read may cost; a client in event form keeps as much
    /// again for what its callbacks send. Keep it above
    /// `message_bytes_max` and 576 KiB if you echo, so that one read's worth of answers fits.
    pub outbox_bytes_max: usize,
    /// The most bytes of received messages that may wait for a slow application (pull form). Default: 256 KiB.
    ///
    /// When it is reached we stop reading, and TCP slows the peer down. One message that is larger still comes
    /// through.
    pub inbox_bytes_max: usize,
    /// The most bytes of Pongs that may wait to be sent. Default: 4 KiB.
    ///
    /// Beyond it only the latest Ping is answered, as soon as those Pongs have left, as RFC 6455, section 5.5.3 allows. Stops the memory growth that
    /// a peer causes who pings and never reads.
    pub pong_bytes_max: usize,
    /// How long a write may make no progress at all before the connection is dropped. Default: 30 seconds.
    /// `None`: for ever.
    ///
    /// A peer that stops reading keeps what waits for it in our memory.
    pub write_timeout: Option<Duration>,

    /// After how long a silence a Ping is sent. Default: 20 seconds. `None` or zero: never.
    ///
    /// Any byte from the peer counts as life. 20 seconds keep connections open through load balancers and NATs
    /// that close idle ones after 30 or 60 seconds, and find out soon enough that a phone has gone.
    pub ping_interval: Option<Duration>,
    /// How long after such a Ping *anything* must have come. Default: 20 seconds.
    ///
    /// Otherwise the connection is dropped. The deadline is suspended while we ourselves do not read.
    pub pong_timeout: Duration,
    /// How long no message may go either way before the connection is closed. Default: `None`, which is as long as
    /// both like; so is zero.
    ///
    /// Closes with 1001. Pings and Pongs do not count, so this ends connections that are alive and of no use: pages
    /// that nobody looks at, clients that a bug keeps open. A message that is on its way counts. What we send is
    /// noticed with a delay: the end comes up to a quarter of this time late, and never early. Set it where each
    /// connection costs more than memory, and where clients connect again when they need to.
    pub idle_timeout: Option<Duration>,
    /// How long a connection may last at all. Default: `None`, which is as long as both like; so is zero.
    ///
    /// Closes with 1001, in the middle of whatever goes on, so clients must be fit to connect again. It spreads
    /// clients anew over servers behind a load balancer, and ends what a token that has run out once allowed.
    pub lifetime_max: Option<Duration>,
    /// How fast messages may come. Default: `None`, which is as fast as we read.
    ///
    /// Fails the connection with 1008 at the first message beyond it, which is not handed on. A message of one byte
    /// costs a peer nothing, and may cost the application a query. Pings do not count (see
    /// [`pong_bytes_max`](Self::pong_bytes_max)), nor do fragments, whose headers count as bytes (see
    /// [`message_wire_bytes_max`](Self::message_wire_bytes_max)). Set it to several times of what an honest client
    /// needs: messages that a slow network has held back come all at once.
    pub message_rate: Option<Rate>,
    /// How long the end may take, from the moment that a Close is sent until TCP is closed. Default: 5 seconds.
    ///
    /// Every close ends within this time, whatever the peer does.
    pub close_timeout: Duration,

    /// How messages are compressed with peers that can do it (permessage-deflate). Default: `None`, not at all.
    ///
    /// What it costs, which secrets it can tell, and the two modes: see [`Compression`]. Whether a connection is
    /// compressed is settled in its handshake. Later, on one that is, a change sets how hard to try and from which size
    /// on; `None` then stops compressing what is sent.
    pub compression: Option<Compression>,

    /// Whether lengths that could have been written shorter are accepted. Default: [`NonMinimalLengths::Refuse`].
    ///
    /// RFC 6455, section 5.2 says that the shortest form MUST be used.
    pub non_minimal_lengths: NonMinimalLengths,
}

/// What to do with a frame whose length is not written in the shortest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NonMinimalLengths {
    /// Fail the connection with 1002, as RFC 6455, section 5.2 asks.
    #[default]
    Refuse,
    /// Accept it: for peers that are known to get this wrong and cannot be mended.
    Accept,
}

/// So many in a second in the long run, and so many at once: a token bucket.
///
/// ```
/// use sotong_proto::{Config, Rate};
///
/// // 50 messages at once after a pause, 10 in each second from then on.
/// let config = Config::default().with_message_rate(Some(Rate::new(10, 50)));
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many become free in each second; the bucket's inflow. Zero counts as one.
    pub per_second: u32,
    /// How many may come at once after a pause; the bucket's size. Zero counts as one.
    pub burst: u32,
}

impl Rate {
    /// `per_second` in the long run, `burst` at once.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Rate { per_second, burst }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} per second and {} at once", self.per_second.max(1), self.burst.max(1))
    }
}

const KIB: u64 = 1024;

impl Default for Config {
    fn default() -> Self {
        Config {
            handshake_timeout: Duration::from_secs(10),
            request_line_bytes_max: 8 * 1024,
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            message_bytes_max: 1024 * KIB,
            message_wire_bytes_max: wire_bytes_max(1024 * KIB),
            message_timeout: Some(Duration::from_secs(60)),
            outbox_bytes_max: 2 * 1024 * 1024,
            inbox_bytes_max: 256 * 1024,
            pong_bytes_max: 4 * 1024,
            write_timeout: Some(Duration::from_secs(30)),
            ping_interval: Some(Duration::from_secs(20)),
            pong_timeout: Duration::from_secs(20),
            idle_timeout: None,
            lifetime_max: None,
            message_rate: None,
            close_timeout: Duration::from_secs(5),
            compression: None,
            non_minimal_lengths: NonMinimalLengths::Refuse,
        }
    }
}

fn wire_bytes_max(message_bytes_max: u64) -> u64 {
    message_bytes_max.saturating_mul(2).saturating_add(64 * KIB)
}

macro_rules! setters {
    ($($setter:ident, $field:ident: $type:ty;)*) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
            #[must_use]
            pub fn $setter(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}

impl Config {
    /// Sets [`message_bytes_max`](Self::message_bytes_max) and, to twice it and 64 KiB,
    /// [`message_wire_bytes_max`](Self::message_wire_bytes_max).
    #[must_use]
    pub fn with_message_bytes_max(mut self, message_bytes_max: u64) -> Self {
        self.message_bytes_max = message_bytes_max;
        self.message_wire_bytes_max = wire_bytes_max(message_bytes_max);
        self
    }

    setters! {
        with_handshake_timeout, handshake_timeout: Duration;
        with_request_line_bytes_max, request_line_bytes_max: usize;
        with_head_bytes_max, head_bytes_max: usize;
        with_headers_max, headers_max: usize;
        with_message_wire_bytes_max, message_wire_bytes_max: u64;
        with_message_timeout, message_timeout: Option<Duration>;
        with_outbox_bytes_max, outbox_bytes_max: usize;
        with_inbox_bytes_max, inbox_bytes_max: usize;
        with_pong_bytes_max, pong_bytes_max: usize;
        with_write_timeout, write_timeout: Option<Duration>;
        with_ping_interval, ping_interval: Option<Duration>;
        with_pong_timeout, pong_timeout: Duration;
        with_idle_timeout, idle_timeout: Option<Duration>;
        with_lifetime_max, lifetime_max: Option<Duration>;
        with_message_rate, message_rate: Option<Rate>;
        with_close_timeout, close_timeout: Duration;
        with_compression, compression: Option<Compression>;
        with_non_minimal_lengths, non_minimal_lengths: NonMinimalLengths;
    }
}
