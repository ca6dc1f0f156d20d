//! The handshake of one connection: the request, the answer, a deadline.

use std::io;

use sotong_proto::Deflate;
use sotong_proto::handshake::{ClientHandshake, ClientProgress, Request, Response, ResponseError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::ConnectError;
use super::timeouts::Due;
use crate::carrier::Carrier;

/// How much is read at once while a handshake is going on.
const READ_BYTES: usize = 4096;

/// What both sides have agreed on.
pub(super) struct Agreed {
    pub(super) request: Request,
    pub(super) response: Response,
    pub(super) deflate: Option<Deflate>,
    /// Frames that came with the answer.
    pub(super) early: Vec<u8>,
}

/// Asks, and reads the answer. Nothing else is written before the answer is known and good (RFC 6455, section 4.1).
pub(super) async fn shake(
    carrier: &mut Carrier,
    handshake: ClientHandshake,
    host: &str,
    due: Due,
) -> Result<Agreed, ConnectError> {
    // Out here, so that a deadline finds how far it has come.
    let mut so_far = Some(handshake);
    let progress = match due.bound(host, ask(carrier, &mut so_far)).await {
        Ok(progress) => progress?,
        // A refusal is known when its head is; a body that dribbles does not hide it.
        Err(timeout) => match so_far.map(give_up) {
            Some(refused @ ClientProgress::Refused(_)) => refused,
            _ => return Err(timeout),
        },
    };
    match progress {
        ClientProgress::Established { request, response, deflate, early } => {
            Ok(Agreed { request, response, deflate, early })
        }
        ClientProgress::Refused(refused) => Err(ConnectError::Refused(Box::new(refused))),
        ClientProgress::Failed(error) => Err(ConnectError::Handshake(error)),
        ClientProgress::More(_) => unreachable!("`ask` goes on while there is more to come"),
    }
}

/// Writes the request and reads until the answer is known. Dropped before that, it leaves in `so_far` what has come.
async fn ask(
    carrier: &mut Carrier,
    so_far: &mut Option<ClientHandshake>,
) -> Result<ClientProgress, ConnectError> {
    let request = so_far.as_ref().map(|handshake| handshake.request_bytes().to_vec()).unwrap_or_default();
    // A server may refuse before it has read everything, and hang up: then its answer counts, not that.
    let written = write(carrier, &request).await;
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        bytes.clear();
        let read = carrier.read_buf(&mut bytes).await;
        let handshake = so_far.take().expect("it is put back whenever there is more to come");
        let progress = match read {
            Ok(0) => handshake.end_of_stream(),
            Ok(_) => handshake.receive(&bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => ClientProgress::More(handshake),
            Err(error) => match give_up(handshake) {
                // It hung up without having read everything, after it had said what there is to say.
                refused @ ClientProgress::Refused(_) => refused,
                _ => return Err(ConnectError::Io(error)),
            },
        };
        match progress {
            ClientProgress::More(more) => *so_far = Some(more),
            ClientProgress::Failed(ResponseError::Ended { received: 0 }) => {
                // Nothing came back: if the request did not get out, that is why.
                return written.map_err(ConnectError::Io).map(|()| progress);
            }
            progress => return Ok(progress),
        }
    }
}

/// What is known when nothing more can come.
fn give_up(handshake: ClientHandshake) -> ClientProgress {
    let at_last = handshake.deadline();
    handshake.handle_timeout(at_last)
}

async fn write(carrier: &mut Carrier, bytes: &[u8]) -> io::Result<()> {
    carrier.write_all(bytes).await?;
    carrier.flush().await
}
