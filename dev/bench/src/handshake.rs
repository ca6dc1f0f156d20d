//! The client's opening handshake with the smallest head that RFC 6455, section 4.1, allows: no Origin, no
//! sub-protocols, and no extension unless compression is measured.

use std::io::{Read, Write};

use crate::dialer::Target;
use crate::failure::{Failure, Result, While};

/// The key of RFC 6455, section 1.3, and its answer. A constant nonce proves nothing against caches, but there are none
/// between two ends on one machine, and every server gets the same bytes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is offered about compression (RFC 7692), and what must be chosen then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Nothing,
    /// Each message stands alone, in both directions.
    Alone,
    /// Messages may refer to those before them.
    Windows,
}

impl Offer {
    pub(crate) fn alone_if(compress: bool) -> Offer {
        if compress { Offer::Alone } else { Offer::Nothing }
    }

    fn line(self) -> &'static str {
        match self {
            Offer::Nothing => "",
            Offer::Alone => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
            }
            Offer::Windows => "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        }
    }
}

/// Performs the handshake on a blocking stream; hands back the bytes that followed the server's head.
pub(crate) fn shake(stream: &mut (impl Read + Write), target: &Target, offer: Offer) -> Result<Vec<u8>> {
    let offer_line = offer.line();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer_line}\r\n",
        target.path, target.address
    );
    stream.write_all(request.as_bytes()).during("sending the handshake")?;
    let mut answer = Vec::with_capacity(512);
    let mut chunk = [0; 512];
    let end = loop {
        match stream.read(&mut chunk).during("reading the server's answer to the handshake")? {
            0 => return Err(Failure::new("the server hung up during the handshake")),
            n => answer.extend_from_slice(&chunk[..n]),
        }
        if let Some(at) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if answer.len() > HEAD_BYTES_MAX {
            return Err(Failure::new("the server's answer to the handshake does not end"));
        }
    };
    check(&answer[..end], offer)?;
    Ok(answer.split_off(end + 4))
}

/// RFC 6455, section 4.1, "the client MUST validate the server's response".
fn check(head: &[u8], offer: Offer) -> Result<()> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(Failure::new(format!("the server refused the handshake: {status}")));
    }
    let fields: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let value = |wanted: &str| {
        fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
    };
    if value("Sec-WebSocket-Accept") != Some(ACCEPT) {
        return Err(Failure::new("the server's Sec-WebSocket-Accept is missing or wrong"));
    }
    match (value("Sec-WebSocket-Extensions"), offer) {
        (None, Offer::Nothing) => Ok(()),
        (Some(chosen), Offer::Alone) if chosen.contains("server_no_context_takeover") => Ok(()),
        (Some(chosen), Offer::Windows) if chosen.contains("permessage-deflate") => Ok(()),
        (Some(chosen), Offer::Alone) => {
            Err(Failure::new(format!("the server would refer to earlier messages: {chosen}")))
        }
        (None, Offer::Alone | Offer::Windows) => Err(Failure::new("the server does not compress")),
        (Some(chosen), _) => {
            Err(Failure::new(format!("the server chose extensions that were not offered: {chosen}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_good_and_bad() {
        let good = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert!(check(good.as_bytes(), Offer::Nothing).is_ok());
        assert!(check(good.as_bytes(), Offer::Alone).is_err(), "compression is wanted");
        let compressing =
            format!("{good}\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover");
        assert!(check(compressing.as_bytes(), Offer::Alone).is_ok());
        for (bad, because) in [
            (good.replace("101", "403"), "403"),
            (good.replace("s3p", "S3p"), "Accept"),
            (good.replace("accept", "except"), "Accept"),
            (format!("{good}\r\nSec-WebSocket-Extensions: permessage-deflate"), "deflate"),
        ] {
            let failure = check(bad.as_bytes(), Offer::Nothing).expect_err("a bad answer").to_string();
            assert!(failure.contains(because), "{failure}");
        }
    }
}
