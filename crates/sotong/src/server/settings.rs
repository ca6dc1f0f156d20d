//! What a server was told, shared by everything that admits connections.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use sotong_proto::handshake::{Accept, OriginPolicy, Refusal, Request};
use sotong_proto::{CodecBudget, Config};

use super::clients::ClientSettings;
use super::proxies::Claims;
use super::secure::Secure;
use crate::carrier::Carrier;
use crate::topics::Topics;

type Hook = dyn Fn(&Request) -> Result<Accept, Refusal> + Send + Sync;
type Pages =
    dyn Fn(Carrier, Vec<u8>, Option<SocketAddr>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

pub(super) struct Settings {
    pub(super) config: Arc<Config>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) protocols: Vec<String>,
    pub(super) origins: OriginPolicy,
    pub(super) clients: ClientSettings,
    pub(super) connections_max: usize,
    pub(super) buffered_bytes_max: usize,
    pub(super) codec_bytes_max: usize,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) pages: Option<Arc<Pages>>,
    pub(super) secure: Secure,
    pub(super) topics: Topics,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            config: Arc::default(),
            paths: None,
            protocols: Vec::new(),
            origins: OriginPolicy::default(),
            clients: ClientSettings::default(),
            connections_max: 100_000,
            buffered_bytes_max: 1 << 30,
            codec_bytes_max: CodecBudget::BYTES_MAX,
            hook: None,
            pages: None,
            secure: Secure::default(),
            topics: Topics::new(),
        }
    }
}

impl Settings {
    /// All checks of a request, about which a proxy claims more, and how it is accepted.
    pub(super) fn decide(&self, request: &Request, claims: &Claims<'_>) -> Result<Accept, Refusal> {
        if let Some(paths) = &self.paths
            && !paths.iter().any(|path| path == request.path())
        {
            return Err(Refusal::not_found(request.path()));
        }
        let scheme = claims.scheme.or(self.secure.scheme());
        self.origins.check_seen_as(request, claims.host.as_deref(), scheme)?;
        let mut accept = match &self.hook {
            Some(hook) => hook(request)?,
            None => Accept::default(),
        };
        if accept.protocol().is_none()
            && let Some(protocol) = request.choose_protocol(self.protocols.iter().map(String::as_str))
        {
            accept = accept.with_protocol(protocol);
        }
        Ok(accept.with_default_compression(self.config.compression))
    }

    /// The limits of a connection that is accepted so: those of the server, with the compression that was chosen for it.
    pub(super) fn config_for(&self, accept: &Accept) -> Arc<Config> {
        let compression = accept.compression().copied();
        if self.config.compression == compression {
            return self.config.clone();
        }
        Arc::new((*self.config).clone().with_compression(compression))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .field("paths", &self.paths)
            .field("protocols", &self.protocols)
            .field("clients", &self.clients)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}
