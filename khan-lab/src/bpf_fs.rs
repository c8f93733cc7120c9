//! A BPF file system that nobody else has.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::{LabError, Result};

/// A BPF file system that is mounted nowhere: it is reached through a descriptor of this process, and ends with it, its pins included.
#[derive(Debug)]
pub struct BpfFs(OwnedFd);

impl BpfFs {
    /// Makes one. Needs root, as maps do.
    pub fn new() -> Result<Self> {
        let failed =
            |error| LabError::io("cannot make a BPF file system (it takes root and CONFIG_BPF_SYSCALL)")(error);
        let system = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed)?;
        fsconfig_create(&system).map_err(failed)?;
        let mount = fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(failed)?;
        Ok(Self(mount))
    }

    /// Its root folder: a path for this process and for those that may look into it, such as root's.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// The folder in which data planes pin their maps, made if need be.
    pub fn globals(&self) -> Result<PathBuf> {
        let folder = self.path().join("tc/globals");
        std::fs::create_dir_all(&folder).map_err(LabError::io(format!("cannot make {}", folder.display())))?;
        Ok(folder)
    }
}
