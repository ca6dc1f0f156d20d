//! The header lines of a parsed head, with the questions that a handshake asks about them.

use httparse::Header;

use super::header::list;

/// The header lines of a request or a response, as `httparse` found them.
pub(super) struct Fields<'a>(pub(super) &'a [Header<'a>]);

/// The header of this name must not come twice, and has done so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeated(pub(super) &'static str);

impl<'a> Fields<'a> {
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.0.iter().map(|header| (header.name, header.value))
    }

    /// The values of that name, in any case of letters.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.all().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether the list in all lines of that name has an element that `is_it`.
    pub(super) fn lists(&self, name: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.values(name).flat_map(list).any(is_it)
    }

    /// The value of a header that must not come twice.
    pub(super) fn once(&self, name: &'static str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.values(name);
        let value = values.next();
        if values.next().is_some() { Err(Repeated(name)) } else { Ok(value) }
    }
}
