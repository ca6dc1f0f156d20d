//! What the kernel knows of a server process: CPU time, waiting for a core, anonymous memory, open files.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Result, While};

/// Both since the process began, in sum over its threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuUse {
    /// On a core, user and system together.
    pub(crate) busy: Duration,
    /// Runnable, but the core was taken by something else: a measure of how disturbed a run was.
    pub(crate) waited: Duration,
}

/// From `/proc/PID/task/*/schedstat`: the scheduler's own nanoseconds, where `/proc/PID/stat` counts in ticks of 10 ms.
/// The time of a thread that has ended is lost; servers under load do not end threads.
pub(crate) fn cpu_use(pid: u32) -> Result<CpuUse> {
    let folder = format!("/proc/{pid}/task");
    let mut sum = CpuUse::default();
    let mut threads = 0;
    for entry in fs::read_dir(&folder).during(format_args!("reading {folder} (is the server running?)"))? {
        let path = entry.during(format_args!("reading {folder}"))?.path().join("schedstat");
        // A thread may end between listing and reading.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Some(thread) = parse_schedstat(&text) else {
            return Err(Failure::new(format!("{} is not readable: {text:?}", path.display())));
        };
        sum.busy += thread.busy;
        sum.waited += thread.waited;
        threads += 1;
    }
    if threads == 0 {
        return Err(Failure::new(
            "this kernel has no schedstat (CONFIG_SCHED_INFO), which CPU times are read from",
        ));
    }
    Ok(sum)
}

/// `on-core-ns waiting-ns timeslices`.
fn parse_schedstat(text: &str) -> Option<CpuUse> {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse().ok());
    let (busy, waited, _slices) = (fields.next()??, fields.next()??, fields.next()??);
    fields
        .next()
        .is_none()
        .then_some(CpuUse { busy: Duration::from_nanos(busy), waited: Duration::from_nanos(waited) })
}

/// Resident anonymous memory in KiB, from `smaps_rollup`: pages as they are mapped now. (`RssAnon` of `status` is
/// counted per thread and may lag.)
pub(crate) fn anonymous_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).during(format_args!("reading {path}"))?;
    parse_anonymous(&text).ok_or_else(|| Failure::new(format!("{path} has no line Anonymous")))
}

fn parse_anonymous(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// How many files the process has open, sockets among them.
pub(crate) fn open_files(pid: u32) -> Result<usize> {
    let folder = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&folder).during(format_args!("reading {folder}"))?.count())
}

/// System calls of a process, counted by `perf` from Debian's package linux-perf. It has the kernel count (a tracepoint),
/// where `strace` would stop the process at each call and change what it does.
#[derive(Debug)]
pub(crate) struct Calls(Child);

impl Calls {
    /// Begins to count, for so long. `None` without `perf`.
    pub(crate) fn count(pid: u32, window: Duration) -> Result<Option<Self>> {
        let child = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &pid.to_string(), "--", "sleep"])
            .arg(window.as_secs_f64().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        match child {
            Ok(child) => Ok(Some(Self(child))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).during("starting perf"),
        }
    }

    pub(crate) fn is_over(&mut self) -> Result<bool> {
        Ok(self.0.try_wait().during("waiting for perf")?.is_some())
    }

    /// How many there were. `None` where the kernel does not let itself be asked.
    pub(crate) fn counted(self) -> Result<Option<u64>> {
        let output = self.0.wait_with_output().during("reading what perf counted")?;
        Ok(parse_perf(&String::from_utf8_lossy(&output.stderr)))
    }
}

/// `COUNT,,raw_syscalls:sys_enter,…`.
fn parse_perf(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(",raw_syscalls:sys_enter,"))?;
    line.split(',').next()?.parse().ok().filter(|&calls| calls > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_lines() {
        let expected = CpuUse { busy: Duration::from_nanos(378_957), waited: Duration::from_nanos(56_763) };
        assert_eq!(parse_schedstat("378957 56763 4\n"), Some(expected));
        for wrong in ["", "1", "1 2", "1 2 x", "1 2 3 4", "-1 2 3"] {
            assert_eq!(parse_schedstat(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_anonymous_line_among_its_neighbours() {
        let text = "5600-7fff ---p 00000000 00:00 0 [rollup]\nRss:  1404 kB\nPss_Anon:  148 kB\nAnonymous:  152 kB\nAnonHugePages:  0 kB\n";
        assert_eq!(parse_anonymous(text), Some(152));
        assert_eq!(parse_anonymous("AnonHugePages: 0 kB\n"), None);
        assert_eq!(parse_anonymous("Anonymous: 152 MB\n"), None);
    }

    #[test]
    fn what_perf_says() {
        assert_eq!(parse_perf("29,,raw_syscalls:sys_enter,654968,100.00,,\n"), Some(29));
        assert_eq!(parse_perf("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
        assert_eq!(parse_perf("event syntax error: 'raw_syscalls:sys_enter'\n"), None);
    }

    /// Against ourselves: time passes on the clock that is read, memory that is touched shows.
    #[test]
    fn this_process_shows_what_it_uses() {
        let pid = std::process::id();
        let before = cpu_use(pid).expect("our own schedstat").busy;
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while cpu_use(pid).expect("our own schedstat").busy < before + Duration::from_millis(10) {
            assert!(std::time::Instant::now() < deadline, "CPU time does not grow");
        }
        let kib = anonymous_kib(pid).expect("our own smaps_rollup");
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(anonymous_kib(pid).expect("our own smaps_rollup") > kib + (32 << 10));
        drop(block);
        assert!(open_files(pid).expect("our own files") >= 3);
    }
}
