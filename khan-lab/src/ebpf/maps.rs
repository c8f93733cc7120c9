//! Maps of a data plane of the test's own: real ones, pinned in a BPF file system that ends with this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use khan_bpf::{Kind, Map};
use rustix::time::{ClockId, clock_gettime};

use super::calico::{self, Version};
use super::cilium::{self, Clock};
use super::connection::Connection;
use super::entry::Entry;
use crate::{BpfFs, LabError, Result};

/// Pinned maps, and their file system.
#[derive(Debug)]
pub struct Maps {
    file_system: BpfFs,
    data_plane: DataPlane,
    by_name: BTreeMap<&'static str, Map>,
}

/// Whose maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlane {
    /// Cilium's.
    Cilium(Clock),
    /// Calico's.
    Calico(Version),
}

impl Maps {
    /// Makes all the maps of a data plane, each for at most `limit` entries, and pins them.
    pub fn new(data_plane: DataPlane, limit: u32) -> Result<Self> {
        let file_system = BpfFs::new()?;
        let pins = file_system.globals()?;
        let mut by_name = BTreeMap::new();
        for (name, kind, (key, value)) in data_plane.maps() {
            let map = Map::create(kind, key, value, limit).and_then(|map| map.pin(pins.join(name)).map(|()| map));
            let map = map.map_err(LabError::io(format!("cannot make the eBPF map {name} (it takes root)")))?;
            by_name.insert(name, map);
        }
        Ok(Self { file_system, data_plane, by_name })
    }

    /// Where the file system is, while this lives: what `--bpf-fs` takes.
    pub fn root(&self) -> PathBuf {
        self.file_system.path()
    }

    /// Puts a connection in, or what has become of it.
    pub fn put(&self, connection: &Connection) -> Result {
        for Entry { map, key, value } in self.entries(connection) {
            self.by_name[map].update(&key, &value).map_err(LabError::io(format!("cannot put an entry into {map}")))?;
        }
        Ok(())
    }

    /// Takes a connection out, what the kernel has evicted already aside.
    pub fn remove(&self, connection: &Connection) -> Result {
        for Entry { map, key, .. } in self.entries(connection) {
            self.by_name[map].delete(&key).map_err(LabError::io(format!("cannot take an entry out of {map}")))?;
        }
        Ok(())
    }

    /// The entries of a connection now.
    pub fn entries(&self, connection: &Connection) -> Vec<Entry> {
        let now = uptime();
        match self.data_plane {
            DataPlane::Cilium(clock) => cilium::entries(connection, clock, now),
            DataPlane::Calico(version) => calico::entries(version, connection, now),
        }
    }

    /// Puts in an entry byte by byte, whatever it means.
    pub fn put_bytes(&self, map: &str, key: &[u8], value: &[u8]) -> Result {
        self.by_name[map].update(key, value).map_err(LabError::io(format!("cannot put an entry into {map}")))
    }
}

impl DataPlane {
    /// Name, kind and sizes of every map.
    fn maps(self) -> Vec<(&'static str, Kind, (usize, usize))> {
        match self {
            Self::Cilium(_) => {
                cilium::MAPS.into_iter().map(|(name, key)| (name, Kind::LruHash, (key, cilium::VALUE))).collect()
            }
            Self::Calico(version) => {
                let kind = if version == Version::Four { Kind::LruHash } else { Kind::Hash };
                [false, true].map(|v6| (version.map(v6), kind, Version::sizes(v6))).into()
            }
        }
    }
}

/// The monotonic clock, which eBPF programs read.
fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.expect("after boot"), nanos.expect("below a second"))
}
