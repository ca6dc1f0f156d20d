//! Which core a thread runs on, and how many files a process may open. Both are inherited by child processes.

use rustix::process::{Resource, Rlimit};
use rustix::thread::CpuSet;

use crate::failure::{Failure, Result, While};

/// Where the two sides run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pinning {
    /// On these two cores.
    Cores { server: usize, load: usize },
    /// Wherever the scheduler puts them: for machines with one core, and for servers with many threads.
    Free,
}

impl Pinning {
    /// The server on core 0 and the load generator on core 1, unless neither is to be bound.
    pub(crate) fn usual(no_pin: bool) -> Self {
        if no_pin { Self::Free } else { Self::Cores { server: 0, load: 1 } }
    }
}

/// Binds the calling thread, and what it starts from now on, to one core.
pub(crate) fn pin(core: usize) -> Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(Failure::new(format!("there is no core {core}")));
    }
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .during(format_args!("pinning to core {core} (choose another, or use --no-pin)"))
}

/// Raises the soft limit of open files to the hard one; fails when `needed` is still above it.
pub(crate) fn raise_open_files(needed: usize) -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        rustix::process::setrlimit(Resource::Nofile, raised).during("raising the limit of open files")?;
    }
    match limit.maximum {
        Some(maximum) if (maximum as usize) < needed => Err(Failure::new(format!(
            "{needed} open files are needed, but the hard limit (ulimit -Hn) is {maximum}"
        ))),
        _ => Ok(()),
    }
}
