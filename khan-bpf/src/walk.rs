//! All entries of a map: `BPF_MAP_LOOKUP_BATCH` from the first bucket to the last.

use std::io;
use std::ops::ControlFlow;

use crate::info::Info;
use crate::map::Map;

/// Bytes that one batch takes at first; small enough for a second-level cache, large enough that system calls do not count.
const FIRST: usize = 128 * 1024;

/// Memory for one batch of entries, to be used again for the next walk; of any map.
#[derive(Debug, Default)]
pub struct Buffers {
    keys: Vec<u8>,
    values: Vec<u8>,
    /// Entries that both have room for; 0 before the first walk.
    entries: usize,
}

impl Buffers {
    /// Room for so many entries at first. More is taken when a single bucket of a map holds more.
    pub fn with_room(entries: usize) -> Self {
        Self { entries, ..Self::default() }
    }

    fn prepare(&mut self, info: &Info) -> (&mut [u8], &mut [u8]) {
        if self.entries == 0 {
            self.entries = (FIRST / (info.key_size + info.value_size).max(1)).max(1);
        }
        let (keys, values) = (self.entries * info.key_size, self.entries * info.value_size);
        self.keys.resize(self.keys.len().max(keys), 0);
        self.values.resize(self.values.len().max(values), 0);
        (&mut self.keys[..keys], &mut self.values[..values])
    }
}

/// What a walk was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Entries that were read.
    pub entries: u64,
    /// Batches they came in.
    pub batches: u64,
}

impl Map {
    /// Hands every entry, key and value, to `entry`, until that breaks.
    ///
    /// An entry that is in the map from the beginning of the walk to its end comes exactly once; one that is added or removed meanwhile comes
    /// at most once: a batch consists of whole buckets, each read under its lock, buckets are taken in order, and a key is always
    /// in the same one. That holds for evictions, too. The order is that of the hashes.
    ///
    /// Needs Linux 5.6; on an older kernel the error is `Unsupported` and says so.
    pub fn walk(
        &self,
        buffers: &mut Buffers,
        mut entry: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> io::Result<Walked> {
        let info = self.info();
        let (mut walked, mut position) = (Walked::default(), None);
        loop {
            let (keys, values) = buffers.prepare(&info);
            let (count, done) = self.0.lookup_batch(&mut position, keys, values);
            let last = match done {
                Ok(()) => false,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOENT) => true,
                    // A single bucket is larger than the buffers. None can be larger than the map.
                    Some(libc::ENOSPC) if buffers.entries <= info.max_entries as usize => {
                        buffers.entries *= 2;
                        continue;
                    }
                    // Unknown command; known, but not for maps of this type (ENOTSUPP, which has no name in user space).
                    Some(libc::EINVAL | 524) => return Err(no_batches()),
                    _ => return Err(error),
                },
            };
            walked.entries += count as u64;
            walked.batches += 1;
            let keys = buffers.keys.chunks_exact(info.key_size);
            let values = buffers.values.chunks_exact(info.value_size);
            for (key, value) in keys.zip(values).take(count) {
                if entry(key, value).is_break() {
                    return Ok(walked);
                }
            }
            if last {
                return Ok(walked);
            }
        }
    }
}

fn no_batches() -> io::Error {
    let sentence = "this kernel cannot look up the entries of such maps in batches, which takes Linux 5.6 or newer";
    io::Error::new(io::ErrorKind::Unsupported, sentence)
}
