//! The step between a stream and what is spoken inside of TLS: to a server, for `wss:`, or to a proxy, for `https:`.

use super::endpoint::{Carriage, Endpoint};
use super::error::ConnectError;
use super::timeouts::{ConnectStep, Deadlines};
use crate::carrier::{Carrier, Kind};
use crate::tls::{ClientTls, TlsError};

/// Speaks TLS over the carrier with the server of that name; `place` is for people.
pub(super) async fn secure(
    place: &str,
    server_name: &str,
    carrier: Carrier,
    tls: &ClientTls,
    deadlines: &Deadlines,
) -> Result<Carrier, ConnectError> {
    let due = deadlines.step(ConnectStep::Tls);
    let secured = due.bound(place, async {
        Ok(match carrier.0 {
            // The usual case, without a step in between.
            Kind::Tcp(stream) => Carrier::new(tls.connect(server_name, stream).await?),
            kind => Carrier::new(tls.connect(server_name, Carrier(kind)).await?),
        })
    });
    secured.await?.map_err(|error| ConnectError::Tls { host: place.to_owned(), error })
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
