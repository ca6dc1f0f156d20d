//! Pages over HTTP/1.1, by hyper: one request and one answer per connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sotong::Carrier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;

use super::{PLAIN_PATH, site};

/// The most page connections at a time. More are answered with 503 at once.
///
/// A page connection lives for one answer, so this many at a time are thousands per second; it keeps the pages from
/// taking files and memory that the WebSockets need.
const CONNECTIONS_MAX: usize = 256;

/// How long the head of a request may take. The library has read a whole head already; this holds for hyper's view.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one request may take altogether, a slow reader's download included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 38\r\nRetry-After: 1\r\nConnection: close\r\n\r\ntoo many page requests; try again soon";

/// What a page may load and do: its own files and its own WebSocket, nothing inline, nothing from elsewhere.
///
/// `connect-src 'self'` covers `ws:` and `wss:` of the same host and port in all current browsers (Content Security
/// Policy Level 3, section 6.7.2.8; Safari since 15.4).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page server. Cloning it shares its limit.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    places: Arc<Semaphore>,
}

impl Default for Pages {
    fn default() -> Pages {
        Pages::with_connections_max(CONNECTIONS_MAX)
    }
}

impl Pages {
    fn with_connections_max(connections_max: usize) -> Pages {
        Pages { places: Arc::new(Semaphore::new(connections_max)) }
    }

    /// Answers the request that begins with the bytes that were read already.
    pub(super) async fn serve(self, mut stream: Carrier, read: Vec<u8>) {
        let Ok(_place) = self.places.try_acquire() else {
            // Without waiting: whoever has no room to say this to is told by the closed connection.
            let _ = poll_fn(|context| {
                let written = Pin::new(&mut stream).poll_write(context, BUSY);
                let _ = Pin::new(&mut stream).poll_shutdown(context);
                Poll::Ready(written)
            })
            .await;
            tracing::warn!("more than {CONNECTIONS_MAX} page requests at a time; one was answered with 503");
            return;
        };
        let connection = http1::Builder::new()
            // A proxy that keeps connections to us would at some time send a WebSocket request down one that hyper
            // owns, and get a page instead of 101. So hyper's connections end with their first answer, and each
            // request is looked at by the library first.
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(Rewound { read: Bytes::from(read), stream }), service_fn(answer));
        match tokio::time::timeout(REQUEST_TIMEOUT, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a page request failed"),
            Err(_elapsed) => tracing::debug!("a page request took too long"),
        }
    }
}

/// hyper leaves the body out itself when the request is HEAD.
async fn answer<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = decide(&request);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn decide<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    if request.uri().path() == PLAIN_PATH {
        let mut response = text(
            StatusCode::UPGRADE_REQUIRED,
            "this address speaks WebSocket: open it with new WebSocket(url), or see the page at /",
        );
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        // `Upgrade` is for this hop alone (RFC 9110, section 7.8), and the version is told where 426 is (RFC 6455, section 4.4).
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade, close"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    }
    let Some(file) = site::find(request.uri().path()) else {
        return text(StatusCode::NOT_FOUND, "there is no such page; the first one is at /");
    };
    let etag = format!("\"{:016x}\"", file.etag);
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let unchanged = known.filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*")
    });
    let mut response = if unchanged {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Full::new(Bytes::from_static(file.body)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
        response
    };
    let etag = HeaderValue::from_str(&etag).expect("quotes and hexadecimal digits are a header value");
    response.headers_mut().insert(header::ETAG, etag);
    response
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{body}\n")));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A stream that first gives out again what was read from it.
struct Rewound {
    read: Bytes,
    stream: Carrier,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    async fn answer_of(mut client: TcpStream) -> String {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The first one's head is unfinished, so it keeps its place.
    #[tokio::test]
    async fn page_connections_at_the_limit_and_one_past_it() {
        let pages = Pages::with_connections_max(1);
        let (mut first, stream) = pair().await;
        let serving = tokio::spawn(pages.clone().serve(stream.into(), b"GET / HTTP/1.1\r\n".to_vec()));
        while pages.places.available_permits() == 1 {
            tokio::task::yield_now().await;
        }

        let (second, stream) = pair().await;
        pages.clone().serve(stream.into(), b"GET / HTTP/1.1\r\n\r\n".to_vec()).await;
        let answer = answer_of(second).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");

        first.write_all(b"Host: localhost\r\n\r\n").await.unwrap();
        assert!(answer_of(first).await.starts_with("HTTP/1.1 200 OK\r\n"));
        serving.await.unwrap();

        let (third, stream) = pair().await;
        pages.serve(stream.into(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()).await;
        assert!(answer_of(third).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}
