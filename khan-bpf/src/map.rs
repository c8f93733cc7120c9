//! A pinned map, opened for reading.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::call::Handle;
use crate::info::Info;

/// An eBPF map. Closed when dropped; entries and pins stay.
#[derive(Debug)]
pub struct Map(pub(crate) Handle);

impl Map {
    /// Opens the map that is pinned at `path`, for reading only.
    ///
    /// Needs `CAP_BPF`, or on recent kernels that the user may read the pin and `kernel.unprivileged_bpf_disabled` is 0. The
    /// error is `NotFound` where nothing is pinned, `PermissionDenied` without that right and for paths that are in no BPF file
    /// system (the kernel tells them not apart), `InvalidInput` for what is pinned and no map.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Handle::open(&c_string(path.as_ref())?).map(Self)
    }

    /// Its shape and size.
    pub const fn info(&self) -> Info {
        *self.0.info()
    }

    /// Reads the value of `key` into `value`, as long as the map's values are. False when there is no such entry.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        match self.0.lookup(key, value) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
