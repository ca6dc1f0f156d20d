//! How a fuzzer's bytes are read: a byte of settings, four places to cut at, and the rest is what a peer sends.

/// The settings, the stream, and the stream in pieces.
pub(crate) fn input(data: &[u8]) -> Option<(u8, &[u8], Vec<&[u8]>)> {
    let (&[settings, a, b, c, d], stream) = data.split_first_chunk()?;
    let mut cuts = [a, b, c, d].map(|cut| usize::from(cut) * stream.len() / 255);
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([stream.len()]) {
        pieces.push(&stream[start..end]);
        start = end;
    }
    Some((settings, stream, pieces))
}
