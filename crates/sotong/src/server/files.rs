//! The limit of open files: each connection is one.

use std::sync::Once;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, once per process, and says so.
pub(super) fn raise_limit() {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current == limit.maximum {
            return;
        }
        let before = limit.current;
        limit.current = limit.maximum;
        match setrlimit(Resource::Nofile, limit) {
            Ok(()) => tracing::info!(?before, now = ?limit.current, "raised the limit of open files"),
            Err(error) => tracing::warn!(?before, %error, "the limit of open files could not be raised"),
        }
    });
}
