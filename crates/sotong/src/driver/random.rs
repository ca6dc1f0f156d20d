//! Randomness from the operating system.

use std::io;

/// Bytes that nobody can predict: a nonce, or what masking keys grow from.
///
/// # Errors
/// When the system has none, which early in its boot may happen.
pub(crate) fn bytes<const COUNT: usize>() -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
