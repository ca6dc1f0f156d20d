//! Ports at which other protocols live (Fetch Standard, "port blocking").

/// The bad ports, in order. At 0 nobody can listen.
const BAD: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Whether a server of another protocol may be there, which is not to be talked to: what a WebSocket says could be read
/// as a command.
pub(super) fn is_bad(port: u16) -> bool {
    BAD.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_each_port_of_it_is_bad() {
        assert!(BAD.is_sorted_by(|a, b| a < b));
        assert!(BAD.iter().all(|port| is_bad(*port)));
        assert_eq!((0..=u16::MAX).filter(|port| is_bad(*port)).count(), BAD.len());
        for good in [80, 443, 8080, 9001, 6664, 6670, 65_535] {
            assert!(!is_bad(good), "{good}");
        }
    }
}
