//! One cell of the table: how many connections, how many messages in flight on each, how large they are.

use std::fmt;
use std::str::FromStr;

/// Written `100x32x16`: 100 connections, 32 messages in flight on each, 16 bytes of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) payload_bytes: usize,
}

/// The four cells that the project's goals are written in.
pub(crate) const GOALS: [Cell; 4] = [
    Cell { connections: 100, depth: 1, payload_bytes: 16 },
    Cell { connections: 100, depth: 32, payload_bytes: 16 },
    Cell { connections: 50, depth: 8, payload_bytes: 1024 },
    Cell { connections: 10, depth: 4, payload_bytes: 65536 },
];

/// Those that compression is measured in.
pub(crate) const COMPRESSED: [Cell; 2] = [
    Cell { connections: 50, depth: 8, payload_bytes: 1024 },
    Cell { connections: 10, depth: 4, payload_bytes: 65536 },
];

/// The one that TLS is measured in.
pub(crate) const SECURE: [Cell; 1] = [Cell { connections: 50, depth: 8, payload_bytes: 1024 }];

/// The load generator keeps twice the messages in flight of one connection in memory.
const IN_FLIGHT_BYTES_MAX: usize = 256 << 20;

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<usize>> = text.split('x').map(|part| part.parse().ok()).collect();
        let Some([connections, depth, payload_bytes]) = numbers.as_deref() else {
            return Err("a cell is CONNECTIONSxDEPTHxBYTES, as in 100x32x16".into());
        };
        let cell = Self { connections: *connections, depth: *depth, payload_bytes: *payload_bytes };
        if cell.connections == 0 || cell.depth == 0 {
            return Err("a cell needs at least one connection and one message in flight".into());
        }
        match cell.depth.checked_mul(cell.payload_bytes) {
            Some(bytes) if bytes <= IN_FLIGHT_BYTES_MAX => Ok(cell),
            _ => Err(format!("depth x bytes of a cell may be {IN_FLIGHT_BYTES_MAX} at most")),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}x{}", self.connections, self.depth, self.payload_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_reads_back_as_it_is_written() {
        for cell in GOALS {
            assert_eq!(cell.to_string().parse(), Ok(cell));
        }
        assert_eq!("1x2x0".parse(), Ok(Cell { connections: 1, depth: 2, payload_bytes: 0 }));
    }

    #[test]
    fn what_is_no_cell_is_refused() {
        for text in [
            "",
            "100",
            "100x1",
            "100x1x16x1",
            "0x1x16",
            "1x0x16",
            "1x1x-1",
            "1x1x16b",
            "1x1x999999999999",
            "1 x1x1",
        ] {
            assert!(text.parse::<Cell>().is_err(), "{text:?} was taken for a cell");
        }
        assert!("1x18446744073709551615x2".parse::<Cell>().is_err(), "depth times bytes overflows");
    }
}
