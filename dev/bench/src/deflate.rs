//! Messages compressed by permessage-deflate, each standing alone (RFC 7692, section 7.2). By another implementation than
//! Sotong's, so that the harness is an outside judge of it.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::failure::{Failure, Result};

/// What ends every flush, and is left out on the wire.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The payload of a compressed message.
pub(crate) fn compress(payload: &[u8]) -> Vec<u8> {
    let mut deflater = Compress::new(Compression::default(), false);
    let mut deflated = Vec::with_capacity(payload.len() + 1024);
    deflater
        .compress_vec(payload, &mut deflated, FlushCompress::Sync)
        .expect("memory cannot fail to be written");
    debug_assert!(deflated.ends_with(&TAIL));
    deflated.truncate(deflated.len() - TAIL.len());
    deflated
}

/// What a compressed payload says, up to `bytes_max` and one byte more.
pub(crate) fn inflate(deflated: &[u8], bytes_max: usize) -> Result<Vec<u8>> {
    let mut inflater = Decompress::new(false);
    let mut payload = Vec::with_capacity(bytes_max + 1);
    let whole = [deflated, &TAIL].concat();
    let done = inflater.decompress_vec(&whole, &mut payload, FlushDecompress::Sync);
    done.map_err(|error| Failure::new(format!("what the server compressed is not DEFLATE: {error}")))?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for length in [0, 1, 5, 1000, 100_000] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 89) as u8).collect();
            assert_eq!(inflate(&compress(&payload), length).expect("good DEFLATE"), payload);
        }
    }

    /// RFC 7692, section 7.2.3.1.
    #[test]
    fn hello_as_in_the_rfc() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&hello, 5).expect("the RFC's bytes"), b"Hello");
        assert!(inflate(&[0xff; 9], 5).is_err());
    }
}
