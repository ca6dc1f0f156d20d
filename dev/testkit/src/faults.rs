//! A TCP proxy that breaks connections, by a seed.
//!
//! Each connection gets a [`Fault`] and the byte at which it strikes from [`Plan::of`], which depends on the seed and the
//! connection's number and on nothing else: the same seed breaks the same connections in the same way.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What is done to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both ends get a TCP reset.
    Reset,
    /// Nothing more is carried in either direction; both connections stay open.
    Stall,
    /// One direction ends with a FIN; the other goes on.
    HalfClose,
    /// It goes on in pieces of a few bytes, a millisecond apart, and is reset after 64 of them.
    Slow,
    /// One bit is flipped, and it goes on; [`RESET_AFTER`] bytes later it is reset, should nobody have minded.
    Corrupt,
}

/// How far an altered connection goes on.
pub const RESET_AFTER: u64 = 500;

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 5] = [Fault::Reset, Fault::Stall, Fault::HalfClose, Fault::Slow, Fault::Corrupt];
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected.
    Up,
    /// To whoever connected.
    Down,
}

impl Direction {
    /// Both of them.
    pub const ALL: [Direction; 2] = [Direction::Up, Direction::Down];
}

/// What goes through the proxy: how long its handshake is, and where bits may be flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// WebSocket. Nothing finds a bit that was flipped, so it is done towards whoever connected only, where a test can
    /// know its own messages again.
    Plain,
    /// TLS, which finds what was altered: bits are flipped in both directions.
    Tls,
}

impl Traffic {
    /// About as many bytes as a handshake has in one direction.
    fn handshake_bytes(self) -> u64 {
        match self {
            Traffic::Plain => 200,
            Traffic::Tls => 1500,
        }
    }
}

/// How often each fault struck: in the order of [`Fault::ALL`], each in the order of [`Direction::ALL`].
pub type Struck = [[u64; Direction::ALL.len()]; Fault::ALL.len()];

/// What will happen to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What.
    pub fault: Fault,
    /// In which direction it begins.
    pub direction: Direction,
    /// After how many bytes of that direction.
    pub after: u64,
    /// Which bit, for [`Fault::Corrupt`].
    pub bit: u8,
}

