//! The seam to whoever keeps cookies.

/// Keeps cookies: those of the handshake are asked for and told here, as browsers include their credentials.
///
/// The rules of cookies (RFC 6265: domains, paths, ages) are the implementation's; programs that use an HTTP client
/// have one already. See [`Options::with_cookies`](super::Options::with_cookies).
///
/// ```
/// use std::sync::Mutex;
/// use sotong::web::{Cookies, Options};
///
/// /// One cookie, for one server.
/// struct Session(Mutex<Option<String>>);
///
/// impl Cookies for Session {
///     fn header(&self, _url: &str) -> Option<String> {
///         self.0.lock().unwrap().clone()
///     }
///     fn store(&self, _url: &str, set_cookie: &str) {
///         let pair = set_cookie.split(';').next().unwrap_or_default();
///         *self.0.lock().unwrap() = Some(pair.trim().to_owned());
///     }
/// }
///
/// let options = Options::new().with_cookies(Session(Mutex::new(None)));
/// # let _ = options;
/// ```
pub trait Cookies: Send + Sync + 'static {
    /// The value of the header `Cookie` for a request to that `ws:` or `wss:` URL; `None` for none.
    ///
    /// Called once for each socket, by the constructor. A value that cannot stand in a header is not sent.
    fn header(&self, url: &str) -> Option<String>;

    /// A header `Set-Cookie` of the answer, whether the handshake succeeds or not. Called for each, in order.
    ///
    /// One that is not UTF-8 is not told.
    fn store(&self, url: &str, set_cookie: &str);
}
