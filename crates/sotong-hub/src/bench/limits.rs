//! What would stop the run, found before it starts: open files, and ports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// Files besides the connections: standard streams, the runtimes' own, a name that is looked up.
const FILES_BESIDE: u64 = 16;
/// Files of each thread's runtime.
const FILES_OF_THREAD: u64 = 4;

/// Which limit is in the way, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InTheWay(pub(super) String);

/// Raises the limit of open files if that is needed. Returns what to tell about it.
pub(super) fn files(connections: usize, threads: usize) -> Result<Option<String>, InTheWay> {
    let needed = connections as u64 + threads as u64 * FILES_OF_THREAD + FILES_BESIDE;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};

        let mut limit = getrlimit(Resource::Nofile);
        match verdict(needed, limit.current, limit.maximum, connections) {
            Verdict::Enough => Ok(None),
            Verdict::Raise => {
                let before = limit.current.unwrap_or(u64::MAX);
                limit.current = limit.maximum;
                match setrlimit(Resource::Nofile, limit) {
                    Ok(()) => Ok(Some(format!(
                        "{connections} connections need {needed} open files, allowed were {before}: raised to {}",
                        limit.maximum.map_or("no limit".to_owned(), |maximum| maximum.to_string())
                    ))),
                    Err(error) => Err(InTheWay(format!(
                        "{connections} connections need {needed} open files, allowed are {before}, and more are \
                         refused: {error}"
                    ))),
                }
            }
            Verdict::TooFew(line) => Err(InTheWay(line)),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = needed;
        Ok(None)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Enough,
    Raise,
    TooFew(String),
}

/// `None` is no limit.
fn verdict(needed: u64, soft: Option<u64>, hard: Option<u64>, connections: usize) -> Verdict {
    let fits = |limit: Option<u64>| limit.is_none_or(|limit| needed <= limit);
    match (fits(soft), fits(hard)) {
        (true, _) => Verdict::Enough,
        (false, true) => Verdict::Raise,
        (false, false) => {
            let hard = hard.unwrap_or(u64::MAX);
            let most = hard.saturating_sub(needed - connections as u64);
            Verdict::TooFew(format!(
                "open files: {connections} connections need {needed}, and this process may have {hard} (the hard \
                 limit); raise it (ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of docker), or ask for at \
                 most {most} connections"
            ))
        }
    }
}

/// Each connection to one address and port has a port of its own on this side, from the system's range.
pub(super) fn ports(connections: usize, peer: Option<SocketAddr>) -> Result<(), InTheWay> {
    match (peer, ephemeral_ports()) {
        (Some(peer), Some(range)) => enough_ports(connections, peer, &range),
        _ => Ok(()),
    }
}

fn enough_ports(connections: usize, peer: SocketAddr, range: &RangeInclusive<u16>) -> Result<(), InTheWay> {
    let ports = range.len();
    if connections <= ports {
        return Ok(());
    }
    let (first, last) = (range.start(), range.end());
    let more =
        if is_local(peer.ip()) { ", let the server listen at several addresses (127.0.0.2 ...)" } else { "" };
    Err(InTheWay(format!(
        "ports: {connections} connections to {peer} need as many ports of this machine, and there are {ports} \
         (net.ipv4.ip_local_port_range is {first} to {last}); widen it (sysctl -w \
         net.ipv4.ip_local_port_range='1024 65535'){more}, share the work with other machines, or ask for at most \
         {ports} connections"
    )))
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Linux says it in a file, for IPv6 too.
fn ephemeral_ports() -> Option<RangeInclusive<u16>> {
    range(&std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(first), Ok(last)) if first <= last => Some(first..=last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_at_the_limit_and_one_past_it() {
        assert_eq!(verdict(100, Some(100), Some(100), 90), Verdict::Enough);
        assert_eq!(verdict(101, Some(100), Some(101), 91), Verdict::Raise);
        assert_eq!(verdict(101, Some(100), None, 91), Verdict::Raise);
        assert_eq!(verdict(101, None, Some(1), 91), Verdict::Enough);
        let Verdict::TooFew(line) = verdict(102, Some(100), Some(101), 92) else { panic!("it does not fit") };
        assert!(line.contains("need 102") && line.contains("may have 101"), "{line}");
        assert!(line.contains("at most 91 connections"), "{line}");
    }

    #[test]
    fn ports_at_the_limit_and_one_past_it() {
        let peer: SocketAddr = "127.0.0.1:9001".parse().unwrap();
        let ports = range("32768\t60999\n").unwrap();
        assert_eq!(enough_ports(28_232, peer, &ports), Ok(()));
        let InTheWay(line) = enough_ports(28_233, peer, &ports).unwrap_err();
        assert!(line.contains("there are 28232") && line.contains("127.0.0.2"), "{line}");
        let InTheWay(line) = enough_ports(28_233, "192.0.2.1:80".parse().unwrap(), &ports).unwrap_err();
        assert!(line.contains("other machines") && !line.contains("127.0.0.2"), "{line}");
    }

    #[test]
    fn what_is_no_range_is_no_limit() {
        for text in ["", "1", "x y", "2 1", "1 70000"] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
