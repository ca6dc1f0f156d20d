//! From a host to a TCP connection: its addresses, and a race of them (RFC 8305).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;
use url::Host;

use super::address_policy::AddressPolicy;
use super::endpoint;
use super::error::ConnectError;
use super::gate::{self, Pass};
use super::timeouts::{ConnectStep, Deadlines};

/// How long an address is tried alone before the next one is tried as well (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A TCP connection, and the right to go on with the handshake on it.
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    /// `None` if connects need not wait for each other.
    pub(super) pass: Option<Pass>,
}

/// Whether connects to one address wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Simultaneous {
    /// They do, as RFC 6455, section 4.1, 2 asks.
    #[default]
    Wait,
    Allow,
}

/// Where to dial.
pub(super) struct Destination<'a> {
    pub(super) host: &'a Host<String>,
    pub(super) port: u16,
    /// Both, for errors.
    pub(super) place: String,
    /// Which addresses may be dialled; `None` for all.
    pub(super) policy: Option<&'a AddressPolicy>,
}

/// Connects to the first address of the host that answers.
///
/// Dropped before it is ready, sockets are closed and passes are given back. A name that is being resolved keeps a thread
/// of the runtime's blocking pool busy until the system's resolver gives up: nothing can call it back.
pub(super) async fn dial(
    destination: &Destination<'_>,
    deadlines: &Deadlines,
    simultaneous: Simultaneous,
) -> Result<Dialled, ConnectError> {
    let Destination { host, port, place, policy } = destination;
    let mut addresses = match endpoint::address(host) {
        Some(address) => vec![SocketAddr::new(address, *port)],
        None => {
            let due = deadlines.step(ConnectStep::Resolve);
            let resolved = due.bound(place, resolve(&host.to_string(), *port)).await?;
            alternate(resolved.map_err(|error| ConnectError::Resolve { host: host.to_string(), error })?)
        }
    };
    // From here on it is these addresses that are dialled, and no name is asked for again.
    if let Some(policy) = policy {
        let refused = policy
            .sift(&mut addresses)
            .map_err(|error| ConnectError::Address { host: place.clone(), error })?;
        if !refused.is_empty() {
            tracing::debug!(host = place, ?refused, "the address policy leaves out some addresses");
        }
    }
    race(place, addresses, deadlines, simultaneous).await
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in tokio::net::lookup_host((host, port)).await? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// The addresses so that the two families take turns, beginning with the one that the system puts first: if one of
/// them does not work at all, only one head start is lost (RFC 8305, section 4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for address in addresses {
        if address.is_ipv6() == first_is_v6 { first.push(address) } else { second.push(address) }
    }
    let mut alternating = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for address in first {
        alternating.push(address);
        alternating.extend(second.next());
    }
    alternating.extend(second);
    alternating
}

/// One address that is being tried.
struct Attempt {
    address: SocketAddr,
    step: Step,
}

/// How far an attempt has come.
enum Step {
    /// It waits until others have connected to its address.
    Queued(Pin<Box<dyn Future<Output = Pass> + Send>>),
    Connecting {
        connect: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
        pass: Option<Pass>,
    },
}

impl Step {
    fn connect(address: SocketAddr, pass: Option<Pass>) -> Step {
        Step::Connecting { connect: Box::pin(connect(address)), pass }
    }
}

/// All that are being tried, and what has failed.
#[derive(Default)]
struct Race {
    running: Vec<Attempt>,
    failed: Vec<(SocketAddr, io::Error)>,
}

/// What a look at the race says.
enum Looked {
    Won(Dialled),
    /// An attempt has failed: the next one may begin at once.
    Lost,
    /// An attempt has its pass, and connects now.
    Connecting,
}

impl Race {
    fn begin(&mut self, address: SocketAddr, simultaneous: Simultaneous) {
        let step = match simultaneous {
            Simultaneous::Allow => Step::connect(address, None),
            Simultaneous::Wait => Step::Queued(Box::pin(gate::pass(address.ip()))),
        };
        self.running.push(Attempt { address, step });
    }

