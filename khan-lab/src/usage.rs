//! What a running program holds of the machine, as `/proc` says.

use crate::{LabError, Result};

/// Memory and file descriptors at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Private resident memory in KiB (`RssAnon`): without pages of files, which the kernel can drop and read again.
    pub memory_kib: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

impl Usage {
    /// Reads the usage of a process.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = std::fs::read_to_string(&path).map_err(LabError::io(format!("cannot read {path}")))?;
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().split(' ').next()?.parse().ok());
        let memory_kib = own.ok_or_else(|| LabError::Malformed(format!("no RssAnon in {path}")))?;
        let path = format!("/proc/{pid}/fd");
        let descriptors = std::fs::read_dir(&path).map_err(LabError::io(format!("cannot read {path}")))?;
        Ok(Self { memory_kib, descriptors: descriptors.count() as u64 })
    }
}
