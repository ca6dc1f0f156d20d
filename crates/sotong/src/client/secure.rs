//! The step between TCP and the handshake, for `wss:`.

use tokio::net::TcpStream;

use super::endpoint::{Carriage, Endpoint};
use super::error::ConnectError;
use super::timeouts::{ConnectStep, Deadlines};
use crate::carrier::Carrier;
use crate::tls::{ClientTls, TlsError};

/// Speaks TLS over the stream.
pub(super) async fn secure(
    endpoint: &Endpoint,
    stream: TcpStream,
    tls: &ClientTls,
    deadlines: &Deadlines,
) -> Result<Carrier, ConnectError> {
    let due = deadlines.step(ConnectStep::Tls);
    let connected = due.bound(&endpoint.place(), tls.connect(&endpoint.server_name(), stream)).await?;
    let stream = connected.map_err(|error| ConnectError::Tls { host: endpoint.place(), error })?;
    Ok(Carrier::new(stream))
}

/// The same error, or what it means if it comes out of TLS: in TLS 1.3 a server says only after the handshake of TLS
/// that our certificate does not please it.
pub(super) fn explain(endpoint: &Endpoint, error: ConnectError) -> ConnectError {
    match &error {
        ConnectError::Io(inner) if endpoint.carriage == Carriage::Tls => {
            match TlsError::of_stream(inner, &endpoint.server_name()) {
                Some(error) => ConnectError::Tls { host: endpoint.place(), error },
                None => error,
            }
        }
        _ => error,
    }
}
