//! SIGINT and SIGTERM: the first one drains, the second one ends at once.

use std::io;

use super::exit::Exit;

/// The signals that ask the program to end. Listened to from when this is made.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {})
    }

    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }

    /// Ready at the first signal. From then on another one ends the process.
    pub(super) async fn stop(mut self) {
        let first = self.next().await;
        tracing::info!("{first}: closing all connections; once more to end at once");
        tokio::spawn(async move {
            let second = self.next().await;
            tracing::warn!("{second} again: ending at once");
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    }
}
