//! From a host to a TCP connection: its addresses, and a race of them (RFC 8305).

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::endpoint::Endpoint;
use super::error::ConnectError;
use super::gate::{self, Turn};
use super::timeouts::{ConnectStep, Deadlines};

/// How long an address is tried alone before the next one is tried as well (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A TCP connection, and the right to go on with the handshake on it.
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    /// `None` if connects need not wait for each other.
    pub(super) turn: Option<Turn>,
}

/// Whether connects to one address wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Simultaneous {
    /// They do, as RFC 6455, section 4.1, 2 asks.
    #[default]
    Wait,
    Allow,
}

/// Connects to the first address of the host that answers.
///
/// Dropped before it is ready, sockets are closed and turns are given up. A name that is being resolved keeps a thread
/// of the runtime's blocking pool busy until the system's resolver gives up: nothing can call it back.
pub(super) async fn dial(
    endpoint: &Endpoint,
    deadlines: &Deadlines,
    simultaneous: Simultaneous,
) -> Result<Dialled, ConnectError> {
    let place = endpoint.place();
    let addresses = match endpoint.address() {
        Some(address) => vec![SocketAddr::new(address, endpoint.port)],
        None => {
            let due = deadlines.step(ConnectStep::Resolve);
            let resolved = due.bound(&place, resolve(&endpoint.host.to_string(), endpoint.port)).await?;
            alternate(
                resolved.map_err(|error| ConnectError::Resolve { host: endpoint.host.to_string(), error })?,
            )
        }
    };
    race(&place, addresses, deadlines, simultaneous).await
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
    connect: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
    turn: Option<Turn>,
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
}

impl Race {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Looked> {
        for index in 0..self.running.len() {
            let Poll::Ready(result) = self.running[index].connect.as_mut().poll(context) else { continue };
            // Whether it is lost or won, others may connect to this address as soon as its turn goes.
            let Attempt { address, turn, connect: _ } = self.running.remove(index);
            return Poll::Ready(match result {
                Ok(stream) => Looked::Won(Dialled { stream, address, turn }),
                Err(error) => {
                    self.failed.push((address, error));
                    Looked::Lost
                }
            });
        }
        Poll::Pending
    }
}

/// Tries the addresses in order, the next one as soon as one has failed or has had its head start.
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
        // The next address. Waiting for its turn holds nobody up: who is in the race goes on meanwhile, and whoever
        // has that turn is in a race of its own.
        if let Some(address) = addresses.next() {
            let turn = match simultaneous {
                Simultaneous::Allow => None,
                Simultaneous::Wait => {
                    let due = tcp.unwrap_or_else(|| deadlines.step(ConnectStep::Turn));
                    match due.bound(host, race.until_turn(address.ip())).await? {
                        Ended::Turn(turn) => Some(turn),
                        Ended::Won(dialled) => return Ok(dialled),
                    }
                }
            };
            race.running.push(Attempt { address, connect: Box::pin(connect(address)), turn });
        } else if race.running.is_empty() {
            return Err(ConnectError::Tcp { host: host.to_owned(), attempts: race.failed });
        }
        // The clock of TCP starts when there is something to wait for, and is not set back.
        let due = *tcp.get_or_insert_with(|| deadlines.step(ConnectStep::Tcp));
        let is_last = addresses.len() == 0;
        let looked = async {
            let mut head_start = pin!(sleep(HEAD_START));
            poll_fn(|context| match race.poll(context) {
                Poll::Ready(looked) => Poll::Ready(Some(looked)),
                Poll::Pending if is_last => Poll::Pending,
                Poll::Pending => head_start.as_mut().poll(context).map(|()| None),
            })
            .await
        };
        if let Some(Looked::Won(dialled)) = due.bound(host, looked).await? {
            return Ok(dialled);
        }
    }
}

/// How waiting for a turn has ended.
enum Ended {
    Turn(Turn),
    /// An attempt that was running has won.
    Won(Dialled),
}

impl Race {
    /// Waits for the turn of the next address while the attempts that are running go on.
    async fn until_turn(&mut self, address: IpAddr) -> Ended {
        let mut turn = pin!(gate::turn(address));
        poll_fn(|context| {
            while let Poll::Ready(looked) = self.poll(context) {
                if let Looked::Won(dialled) = looked {
                    return Poll::Ready(Ended::Won(dialled));
                }
            }
            turn.as_mut().poll(context).map(Ended::Turn)
        })
        .await
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // The driver gathers what is to leave together; the kernel must not hold it back to gather more (Nagle).
    stream.set_nodelay(true)?;
    Ok(stream)
}
