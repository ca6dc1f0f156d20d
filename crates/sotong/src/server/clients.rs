//! For whom a connection comes: the peer itself, or somebody behind a proxy; and whether that one may have one more.
//!
//! ```text
//!  a carrier ─► arrive: a PROXY header, if the peer is a proxy that must send one
//!                 │       the peer, or whom the header names, takes its place among the connections of its address
//!                 ▼
//!      (TLS, the request head)
//!                 │
//!                 ▼
//!            introduce: a trusted proxy's `X-Forwarded-For` or `Forwarded` names the client, who takes a place now
//! ```

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Once};

use sotong_proto::Rate;
use sotong_proto::handshake::{Refusal, Request};

use super::proxies::{Claims, Proxies};
use super::proxy_protocol::{ProxyProtocol, take_header};
use super::rates::{Addresses, Entry, Place, TooMany};
use crate::carrier::Carrier;
use crate::counts::{self, Dropped};
use crate::peer::Peer;

/// What the server was told about its proxies and about limits per address.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientSettings {
    pub(super) proxies: Proxies,
    pub(super) proxy_protocol: ProxyProtocol,
    pub(super) connections_per_ip_max: Option<usize>,
    pub(super) connection_rate_per_ip: Option<Rate>,
}

/// Tells for whom connections come, and counts them.
pub(super) struct Clients {
    proxies: Proxies,
    proxy_protocol: ProxyProtocol,
    addresses: Arc<Addresses>,
    /// Says once that what is limited looks like a proxy.
    hint: Once,
}

/// A peer that has come.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Its place among the connections of its address; `None` while it is a proxy that has not said for whom it
    /// comes, and where nothing is limited.
    pub(super) place: Option<Place>,
    /// What it is to be told, once it has sent its request.
    pub(super) too_many: Option<TooMany>,
    /// Whether it is a proxy whose header fields are believed.
    speaks_for_others: bool,
}

impl Clients {
    pub(super) fn new(settings: &ClientSettings) -> Clients {
        if settings.proxy_protocol == ProxyProtocol::Required && settings.proxies.is_empty() {
            tracing::warn!("trusted proxies are to speak the PROXY protocol, but no proxy is trusted");
        }
        Clients {
            proxies: settings.proxies.clone(),
            proxy_protocol: settings.proxy_protocol,
            addresses: Addresses::new(
                settings.connections_per_ip_max,
                settings.connection_rate_per_ip.map(Into::into),
            ),
            hint: Once::new(),
        }
    }

    /// Learns for whom a peer comes, as far as its address and a PROXY header tell, and gives it its place. `None`
    /// if its address has so many that this one is not even told.
    ///
    /// # Errors
    /// When a proxy that must begin with a PROXY header does not.
    ///
    /// # Cancel safety
    /// What was read of the header is lost.
    pub(super) async fn arrive(
        &self,
        carrier: &mut Carrier,
        peer: &mut Peer,
        read: &mut Vec<u8>,
    ) -> io::Result<Option<Arrival>> {
        let address = peer.client_ip();
        // A stream of the application's own has no address, either, and comes from anywhere.
        let mut speaks_for_others = (address.is_some() || carrier.is_unix()) && self.proxies.trusts(address);
        if speaks_for_others && self.proxy_protocol == ProxyProtocol::Required {
            // Behind a pointer: most handshakes have none.
            let source = Box::pin(take_header(carrier, read)).await.inspect_err(|error| {
                counts::dropped(Dropped::ProxyProtocol);
                if error.kind() == io::ErrorKind::InvalidData {
                    tracing::warn!(connection = peer.id, %peer, %error, "a proxy's connection was dropped");
                }
            })?;
            if let Some(source) = source {
                peer.set_client(source.ip());
                // It may come for a proxy of ours that is further out.
                speaks_for_others = self.proxies.trusts(Some(source.ip()));
            }
        }
        let mut arrival = Arrival { place: None, too_many: None, speaks_for_others };
        // A proxy has as many connections as it has clients; it is they who are counted.
        if !speaks_for_others && !self.enter(&mut arrival, peer) {
            counts::dropped(Dropped::Address);
            tracing::debug!(connection = peer.id, %peer, "an address has too many connections; one was dropped");
            return Ok(None);
        }
        Ok(Some(arrival))
    }

    /// As [`arrive`](Self::arrive), with a request that somebody else's server has read. A peer whose address is not
    /// known is nobody's proxy.
    #[cfg(feature = "hyper")]
    pub(super) fn arrive_read(&self, peer: &Peer) -> Arrival {
        let address = peer.client_ip();
        let speaks_for_others = address.is_some() && self.proxies.trusts(address);
        let mut arrival = Arrival { place: None, too_many: None, speaks_for_others };
        if !speaks_for_others {
            self.enter(&mut arrival, peer);
        }
        arrival
    }

    /// Learns for whom a trusted proxy asks, and gives the client its place.
    ///
    /// # Errors
    /// 429, when its address has too many already.
    pub(super) fn introduce<'a>(
        &self,
        arrival: &mut Arrival,
        request: &'a Request,
        peer: &mut Peer,
    ) -> Result<Claims<'a>, Refusal> {
        let mut claims = Claims::default();
        if arrival.speaks_for_others {
            match self.proxies.claims(request) {
                Ok(said) => claims = said,
                // It is the proxy's own request then, for whatever is counted.
                Err(malformed) => tracing::debug!(
                    connection = peer.id, %peer, field = malformed.0, "a trusted proxy's header field is malformed"
                ),
            }
            if let Some(client) = claims.client {
                peer.set_client(client);
            }
            // The request is here already, so that even those beyond all limits cost no more than an answer.
            self.enter(arrival, peer);
        }
        match arrival.too_many {
            Some(too_many) => Err(too_many.refusal()),
            None => Ok(claims),
        }
    }

    /// Gives a peer a place, or a word why there is none; false if it is not worth waiting to tell it.
    fn enter(&self, arrival: &mut Arrival, peer: &Peer) -> bool {
        // Peers without an address (unix sockets, memory) cannot be told apart, and are not counted.
        let Some(address) = peer.client_ip().filter(|_| self.addresses.is_limited()) else { return true };
        let (place, too_many) = match self.addresses.enter(address) {
            Entry::Welcome(place) => (Some(place), None),
            Entry::Refused(place, too_many) => (Some(place), Some(too_many)),
            Entry::Dropped(too_many) => (None, Some(too_many)),
        };
        if too_many.is_some() {
            counts::rate_limited_connection();
            if self.proxies.is_empty() && is_private(address) {
                self.hint.call_once(|| {
                    tracing::warn!(
                        %address,
                        "a limit per address is reached by a private one; if that is a proxy, name it with with_trusted_proxies (--trusted-proxy), and its clients are counted"
                    );
                });
            }
        }
        let is_worth_it = place.is_some();
        (arrival.place, arrival.too_many) = (place, too_many);
        is_worth_it
    }
}

/// Addresses that proxies of one's own have.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}
