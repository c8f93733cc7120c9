//! File descriptors: enough of them to start with, and as many as the process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a program needs besides its connections: the runtime, signals, files, the kernel's table.
pub const RESERVED: usize = 48;
/// With fewer a program would serve nobody.
const LEAST: u64 = 64;

/// The process may open too few files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process may open {allowed} files only (ulimit -n); at least {least} are needed")]
pub struct TooFew {
    allowed: u64,
    least: u64,
}

/// Fails when the process may open fewer than `least` files. To be called before anything is opened: runtimes panic without
/// descriptors.
pub fn require(least: u64) -> Result<(), TooFew> {
    let allowed = allowed();
    if allowed < least { Err(TooFew { allowed, least }) } else { Ok(()) }
}

/// For a server: raises the soft limit to the hard one, as Go's runtime does, and fails when that is too low to work with.
pub fn prepare() -> Result<(), TooFew> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // macOS refuses what its kernel cannot give; the soft limit then stays as it is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    require(LEAST)
}

/// Connections for which there are descriptors.
pub(crate) fn for_connections() -> usize {
    usize::try_from(allowed()).unwrap_or(usize::MAX).saturating_sub(RESERVED).max(1)
}

fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
