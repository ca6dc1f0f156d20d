//! A plain inflater for tests (RFC 1951), which knows how far back each reference goes.

const LENGTH_BASE: [usize; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const LENGTH_EXTRA: [u32; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145, 8193, 12289, 16385, 24577,
];
const CODE_LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<usize, &'static str> {
        let mut value = 0;
        for at in 0..count {
            let byte = self.bytes.get(self.position / 8).ok_or("the stream is cut off")?;
            value |= usize::from(byte >> (self.position % 8) & 1) << at;
            self.position += 1;
        }
        Ok(value)
    }
}

/// A Huffman code: how many codes of each length, and the symbols in their order (RFC 1951, section 3.2.2).
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Code {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[*length] += 1);
        counts[0] = 0;
        let symbols =
            (1..16).flat_map(|wanted| (0..lengths.len()).filter(move |symbol| lengths[*symbol] == wanted));
        Code { counts, symbols: symbols.collect() }
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<usize, &'static str> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("no such code")
    }
}

/// Inflates blocks to the end of `deflated`, none of which may refer back more than `window_max` bytes, nor before the
/// start of `window`.
pub(super) fn inflate(window: &[u8], window_max: usize, deflated: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = window.to_vec();
    let mut bits = Bits { bytes: deflated, position: 0 };
    while bits.position < deflated.len() * 8 {
        if bits.take(1)? == 1 {
            return Err("a block is marked as the last");
        }
        let (literals, distances) = match bits.take(2)? {
            0 => {
                bits.position = bits.position.next_multiple_of(8);
                let (length, complement) = (bits.take(16)?, bits.take(16)?);
                if length ^ complement != 0xffff {
                    return Err("lengths of a stored block that do not match");
                }
                for _ in 0..length {
                    out.push(bits.take(8)? as u8);
                }
                continue;
            }
            1 => {
                let length = |symbol| match symbol {
                    0..144 => 8,
                    144..256 => 9,
                    256..280 => 7,
                    _ => 8,
                };
                (Code::new(&(0..288).map(length).collect::<Vec<_>>()), Code::new(&[5; 30]))
            }
            2 => dynamic(&mut bits)?,
            _ => return Err("no such type of block"),
        };
        loop {
            let symbol = literals.decode(&mut bits)?;
            match symbol {
                0..256 => out.push(symbol as u8),
                256 => break,
                _ => {
                    let symbol = symbol - 257;
                    let length =
                        LENGTH_BASE.get(symbol).ok_or("no such length")? + bits.take(LENGTH_EXTRA[symbol])?;
                    let symbol = distances.decode(&mut bits)?;
                    let extra = bits.take((symbol as u32 / 2).saturating_sub(1))?;
                    let distance = DISTANCE_BASE[symbol] + extra;
                    if distance > window_max || distance > out.len() {
                        return Err("a reference too far back");
                    }
                    for _ in 0..length {
                        out.push(out[out.len() - distance]);
                    }
                }
            }
        }
    }
    Ok(out.split_off(window.len()))
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), &'static str> {
    let (literals, distances, count) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    let mut lengths = [0; 19];
    for at in &CODE_LENGTH_ORDER[..count] {
        lengths[*at] = bits.take(3)?;
    }
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.decode(bits)? {
            16 => (*lengths.last().ok_or("nothing to repeat")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    let distances = lengths.split_off(literals);
    Ok((Code::new(&lengths), Code::new(&distances)))
}