    fn is_connecting(&self) -> bool {
        self.running.iter().any(|attempt| matches!(attempt.step, Step::Connecting { .. }))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Looked> {
        for index in 0..self.running.len() {
            let Attempt { address, step } = &mut self.running[index];
            let address = *address;
            let (result, pass) = match step {
                Step::Queued(pass) => {
                    let Poll::Ready(pass) = pass.as_mut().poll(context) else { continue };
                    *step = Step::connect(address, Some(pass));
                    return Poll::Ready(Looked::Connecting);
                }
                Step::Connecting { connect, pass } => {
                    let Poll::Ready(result) = connect.as_mut().poll(context) else { continue };
                    (result, pass.take())
                }
            };
            self.running.remove(index);
            return Poll::Ready(match result {
                Ok(stream) => Looked::Won(Dialled { stream, address, pass }),
                // Others may connect to this address now: its pass is given back here.
                Err(error) => {
                    self.failed.push((address, error));
                    Looked::Lost
                }
            });
        }
        Poll::Pending
    }

    /// Adds to a deadline's error each address that was tried: those that failed, those that did not answer, and those
    /// whose turn did not come.
    fn tell(&mut self, mut error: ConnectError) -> ConnectError {
        if let ConnectError::Timeout { attempts, .. } = &mut error {
            attempts.append(&mut self.failed);
            attempts.extend(self.running.drain(..).map(|Attempt { address, step }| {
                let why = match step {
                    Step::Queued(_) => io::Error::new(
                        io::ErrorKind::ResourceBusy,
                        "others that connect to this address were not through",
                    ),
                    Step::Connecting { .. } => io::ErrorKind::TimedOut.into(),
                };
                (address, why)
            }));
        }
        error
    }
}

/// Tries the addresses in order, the next one as soon as one has failed or has had its head start.
///
/// Waiting for a pass is a part of the attempt: an address whose turn does not come holds up the others no longer than
/// one that does not answer. So a race may stand in several queues; the places are given up when it is over.
async fn race(
    host: &str,
    addresses: Vec<SocketAddr>,
    deadlines: &Deadlines,
    simultaneous: Simultaneous,
) -> Result<Dialled, ConnectError> {
    let mut addresses = addresses.into_iter();
    let mut race = Race::default();
    let mut tcp = None;
    loop {
        match addresses.next() {
            Some(address) => race.begin(address, simultaneous),
            None if race.running.is_empty() => {
                return Err(ConnectError::Tcp { host: host.to_owned(), attempts: race.failed });
            }
            None => {}
        }
        let is_last = addresses.len() == 0;
        let mut head_start = pin!(sleep(HEAD_START));
        loop {
            // The clock of TCP starts with the first attempt that connects, and is not set back.
            if tcp.is_none() && race.is_connecting() {
                tcp = Some(deadlines.step(ConnectStep::Tcp));
            }
            let due = tcp.unwrap_or_else(|| deadlines.step(ConnectStep::Gate));
            let looked = poll_fn(|context| match race.poll(context) {
                Poll::Ready(looked) => Poll::Ready(Some(looked)),
                Poll::Pending if is_last => Poll::Pending,
                Poll::Pending => head_start.as_mut().poll(context).map(|()| None),
            });
            let looked = due.bound(host, looked).await;
            match looked.map_err(|error| race.tell(error))? {
                Some(Looked::Won(dialled)) => return Ok(dialled),
                Some(Looked::Connecting) => {}
                Some(Looked::Lost) | None => break,
            }
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // The driver gathers what is to leave together; the kernel must not hold it back to gather more (Nagle).
    stream.set_nodelay(true)?;
    Ok(stream)
}

// Linux has all of 127.0.0.0/8 without being asked, and drops what does not fit into a listener's queue.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::client::timeouts::{ConnectDeadline, ConnectTimeouts};
    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;
    use tokio::time::{Instant, timeout};

    const LONG: Duration = Duration::from_secs(20);

    async fn listener(address: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(address).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        (listener, address)
    }

    /// An address where nobody listens.
    async fn gone(address: &str) -> SocketAddr {
        listener(address).await.1
    }

    /// An address where connecting takes for ever: its listener's queue is full, and the kernel drops what comes.
    struct Mute {
        address: SocketAddr,
        _sockets: Vec<Socket>,
    }

    impl Mute {
        fn at(address: &str) -> Mute {
            let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("TCP is there");
            let listener = socket();
            let address: SocketAddr = address.parse().expect("an address");
            listener.bind(&address.into()).expect("loopback has a free port");
            listener.listen(0).expect("it is bound");
            let address = listener.local_addr().expect("it is bound").as_socket().expect("IPv4");
            let mut sockets = vec![listener];
            for _ in 0..2 {
                let filler = socket();
                filler.set_nonblocking(true).expect("TCP can do that");
                // Begun, and as far as it gets.
                let _ = filler.connect(&address.into());
                sockets.push(filler);
            }
            Mute { address, _sockets: sockets }
        }
    }

    async fn race_of(addresses: Vec<SocketAddr>, timeouts: ConnectTimeouts) -> Result<Dialled, ConnectError> {
        let deadlines = Deadlines::begin(timeouts);
        let racing = race("host:1", addresses, &deadlines, Simultaneous::Wait);
        timeout(LONG, racing).await.expect("it ends in time")
    }

    #[tokio::test]
    async fn the_next_address_is_tried_at_once_when_one_fails() {
        let (_listener, address) = listener("127.0.0.51:0").await;
        let (first, second) = (gone("127.0.0.52:0").await, gone("127.0.0.53:0").await);
        let begun = Instant::now();
        let dialled =
            race_of(vec![first, second, address], ConnectTimeouts::default()).await.expect("one answers");
        assert_eq!(dialled.address, address);
        assert!(dialled.stream.nodelay().expect("TCP knows"));
        assert!(dialled.pass.is_some());
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "no head start is waited for: {:?}",
            begun.elapsed()
        );
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_costs_a_head_start() {
        let mute = Mute::at("127.0.0.54:0");
        let (_listener, address) = listener("127.0.0.55:0").await;
        let begun = Instant::now();
        let dialled =
            race_of(vec![mute.address, address], ConnectTimeouts::default()).await.expect("one answers");
        assert_eq!(dialled.address, address);
        assert!(begun.elapsed() >= HEAD_START, "{:?}", begun.elapsed());
        // The one that lost has given its pass back.
        let _pass = timeout(LONG, gate::pass(mute.address.ip())).await.expect("it is free");
    }

    #[tokio::test]
    async fn all_addresses_share_the_deadline_of_tcp() {
        let mutes = [Mute::at("127.0.0.56:0"), Mute::at("127.0.0.57:0"), Mute::at("127.0.0.58:0")];
        let patience = HEAD_START * 2;
        let timeouts = ConnectTimeouts::default().with_tcp(patience);
        let begun = Instant::now();
        let error = race_of(mutes.iter().map(|mute| mute.address).collect(), timeouts).await.err();
        let Some(ConnectError::Timeout { step, deadline, attempts, .. }) = error else { panic!("{error:?}") };
        let tried: Vec<_> = attempts.iter().map(|(address, error)| (*address, error.kind())).collect();
        let silent = io::ErrorKind::TimedOut;
        assert!(!tried.is_empty() && tried.iter().all(|(_, kind)| *kind == silent), "{attempts:?}");
        assert!(
            mutes.iter().map(|mute| mute.address).zip(&tried).all(|(mute, (address, _))| mute == *address)
        );
        assert_eq!((step, deadline), (ConnectStep::Tcp, ConnectDeadline::Step(patience)));
        assert!(begun.elapsed() >= patience);
        for mute in &mutes {
            timeout(LONG, gate::pass(mute.address.ip())).await.expect("it is free");
        }
    }

    #[tokio::test]
    async fn every_failure_is_told() {
        let (first, second) = (gone("127.0.0.59:0").await, gone("127.0.0.60:0").await);
        let error = race_of(vec![first, second], ConnectTimeouts::default()).await.err();
        let Some(ConnectError::Tcp { attempts, .. }) = &error else { panic!("{error:?}") };
        assert_eq!(attempts.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [first, second]);
        for address in [first, second] {
            timeout(LONG, gate::pass(address.ip())).await.expect("it is free");
        }
    }

    #[tokio::test]
    async fn a_deadline_tells_who_failed_and_who_did_not_answer() {
        let (gone, mute) = (gone("127.0.0.65:0").await, Mute::at("127.0.0.66:0"));
        let timeouts = ConnectTimeouts::default().with_tcp(HEAD_START / 2);
        let error = race_of(vec![gone, mute.address], timeouts).await.err().expect("nobody answers");
        let ConnectError::Timeout { attempts, .. } = &error else { panic!("{error:?}") };
        let kinds: Vec<_> = attempts.iter().map(|(address, error)| (*address, error.kind())).collect();
        let expected = [(gone, io::ErrorKind::ConnectionRefused), (mute.address, io::ErrorKind::TimedOut)];
        assert_eq!(kinds, expected);
        let shown = error.to_string();
        assert!(shown.contains(&gone.to_string()) && shown.contains(&mute.address.to_string()), "{shown}");
    }

    /// Where a machine has no IPv6, its attempt fails at once, and is told as well.
    #[tokio::test]
    async fn both_families_are_raced_and_told() {
        let (listener, four) = listener("127.0.0.67:0").await;
        let six: SocketAddr = SocketAddr::new("::1".parse().expect("an address"), four.port());
        for order in [[six, four], [four, six]] {
            let dialled = race_of(order.to_vec(), ConnectTimeouts::default()).await.expect("one answers");
            assert_eq!(dialled.address, four);
        }
        drop(listener);
        let error = race_of(vec![six, four], ConnectTimeouts::default()).await.err().expect("nobody listens");
        let ConnectError::Tcp { attempts, .. } = &error else { panic!("{error:?}") };
        assert_eq!(attempts.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [six, four]);
        let shown = error.to_string();
        assert!(shown.contains(&six.to_string()) && shown.contains(&four.to_string()), "{shown}");
    }

    async fn held(address: &str) -> Pass {
        timeout(LONG, gate::pass(address.parse().expect("an address"))).await.expect("it is free")
    }

    #[tokio::test]
    async fn an_address_whose_pass_is_taken_costs_a_head_start() {
        let held = held("127.0.0.62").await;
        let (_listener, taken) = listener("127.0.0.62:0").await;
        let (_other, last) = listener("127.0.0.63:0").await;
        let begun = Instant::now();
        let dialled = race_of(vec![taken, last], ConnectTimeouts::default()).await.expect("one answers");
        assert_eq!(dialled.address, last);
        assert!(begun.elapsed() >= HEAD_START, "{:?}", begun.elapsed());
        // It is out of the queue: whoever comes next has the pass as soon as it is given back.
        drop(held);
        timeout(LONG, gate::pass(taken.ip())).await.expect("it is free");
    }

    #[tokio::test]
    async fn an_attempt_connects_when_its_turn_comes_although_later_ones_have_begun() {
        let held = held("127.0.0.68").await;
        let (_listener, taken) = listener("127.0.0.68:0").await;
        let mute = Mute::at("127.0.0.61:0");
        let deadlines = Deadlines::begin(ConnectTimeouts::default());
        let mut racing = pin!(race("host:1", vec![taken, mute.address], &deadlines, Simultaneous::Wait));
        assert!(timeout(HEAD_START * 2, racing.as_mut()).await.is_err());
        drop(held);
        let dialled = timeout(LONG, racing).await.expect("it ends in time").expect("one answers");
        assert_eq!(dialled.address, taken);
        // The one that lost has given its pass back.
        timeout(LONG, gate::pass(mute.address.ip())).await.expect("it is free");
        // The one that won has not: its handshake goes on.
        assert!(timeout(Duration::ZERO, gate::pass(taken.ip())).await.is_err());
        drop(dialled);
        timeout(LONG, gate::pass(taken.ip())).await.expect("it is free");
    }

    #[tokio::test]
    async fn a_race_that_is_dropped_is_out_of_all_queues() {
        let held = [held("127.0.0.69").await, held("127.0.0.70").await];
        let addresses = ["127.0.0.69:1", "127.0.0.70:1"].map(|address| address.parse().expect("an address"));
        let deadlines = Deadlines::begin(ConnectTimeouts::default());
        {
            let mut racing = pin!(race("host:1", addresses.to_vec(), &deadlines, Simultaneous::Wait));
            assert!(timeout(HEAD_START * 2, racing.as_mut()).await.is_err());
        }
        drop(held);
        for address in addresses {
            timeout(LONG, gate::pass(address.ip())).await.expect("nobody is before it");
        }
    }

    #[tokio::test]
    async fn a_deadline_tells_whose_turn_did_not_come() {
        let _held = held("127.0.0.71").await;
        let taken: SocketAddr = "127.0.0.71:1".parse().expect("an address");
        let mute = Mute::at("127.0.0.72:0");
        let kinds = |error: &ConnectError, expected: ConnectStep| {
            let ConnectError::Timeout { step, attempts, .. } = error else { panic!("{error:?}") };
            assert_eq!(*step, expected);
            attempts.iter().map(|(address, error)| (*address, error.kind())).collect::<Vec<_>>()
        };
        // Nothing connects: it is the wait that has taken so long.
        let total = ConnectTimeouts::default().with_total(HEAD_START / 2);
        let error = race_of(vec![taken], total).await.err().expect("nobody answers");
        assert_eq!(kinds(&error, ConnectStep::Gate), [(taken, io::ErrorKind::ResourceBusy)]);
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
        // The clock of TCP starts with the one that connects.
        let timeouts = ConnectTimeouts::default().with_tcp(HEAD_START * 2);
        let begun = Instant::now();
        let error = race_of(vec![taken, mute.address], timeouts).await.err().expect("nobody answers");
        let expected = [(taken, io::ErrorKind::ResourceBusy), (mute.address, io::ErrorKind::TimedOut)];
        assert_eq!(kinds(&error, ConnectStep::Tcp), expected);
        assert!(begun.elapsed() >= HEAD_START * 3, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn one_address_twice_does_not_wait_for_itself() {
        let (listener, address) = listener("127.0.0.64:0").await;
        drop(listener);
        let error = race_of(vec![address, address], ConnectTimeouts::default()).await.err();
        assert!(
            matches!(&error, Some(ConnectError::Tcp { attempts, .. }) if attempts.len() == 2),
            "{error:?}"
        );
    }

    #[test]
    fn the_families_take_turns() {
        let parse =
            |list: &[&str]| list.iter().map(|text| text.parse().expect("an address")).collect::<Vec<_>>();
        let (a, b, c) = ("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1");
        let (x, y) = ("192.0.2.1:1", "192.0.2.2:1");
        assert_eq!(alternate(parse(&[a, b, c, x, y])), parse(&[a, x, b, y, c]));
        assert_eq!(alternate(parse(&[x, a, b, c])), parse(&[x, a, b, c]));
        assert_eq!(alternate(parse(&[x, y])), parse(&[x, y]));
        assert_eq!(alternate(parse(&[])), parse(&[]));
    }

    #[tokio::test]
    async fn a_name_is_resolved_by_the_system() {
        let addresses = resolve("localhost", 80).await.expect("every system has it");
        assert!(
            !addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback()),
            "{addresses:?}"
        );
    }
}
