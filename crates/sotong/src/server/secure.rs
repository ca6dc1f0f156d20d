//! TLS below HTTP, if the server was given a certificate.

use std::io;

use crate::carrier::Carrier;
use crate::peer::Peer;

/// How the server speaks TLS. Without the feature `tls` it never does.
#[derive(Debug, Default)]
pub(super) struct Secure {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::tls::ServerTls>,
}

impl Secure {
    /// How a browser names what we speak.
    pub(super) fn scheme(&self) -> Option<&'static str> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return Some("https");
        }
        // Behind a proxy it may be both.
        None
    }

    /// The carrier to speak HTTP over, and what was read of it already. `None` if there is nobody to go on with.
    pub(super) async fn begin(
        &self,
        carrier: Carrier,
        read: Vec<u8>,
        peer: &Peer,
    ) -> io::Result<Option<(Carrier, Vec<u8>)>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            use super::admission::refuse;
            use crate::tls::Accepted;
            // Behind a pointer: a handshake without TLS is not to be as large as one with it.
            return match Box::pin(tls.accept(carrier, read)).await {
                Ok(Accepted::Tls(carrier)) => Ok(Some((carrier, Vec::new()))),
                Ok(Accepted::Plain(carrier, answer)) => {
                    tracing::debug!(connection = peer.id, %peer, "plain HTTP on a port of TLS; it was answered with 400");
                    Box::pin(refuse(carrier, answer)).await?;
                    Ok(None)
                }
                Err(error) => {
                    tracing::debug!(connection = peer.id, %peer, %error, "a TLS handshake failed");
                    Ok(None)
                }
            };
        }
        #[cfg(not(feature = "tls"))]
        let _ = peer;
        Ok(Some((carrier, read)))
    }

    /// Looks after the certificate's files, for ever.
    pub(super) async fn keep(&self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.keep().await;
        }
        std::future::pending().await
    }
}
