//! The parameters of permessage-deflate, in an offer or in an answer (RFC 7692, section 7.1).

use super::settings::WindowBits;
use crate::handshake::ExtensionOffer;

/// The four parameters, each of them known, at most once there, and with a valid value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<WindowBits>,
    /// In an offer it may stand without a value (section 7.1.2.2).
    pub(super) client_max_window_bits: Option<Option<WindowBits>>,
}

impl Parameters {
    /// Reads them, each once. What is wrong otherwise is told by the error.
    pub(super) fn parse(element: &ExtensionOffer<'_>) -> Result<Parameters, &'static str> {
        let mut parameters = Parameters::default();
        for (name, value) in element.parameters() {
            let value = value.as_deref();
            match name {
                "server_no_context_takeover" => flag(&mut parameters.server_no_context_takeover, value)?,
                "client_no_context_takeover" => flag(&mut parameters.client_no_context_takeover, value)?,
                "server_max_window_bits" => {
                    let bits = bits(value)?.ok_or("server_max_window_bits has no value")?;
                    once(&mut parameters.server_max_window_bits, bits)?;
                }
                "client_max_window_bits" => once(&mut parameters.client_max_window_bits, bits(value)?)?,
                _ => return Err("an unknown parameter"),
            }
        }
        Ok(parameters)
    }
}

fn flag(seen: &mut bool, value: Option<&str>) -> Result<(), &'static str> {
    if value.is_some() {
        return Err("a parameter with a value that takes none");
    }
    if std::mem::replace(seen, true) { Err("a parameter more than once") } else { Ok(()) }
}

fn once<T>(seen: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if seen.replace(value).is_some() { Err("a parameter more than once") } else { Ok(()) }
}

fn bits(value: Option<&str>) -> Result<Option<WindowBits>, &'static str> {
    match value {
        None => Ok(None),
        Some(value) => WindowBits::parse(value).map(Some).ok_or("window bits that are not 8 to 15"),
    }
}
