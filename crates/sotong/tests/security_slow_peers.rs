//! Peers that take their time, or never come back (security.md, timers): each is bounded by a deadline and by bytes.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotong::{
    Closed, Config, Error, Events, MessageRef, PeerError, Sender, Timeout, TrySendError, WebSocket,
};
use support::{PING, Peer, Running, SOON, TEXT, frame, soon};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// What a connection's end told.
type Ends = mpsc::UnboundedReceiver<Arc<Closed>>;

/// Echoes, lets go what finds no room, and tells the end.
struct Echo {
    refused: Arc<AtomicUsize>,
    ends: mpsc::UnboundedSender<Arc<Closed>>,
    sender: Arc<Mutex<Option<Sender>>>,
}

impl Events for Echo {
    fn open(&mut self, socket: &Sender) {
        *self.sender.lock().expect("nobody panics") = Some(socket.clone());
    }

    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        match socket.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(back)) => {
                assert_eq!(back.as_ref(), message, "what finds no room comes back");
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Closed(_)) => panic!("nobody has closed"),
        }
    }

    fn close(&mut self, closed: &Arc<Closed>) {
        self.ends.send(closed.clone()).expect("the test is there");
    }
}

/// A server of one form, whose connections tell their end and whose last one's sender can be watched.
struct Watched {
    running: Running,
    ends: Ends,
    sender: Arc<Mutex<Option<Sender>>>,
}

impl Watched {
    async fn start(form: &str, config: Config) -> Watched {
        let (tell, ends) = mpsc::unbounded_channel();
        let sender = Arc::new(Mutex::new(None));
        let keep = sender.clone();
        let running = if form == "event" {
            let refused = Arc::new(AtomicUsize::new(0));
            support::events(config, move |_| Echo {
                refused: refused.clone(),
                ends: tell.clone(),
                sender: keep.clone(),
            })
            .await
        } else {
            support::pull(config, move |mut socket: WebSocket| {
                let (tell, keep) = (tell.clone(), keep.clone());
                async move {
                    let sender = socket.sender();
                    *keep.lock().expect("nobody panics") = Some(sender.clone());
                    let echoing = async {
                        while let Some(message) = socket.recv().await? {
                            socket.send(message).await?;
                        }
                        Ok::<(), Error>(())
                    };
                    let _ = echoing.await;
                    drop(socket);
                    tell.send(sender.closed().await).expect("the test is there");
                    Ok(())
                }
            })
            .await
        };
        Watched { running, ends, sender }
    }

    /// Watches how much waits to be sent, until the connection has ended. Returns the most, and how it ended.
    async fn most_buffered(&mut self) -> (usize, Arc<Closed>) {
        let sender = self.sender.clone();
        let mut most = 0;
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        let watching = async {
            loop {
                tokio::select! {
                    biased;
                    end = self.ends.recv() => return end.expect("the server is there"),
                    _ = looks.tick() => {
                        let sender = sender.lock().expect("nobody panics");
                        most = most.max(sender.as_ref().map_or(0, Sender::buffered_bytes));
                    }
                }
            }
        };
        let end = tokio::time::timeout(SOON, watching).await.expect("a deadline ends it");
        (most, end)
    }
}

/// Writes the same frames for as long as the server is there; returns how many bytes it took.
async fn flood(peer: &mut Peer, frames: &[u8]) -> usize {
    let mut taken = 0;
    while peer.stream.write_all(frames).await.is_ok() {
        taken += frames.len();
    }
    taken
}

fn config() -> Config {
    Config::default().with_write_timeout(Some(Duration::from_millis(300))).with_ping_interval(None)
}

/// It asks for echoes and never reads one.
#[tokio::test]
async fn a_slow_reader_is_read_no_more_and_ended_by_the_write_timeout() {
    const LIMIT: usize = 256 * 1024;
    for form in ["pull", "event"] {
        let mut watched = Watched::start(form, config().with_outbox_bytes_max(LIMIT)).await;
        let mut peer = watched.running.connect().await;
        let questions = frame(TEXT, true, &[b'x'; 16_000]).repeat(8);
        let (taken, (most, end)) =
            soon(async { tokio::join!(flood(&mut peer, &questions), watched.most_buffered()) }).await;
        assert!(most <= LIMIT, "{form}: {most} bytes waited, {LIMIT} are allowed");
        assert!(most > 0, "{form}: something waited");
        // What it took is in the kernel's buffers, not in ours.
        assert!(taken < 64 << 20, "{form}: {taken} bytes were read from a peer that reads none");
        assert_eq!(end.error, Some(PeerError::Timeout(Timeout::Write)), "{form}: {end}");
        drop(peer);
        watched.running.stop().await;
    }
}

/// Each Ping wants a Pong, and none of them is read.
#[tokio::test]
async fn a_flood_of_pings_with_unread_pongs_is_bounded_and_ended() {
    // In event form the Pongs of one read are gathered before the first is refused.
    const ONE_READ: usize = 512 * 1024;
    for form in ["pull", "event"] {
        let mut watched = Watched::start(form, config()).await;
        let mut peer = watched.running.connect().await;
        let pings = frame(PING, true, &[b'p'; 125]).repeat(1000);
        let (taken, (most, end)) =
            soon(async { tokio::join!(flood(&mut peer, &pings), watched.most_buffered()) }).await;
        eprintln!("{form}: {taken} bytes of pings, {most} bytes of pongs waited");
        assert!(most <= Config::default().pong_bytes_max + ONE_READ, "{form}: {most} bytes waited");
        assert_eq!(end.error, Some(PeerError::Timeout(Timeout::Write)), "{form}: {end}");
        drop(peer);
        watched.running.stop().await;
    }
}