impl Plan {
    /// The plan of a connection. Most faults strike after the handshake, some within.
    #[must_use]
    pub fn of(seed: u64, connection: u64, traffic: Traffic) -> Plan {
        let mut state = seed ^ connection.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let mut dice = || {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        let fault = Fault::ALL[(dice() % 5) as usize];
        let direction = match (fault, traffic, dice() % 2) {
            (Fault::Corrupt, Traffic::Plain, _) | (_, _, 0) => Direction::Down,
            _ => Direction::Up,
        };
        let handshake_bytes = traffic.handshake_bytes();
        let after = match dice() % 8 {
            0 => dice() % handshake_bytes,
            _ => handshake_bytes + dice() % 1800,
        };
        Plan { fault, direction, after, bit: (dice() % 8) as u8 }
    }
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    seed: u64,
    traffic: Traffic,
    is_healed: AtomicBool,
    struck: [[AtomicU64; Direction::ALL.len()]; Fault::ALL.len()],
}

/// A proxy on a free port of loopback. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of `target`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(target: SocketAddr, seed: u64, traffic: Traffic) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (is_healed, struck) = (AtomicBool::new(false), Default::default());
        let shared = Arc::new(Shared { target, seed, traffic, is_healed, struck });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Proxy { address, shared, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing breaks that is not broken already.
    pub fn heal(&self) {
        self.shared.is_healed.store(true, Ordering::Relaxed);
    }

    /// How often each fault struck, and in which direction it began.
    #[must_use]
    pub fn struck(&self) -> Struck {
        self.shared.struck.each_ref().map(|ways| ways.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((near, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        connections.spawn(carry(near, number, shared.clone()));
    }
}

/// How a direction is over.
enum End {
    /// Its source has ended, and its destination was told.
    Finished,
    /// Both ends are to be reset.
    Reset,
    /// Nothing is carried any more.
    Stall,
}

async fn carry(mut near: TcpStream, number: u64, shared: Arc<Shared>) {
    let Ok(mut far) = TcpStream::connect(shared.target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let plan = Plan::of(shared.seed, number, shared.traffic);
    let broken = |direction| (plan.direction == direction).then_some(plan);
    let end = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let mut up = pin!(run(near_read, far_write, broken(Direction::Up), &shared));
        let mut down = pin!(run(far_read, near_write, broken(Direction::Down), &shared));
        let (mut is_up, mut is_down) = (true, true);
        loop {
            let end = tokio::select! {
                end = &mut up, if is_up => { is_up = false; end }
                end = &mut down, if is_down => { is_down = false; end }
            };
            // A network that failed looks like one that was reset.
            match end.unwrap_or(End::Reset) {
                End::Finished if is_up || is_down => {}
                end => break end,
            }
        }
    };
    match end {
        End::Finished => return,
        End::Stall => tokio::select! {
            () = swallow(&mut near) => {}
            () = swallow(&mut far) => {}
        },
        End::Reset => {}
    }
    let _ = (near.set_zero_linger(), far.set_zero_linger());
}

/// Takes bytes that go nowhere, until their source hangs up.
async fn swallow(stream: &mut TcpStream) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}

/// Carries one direction.
async fn run(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut plan: Option<Plan>,
    shared: &Shared,
) -> io::Result<End> {
    let mut bytes = [0; 4096];
    let mut carried = 0;
    // The reset that follows is a part of that fault.
    let mut is_altered = false;
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            to.shutdown().await?;
            return Ok(End::Finished);
        }
        let chunk = &mut bytes[..count];
        let due = plan.filter(|plan| carried + count as u64 > plan.after);
        let Some(due) = due.filter(|_| !shared.is_healed.load(Ordering::Relaxed)) else {
            to.write_all(chunk).await?;
            carried += count as u64;
            continue;
        };
        let position = usize::try_from(due.after - carried).map_err(io::Error::other)?;
        if !is_altered {
            shared.struck[due.fault as usize][due.direction as usize].fetch_add(1, Ordering::Relaxed);
        }
        match due.fault {
            Fault::Corrupt => {
                chunk[position] ^= 1 << due.bit;
                is_altered = true;
                to.write_all(chunk).await?;
                carried += count as u64;
                plan = Some(Plan { fault: Fault::Reset, after: carried + RESET_AFTER, ..due });
                continue;
            }
            _ => to.write_all(&chunk[..position]).await?,
        }
        match due.fault {
            Fault::Stall => return Ok(End::Stall),
            Fault::HalfClose => {
                to.shutdown().await?;
                return Ok(End::Finished);
            }
            Fault::Slow => {
                trickle(&chunk[position..], &mut from, &mut to).await?;
                return Ok(End::Reset);
            }
            Fault::Reset | Fault::Corrupt => return Ok(End::Reset),
        }
    }
}

/// Carries a few bytes at a time, a few times.
async fn trickle(rest: &[u8], from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>) -> io::Result<()> {
    let mut pieces = 64;
    for piece in rest.chunks(5).take(pieces) {
        pieces -= 1;
        to.write_all(piece).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if rest.len() > 5 * 64 {
        return Ok(());
    }
    let mut bytes = [0; 5];
    for _ in 0..pieces {
        let count = from.read(&mut bytes).await?;
        to.write_all(&bytes[..count]).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_in_the_order_that_is_told() {
        assert!(Fault::ALL.iter().enumerate().all(|(index, fault)| *fault as usize == index));
        assert!(Direction::ALL.iter().enumerate().all(|(index, direction)| *direction as usize == index));
    }

    #[test]
    fn the_same_seed_has_the_same_plans_and_another_has_others() {
        let plans = |seed| (0..100).map(|number| Plan::of(seed, number, Traffic::Tls)).collect::<Vec<_>>();
        assert_eq!(plans(7), plans(7));
        assert_ne!(plans(7), plans(8));
    }

    #[test]
    fn each_fault_comes_in_both_directions_unless_it_may_not() {
        let plans = |traffic| (0..1000).map(move |number| Plan::of(1, number, traffic));
        for fault in Fault::ALL {
            for direction in Direction::ALL {
                let is_it = |plan: &Plan| plan.fault == fault && plan.direction == direction;
                assert!(plans(Traffic::Tls).any(|plan| is_it(&plan)), "{fault:?} {direction:?}");
                let may = fault != Fault::Corrupt || direction == Direction::Down;
                assert_eq!(plans(Traffic::Plain).any(|plan| is_it(&plan)), may, "{fault:?} {direction:?}");
            }
        }
    }

    /// Sends through a connection of its own whose plan is known, and says what came out at the other end.
    async fn through(fault: Fault, direction: Direction) -> (Plan, Vec<u8>, io::Result<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = listener.local_addr().expect("it has an address");
        let is_it = |plan: &Plan| plan.fault == fault && plan.direction == direction;
        let seed = (0..).find(|seed| is_it(&Plan::of(*seed, 0, Traffic::Tls))).expect("some seed has it");
        let plan = Plan::of(seed, 0, Traffic::Tls);
        let proxy = Proxy::start(target, seed, Traffic::Tls).await.expect("a free port");
        let mut near = TcpStream::connect(proxy.address()).await.expect("it listens");
        let (mut far, _) = listener.accept().await.expect("it is dialled");
        if direction == Direction::Down {
            std::mem::swap(&mut near, &mut far);
        }
        near.write_all(&[0; 5000]).await.expect("it is there");
        let mut came = vec![0; usize::try_from(plan.after).expect("a small number")];
        far.read_exact(&mut came).await.expect("until the fault all comes");
        if fault == Fault::Stall {
            // Nothing more is carried: the end of one is the end of both.
            drop(near);
        }
        let mut more = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(60), async {
            match fault {
                Fault::Corrupt => {
                    more = vec![0];
                    far.read_exact(&mut more).await
                }
                _ => far.read_to_end(&mut more).await,
            }
        });
        let end = end.await.expect("it ends in time");
        let mut expected = Struck::default();
        expected[fault as usize][direction as usize] = 1;
        assert_eq!(proxy.struck(), expected, "{plan:?}");
        (plan, more, end)
    }

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        for (fault, direction) in
            Fault::ALL.into_iter().flat_map(|fault| Direction::ALL.map(|direction| (fault, direction)))
        {
            let (plan, more, end) = through(fault, direction).await;
            match fault {
                Fault::Corrupt => assert_eq!(more[0], 1 << plan.bit, "one bit"),
                Fault::HalfClose => assert!(more.is_empty() && end.is_ok(), "a FIN: {end:?}"),
                Fault::Reset | Fault::Stall => assert!(more.is_empty() && end.is_err(), "{fault:?}: {end:?}"),
                Fault::Slow => assert!(more.len() <= 320 && end.is_err(), "{} bytes: {end:?}", more.len()),
            }
        }
    }

    #[tokio::test]
    async fn a_healed_proxy_breaks_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = listener.local_addr().expect("it has an address");
        let proxy = Proxy::start(target, 1, Traffic::Tls).await.expect("a free port");
        proxy.heal();
        let mut near = TcpStream::connect(proxy.address()).await.expect("it listens");
        let (mut far, _) = listener.accept().await.expect("it is dialled");
        near.write_all(&[7; 10_000]).await.expect("it is there");
        let mut came = vec![0; 10_000];
        far.read_exact(&mut came).await.expect("all comes");
        assert_eq!((came, proxy.struck()), (vec![7; 10_000], Struck::default()));
    }
}
