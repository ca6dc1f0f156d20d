//! An HTTP proxy: `CONNECT host:port`, read and judged by the core.

use std::io;

use sotong_proto::Config;
use sotong_proto::handshake::{ResponseError, TunnelHandshake, TunnelProgress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::TunnelError;
use crate::carrier::Carrier;
use crate::client::credentials::UserPassword;
use crate::client::endpoint::Endpoint;
use crate::client::error::ConnectError;
use crate::client::timeouts::Due;

/// How much is read at once.
const READ_BYTES: usize = 4096;

/// Asks for a tunnel, and returns what came behind the answer: the server's first bytes.
///
/// The outer error is a deadline, or a request that cannot be written.
pub(super) async fn open(
    carrier: &mut Carrier,
    endpoint: &Endpoint,
    credentials: Option<&UserPassword>,
    config: &Config,
    proxy: &str,
    due: Due,
) -> Result<Result<Vec<u8>, TunnelError>, ConnectError> {
    let mut tunnel = TunnelHandshake::new(endpoint.place(), config)?;
    if let Some(credentials) = credentials {
        tunnel = tunnel.with_header("Proxy-Authorization", credentials.basic())?;
    }
    // Out here, so that a deadline finds how far it has come.
    let mut so_far = Some(tunnel);
    let progress = match due.bound(proxy, ask(carrier, &mut so_far)).await {
        Ok(progress) => progress,
        // A refusal is known when its head is; a body that dribbles does not hide it.
        Err(timeout) => match so_far.map(TunnelHandshake::give_up) {
            Some(refused @ TunnelProgress::Refused(_)) => Ok(refused),
            _ => return Err(timeout),
        },
    };
    Ok(progress.and_then(|progress| match progress {
        TunnelProgress::Open { early } => Ok(early),
        TunnelProgress::Refused(refused) => Err(TunnelError::Refused(Box::new(refused))),
        TunnelProgress::Failed(error) => Err(TunnelError::Answer(error)),
        TunnelProgress::More(_) => unreachable!("`ask` goes on while there is more to come"),
    }))
}

/// Writes the request and reads until the answer is known. Dropped before that, it leaves in `so_far` what has come.
async fn ask(
    carrier: &mut Carrier,
    so_far: &mut Option<TunnelHandshake>,
) -> Result<TunnelProgress, TunnelError> {
    let request = so_far.as_ref().map(TunnelHandshake::request_bytes).unwrap_or_default();
    // A proxy may refuse before it has read everything, and hang up: then its answer counts, not that.
    let written = write(carrier, &request).await;
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        bytes.clear();
        let read = carrier.read_buf(&mut bytes).await;
        let tunnel = so_far.take().expect("it is put back whenever there is more to come");
        let progress = match read {
            Ok(0) => tunnel.end_of_stream(),
            Ok(_) => tunnel.receive(&bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => TunnelProgress::More(tunnel),
            Err(error) => match tunnel.give_up() {
                // It hung up without having read everything, after it had said what there is to say.
                refused @ TunnelProgress::Refused(_) => refused,
                _ => return Err(TunnelError::Io(error)),
            },
        };
        match progress {
            TunnelProgress::More(more) => *so_far = Some(more),
            TunnelProgress::Failed(ResponseError::Ended { received: 0 }) => {
                // Nothing came back: if the request did not get out, that is why.
                return written.map_err(TunnelError::Io).map(|()| progress);
            }
            progress => return Ok(progress),
        }
    }
}

async fn write(carrier: &mut Carrier, bytes: &[u8]) -> io::Result<()> {
    carrier.write_all(bytes).await?;
    carrier.flush().await
}
