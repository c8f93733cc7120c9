//! Maps that others have pinned: in, a name and the sizes that are known; out, the map, or why it cannot be read.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use khan_bpf::{Buffers, Map};

use super::outlet::Outlet;
use super::reader::{AttemptError, DumpError, Plane, Sink, Spoiled, TableStats, Unread};

/// A map that is there.
#[derive(Debug)]
pub(super) struct Table {
    /// Whose it is.
    pub(super) plane: Plane,
    /// The name of its pin.
    pub(super) name: &'static str,
    /// Whether it is that of IPv6.
    pub(super) v6: bool,
    /// What is pinned.
    pub(super) map: Map,
}

impl Table {
    /// The table as a whole after [`walk`]. None when it could not be read, which `unread` is told.
    pub(super) fn stats(
        &self,
        walked: io::Result<u64>,
        began: Instant,
        unread: &mut Vec<Unread>,
    ) -> Option<TableStats> {
        match walked {
            Ok(entries) => {
                let (info, took) = (self.map.info(), began.elapsed());
                let evicts = info.kind == khan_bpf::Kind::LruHash;
                Some(TableStats { name: self.name, entries, limit: info.max_entries.into(), evicts, took })
            }
            Err(error) => {
                let unknown = error.kind() == io::ErrorKind::Unsupported;
                unread.push(Unread { plane: self.plane, why: format!("{}: {error}", self.name), unknown });
                None
            }
        }
    }
}

/// Opens the map `name` in `folder`, whose keys and values have these sizes in every version that is known; none where nothing
/// has that name.
pub(super) fn open(
    plane: Plane,
    folder: &Path,
    (name, v6): (&'static str, bool),
    [key, value]: [usize; 2],
) -> Result<Option<Table>, Unread> {
    let path = folder.join(name);
    // Where bpf(2) is forbidden it says so of every path, so it is asked only for what is there.
    if !matches!(path.try_exists(), Ok(true)) {
        return Ok(None);
    }
    let unread = |why: String, unknown: bool| Err(Unread { plane, why, unknown });
    let map = match Map::open(&path) {
        Ok(map) => map,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(None),
                io::ErrorKind::PermissionDenied => {
                    unread(format!("{} may not be opened: CAP_BPF is missing", path.display()), false)
                }
                _ => unread(format!("{} cannot be opened: {error}", path.display()), false),
            };
        }
    };
    let info = map.info();
    for (what, has, known) in [("keys", info.key_size, key), ("values", info.value_size, value)] {
        if has != known {
            return unread(format!("{name} has {what} of {has} bytes; Khan knows {known}"), true);
        }
    }
    Ok(Some(Table { plane, name, v6, map }))
}

/// Entries between two signs of life.
const BEAT: u32 = 4096;

/// Hands every entry to `entry` and tells how many there were, or why this map cannot be read at all, before the first of them.
pub(super) fn walk<S: Sink>(
    map: &Map,
    buffers: &mut Buffers,
    outlet: &mut Outlet<'_, S>,
    mut entry: impl FnMut(&[u8], &[u8], &mut Outlet<'_, S>) -> Result<(), AttemptError>,
) -> Result<io::Result<u64>, AttemptError> {
    let (mut failed, mut count) = (None, 0);
    let walked = map.walk(buffers, |key, value| {
        let mut done = entry(key, value, outlet);
        count += 1;
        if count == BEAT {
            count = 0;
            done = done.and_then(|()| outlet.next_batch());
        }
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match (failed, walked) {
        (Some(error), _) => Err(error),
        (None, Ok(walked)) => {
            outlet.read(walked.entries * (map.info().key_size + map.info().value_size) as u64);
            Ok(Ok(walked.entries))
        }
        (None, Err(error)) => match error.kind() {
            io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied => Ok(Err(error)),
            io::ErrorKind::Interrupted | io::ErrorKind::ResourceBusy => Err(Spoiled::Interrupted.into()),
            _ => Err(DumpError::Socket { what: "read an eBPF map", source: error }.into()),
        },
    }
}

/// Time since boot, as the kernel's programs count it: `CLOCK_MONOTONIC`.
pub(super) fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
