//! The way from an endpoint to a connection.

use sotong_proto::handshake::{ClientHandshake, ClientRequest, Response};

use super::Client;
use super::dial::{self, Destination, Dialled, Simultaneous};
use super::endpoint::{Carriage, Endpoint};
use super::error::ConnectError;
#[cfg(not(feature = "tls"))]
use super::error::UrlError;
use super::gate::{self, Pass};
use super::handshake::{self, Agreed};
use super::proxy::{self, Means, Proxy};
#[cfg(feature = "tls")]
use super::redirect::Audience;
use super::redirect::{Hop, is_redirect};
#[cfg(feature = "tls")]
use super::secure;
use super::settings::AUTHORIZATION;
use super::timeouts::{ConnectStep, Deadlines};
use crate::carrier::Carrier;
use crate::driver::random;
use crate::driver::shared::Role;
use crate::established::Established;
use crate::peer::Peer;
use crate::surroundings::Surroundings;

/// A connection whose handshake is done, and what the server said.
pub(super) struct Connected {
    pub(super) established: Established,
    pub(super) response: Response,
}

/// A stream that leads to the endpoint.
struct Way {
    carrier: Carrier,
    peer: Peer,
    /// The right to go on with the handshake.
    pass: Option<Pass>,
}

impl Client {
    /// From an endpoint to a connection, there or wherever it leads.
    pub(super) async fn reach(&self, endpoint: Endpoint) -> Result<Connected, ConnectError> {
        let (max, deadlines) = (self.settings.redirects_max, Deadlines::begin(self.settings.timeouts));
        let mut hop = Hop::first(endpoint);
        loop {
            match self.visit(&hop, &deadlines).await {
                Err(ConnectError::Refused(answer)) if max > 0 && is_redirect(answer.status()) => {
                    hop = hop.follow(answer, max)?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn visit(&self, hop: &Hop, deadlines: &Deadlines) -> Result<Connected, ConnectError> {
        let (settings, endpoint) = (&*self.settings, &hop.endpoint);
        #[cfg(not(feature = "tls"))]
        if endpoint.carriage == Carriage::Tls {
            return Err(UrlError::WithoutTls.into());
        }
        let Way { carrier, peer, pass } = match settings.route.proxy(endpoint)? {
            None => self.directly(endpoint, deadlines).await?,
            Some(proxy) => self.through(&proxy, endpoint, deadlines).await?,
        };
        let carrier = match endpoint.carriage {
            Carriage::Plain => carrier,
            #[cfg(feature = "tls")]
            Carriage::Tls => {
                let tls = settings.tls.clone().unwrap_or_default();
                let tls = match hop.audience() {
                    Audience::Meant => tls,
                    Audience::Stranger => tls.without_client_certificate(),
                };
                let (place, name) = (endpoint.place(), endpoint.server_name());
                secure::secure(&place, &name, carrier, &tls, deadlines).await?
            }
            #[cfg(not(feature = "tls"))]
            Carriage::Tls => unreachable!("it was refused above"),
        };
        let connected = self.shake(hop, carrier, peer, deadlines).await;
        // The next one may connect when this one is through, well or badly.
        drop(pass);
        connected
    }

    async fn directly(&self, endpoint: &Endpoint, deadlines: &Deadlines) -> Result<Way, ConnectError> {
        let destination = Destination {
            host: &endpoint.host,
            port: endpoint.port,
            place: endpoint.place(),
            policy: self.settings.address_policy.as_deref(),
        };
        let Dialled { stream, address, pass } =
            dial::dial(&destination, deadlines, self.settings.simultaneous).await?;
        Ok(Way { carrier: stream.into(), peer: Peer::new(Some(address)), pass })
    }

    async fn through(
        &self,
        proxy: &Proxy,
        endpoint: &Endpoint,
        deadlines: &Deadlines,
    ) -> Result<Way, ConnectError> {
        let settings = &*self.settings;
        if let Some(policy) = &settings.address_policy {
            policy
                .check_behind_proxy(&endpoint.host)
                .map_err(|error| ConnectError::Address { host: endpoint.place(), error })?;
        }
        let pass = match settings.simultaneous {
            Simultaneous::Allow => None,
            Simultaneous::Wait => {
                let due = deadlines.step(ConnectStep::Gate);
                Some(due.bound(&endpoint.place(), gate::pass_behind_proxy(&endpoint.host)).await?)
            }
        };
        let means = Means {
            config: &settings.config,
            deadlines,
            #[cfg(feature = "tls")]
            tls: &settings.proxy_tls.clone().unwrap_or_default(),
        };
        let (carrier, address) = proxy::open(proxy, endpoint, &means).await?;
        Ok(Way { carrier, peer: Peer::new(Some(address)), pass })
    }

    /// The same over a stream of the caller's.
    pub(super) async fn reach_over(
        &self,
        endpoint: Endpoint,
        carrier: Carrier,
    ) -> Result<Connected, ConnectError> {
        let deadlines = Deadlines::begin(self.settings.timeouts);
        // It fails, as asking for the peer does, where the stream is gone: the handshake will say so.
        let _ = carrier.set_nodelay();
        let peer = Peer::new(carrier.peer_addr().ok().flatten());
        self.shake(&Hop::first(endpoint), carrier, peer, &deadlines).await
    }

    /// The handshake over a stream.
    async fn shake(
        &self,
        hop: &Hop,
        mut carrier: Carrier,
        peer: Peer,
        deadlines: &Deadlines,
    ) -> Result<Connected, ConnectError> {
        let (settings, endpoint) = (&*self.settings, &hop.endpoint);
        let Surroundings { clock, guard } = Surroundings::current();
        let nonce = random::bytes().map_err(ConnectError::Io)?;
        let handshake = ClientHandshake::new(self.request(hop)?, nonce, &settings.config, clock.now());
        let due = deadlines.step(ConnectStep::Handshake);
        let shaken = handshake::shake(&mut carrier, handshake, &endpoint.place(), due).await;
        #[cfg(feature = "tls")]
        let shaken = shaken.map_err(|error| secure::explain(endpoint, error));
        let Agreed { request, response, deflate, early } = shaken?;
        let role = Role::client(deflate, response.clone()).map_err(ConnectError::Io)?;
        tracing::debug!(connection = peer.id, %peer, host = endpoint.authority, "connected");
        let config = settings.config.clone();
        let established = Established { carrier, role, request, peer, early, config, clock, guard };
        Ok(Connected { established, response })
    }

    /// What to ask for at that station.
    fn request(&self, hop: &Hop) -> Result<ClientRequest, ConnectError> {
        let Hop { endpoint, .. } = hop;
        let mut request = ClientRequest::new(&*endpoint.authority, &*endpoint.resource)?
            .with_compression(self.settings.config.compression);
        for protocol in &self.settings.protocols {
            request = request.with_protocol(&**protocol)?;
        }
        let sent = || self.settings.headers.iter().filter(|(name, _)| hop.audience().may_have(name));
        for (name, value) in sent() {
            request = request.with_header(&**name, &**value)?;
        }
        // As browsers do; but two headers of that name would be none.
        if let Some(credentials) = &endpoint.credentials
            && !sent().any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION))
        {
            request = request.with_header(AUTHORIZATION, credentials.basic())?;
        }
        Ok(request)
    }
}
