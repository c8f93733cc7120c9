//! Making and filling maps, for tests and the test bench. Needs `CAP_BPF`.

use std::io;
use std::path::Path;

use crate::call::Handle;
use crate::info::{Info, Kind};
use crate::map::{Map, c_string};

impl Map {
    /// Makes a map with keys and values of so many bytes and room for `max_entries`. It exists as long as this, or a pin.
    pub fn create(kind: Kind, key_size: usize, value_size: usize, max_entries: u32) -> io::Result<Self> {
        Handle::create(Info { kind, key_size, value_size, max_entries }).map(Self)
    }

    /// Pins the map at `path`, which must be in a BPF file system, and must not exist.
    pub fn pin(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.pin(&c_string(path.as_ref())?)
    }

    /// Adds the entry, or gives it another value.
    pub fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.0.update(key, value)
    }

    /// Removes the entry. False when there is none.
    pub fn delete(&self, key: &[u8]) -> io::Result<bool> {
        match self.0.delete(key) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
