//! Peers that take their time, or never come back (security.md, timers): each is bounded by a deadline and by bytes.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotong::{
    CloseCode, Closed, Config, Error, Events, MessageRef, PeerError, Sender, Timeout, TrySendError, WebSocket,
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
            // The peer talks on behind our Close.
            Err(TrySendError::Closed(_)) => {}
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

/// Floods a server with Pings whose Pongs are never read; returns the most bytes that waited, and how it ended.
async fn flood_with_pings(form: &str) -> (usize, Arc<Closed>) {
    let mut watched = Watched::start(form, config()).await;
    let mut peer = watched.running.connect().await;
    let pings = frame(PING, true, &[b'p'; 125]).repeat(1000);
    let (_, watching) = soon(async { tokio::join!(flood(&mut peer, &pings), watched.most_buffered()) }).await;
    drop(peer);
    watched.running.stop().await;
    watching
}

#[tokio::test]
async fn a_flood_of_pings_with_unread_pongs_is_bounded_and_ended() {
    // A read's worth of Pongs at the most; see the test below.
    const ONE_READ: usize = 512 * 1024;
    for form in ["pull", "event"] {
        let (most, end) = flood_with_pings(form).await;
        assert!(most <= Config::default().pong_bytes_max + ONE_READ, "{form}: {most} bytes waited");
        assert_eq!(end.error, Some(PeerError::Timeout(Timeout::Write)), "{form}: {end}");
    }
}

#[tokio::test]
async fn the_pongs_that_wait_keep_within_pong_bytes_max_in_pull_form() {
    let (most, _) = flood_with_pings("pull").await;
    assert!(most <= Config::default().pong_bytes_max + PONG_BYTES, "{most} bytes waited");
}

/// The largest Pong of a server, with its header. One that was postponed may come on top of the limit.
const PONG_BYTES: usize = 127;

#[tokio::test]
async fn the_pongs_that_wait_keep_within_pong_bytes_max_in_event_form() {
    let (most, _) = flood_with_pings("event").await;
    assert!(most <= Config::default().pong_bytes_max + PONG_BYTES, "{most} bytes waited");
}

/// The peer takes neither the answers nor the Close that comes behind them.
#[tokio::test]
async fn a_close_that_cannot_even_be_sent_ends_by_close_timeout() {
    let config = Config::default().with_close_timeout(Duration::from_millis(200)).with_ping_interval(None);
    for form in ["pull", "event"] {
        let mut watched = Watched::start(form, config.clone()).await;
        let peer = watched.running.connect().await;
        let sender = soon(async {
            loop {
                if let Some(sender) = watched.sender.lock().expect("nobody panics").clone() {
                    return sender;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        // As much as is taken, then a Close.
        let mut refusals = 0;
        while refusals < 20 {
            refusals += usize::from(sender.try_send(&[0; 60_000][..]).is_err());
            tokio::task::yield_now().await;
        }
        assert!(sender.close(CloseCode::GOING_AWAY, "enough"));
        let end = soon(watched.ends.recv()).await.expect("the server is there");
        assert!(!end.clean && end.received.is_none(), "{form}: {end}");
        assert_eq!(end.error, Some(PeerError::Timeout(Timeout::Close)), "{form}: {end}");
        assert_eq!(sender.buffered_bytes(), 0, "nothing is kept for a peer that is gone");
        drop(peer);
        watched.running.stop().await;
    }
}

#[tokio::test]
async fn a_close_that_is_never_answered_ends_by_close_timeout() {
    let config = Config::default().with_close_timeout(Duration::from_millis(150));
    for form in ["pull", "event"] {
        let mut watched = Watched::start(form, config.clone()).await;
        let mut peer = watched.running.connect().await;
        peer.text("hello").await;
        peer.expect_text("hello").await;
        let sender = watched.sender.lock().expect("nobody panics").clone().expect("it is open");
        assert!(sender.close(CloseCode::NORMAL, ""));
        assert_eq!(peer.next().await.expect("a close frame").close_code(), Some(1000));
        // It goes on talking, but does not answer.
        let end = soon(async {
            let talk = async {
                while peer.stream.write_all(&frame(TEXT, true, b"still me")).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                std::future::pending().await
            };
            tokio::select! {
                end = watched.ends.recv() => end.expect("the server is there"),
                () = talk => unreachable!("it waits for ever"),
            }
        })
        .await;
        assert_eq!(end.error, Some(PeerError::Timeout(Timeout::Close)), "{form}: {end}");
        drop(peer);
        watched.running.stop().await;
    }
}

/// A message that is begun and never ended, kept alive by Pings, holds memory.
#[tokio::test]
async fn a_message_that_never_ends_is_ended_by_message_timeout_whatever_else_comes() {
    let config = Config::default().with_message_timeout(Some(Duration::from_millis(200)));
    for form in ["pull", "event"] {
        let mut watched = Watched::start(form, config.clone()).await;
        let mut peer = watched.running.connect().await;
        peer.raw(&frame(TEXT, false, b"to be continued")).await;
        let ends = soon(async {
            loop {
                let dribble = [frame(PING, true, b""), frame(0, false, b"x")].concat();
                if peer.stream.write_all(&dribble).await.is_err() {
                    return watched.ends.recv().await;
                }
                let pause = Duration::from_millis(10);
                if let Ok(end) = tokio::time::timeout(pause, watched.ends.recv()).await {
                    return end;
                }
                // The Close is answered, as a regular peer would, so that the end comes.
                let mut read = [0; 1024];
                let _ = peer.stream.try_read(&mut read);
                if read.windows(2).any(|bytes| bytes == 1008u16.to_be_bytes()) {
                    let _ = peer.stream.shutdown().await;
                }
            }
        })
        .await;
        let end = ends.expect("the server is there");
        assert_eq!(end.error, Some(PeerError::Timeout(Timeout::Message)), "{form}: {end}");
        drop(peer);
        watched.running.stop().await;
    }
}
