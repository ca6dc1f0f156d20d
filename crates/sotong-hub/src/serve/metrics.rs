//! What is counted, for Prometheus: one page of text on an address of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Where the page is.
pub(super) const PATH: &str = "/metrics";
/// The most requests at a time: one monitoring asks, or two.
const REQUESTS_MAX: usize = 8;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// After an error of `accept`, which will not go away by itself at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The page, listening.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: TcpListener,
    counted: Counted,
}

/// What is counted in this process.
#[derive(Clone)]
struct Counted(PrometheusHandle);

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl Metrics {
    /// Listens, and counts from now on.
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Metrics> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address} for metrics: {error}"))
        })?;
        let recorder = PrometheusBuilder::new().build_recorder();
        let counted = Counted(recorder.handle());
        metrics::set_global_recorder(recorder).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Metrics { listener, counted })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers for ever.
    pub(super) async fn serve(self) {
        let places = Arc::new(Semaphore::new(REQUESTS_MAX));
        // Dropped with this future, and all requests with it.
        let mut requests = JoinSet::new();
        loop {
            while requests.try_join_next().is_some() {}
            // More than that wait in the kernel.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a request for metrics");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let counted = self.counted.clone();
            requests.spawn(async move {
                let answer = service_fn(|request| {
                    let answer = counted.answer(&request);
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection =
                    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), answer);
                // Who asks for metrics and goes away is no news.
                let _ = tokio::time::timeout(REQUEST_TIMEOUT, connection).await;
                drop(place);
            });
        }
    }
}

impl Counted {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, PATH) => (StatusCode::OK, self.0.render()),
            (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, format!("metrics are at {PATH}\n")),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        // The version of the text format, as Prometheus wants it.
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response
    }
}
