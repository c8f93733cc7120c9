//! `bpf(2)` behind functions that check what they hand to the kernel: in, slices; out, bytes or the kernel's error number.
//!
//! Each command reads its own part of `union bpf_attr` (`include/uapi/linux/bpf.h`); the structs below are these parts. A part that
//! is shorter than the kernel's is completed with zeros (`bpf_check_uarg_tail_zero` in `kernel/bpf/syscall.c`).

use std::ffi::{CStr, c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::info::{Info, Kind};

const MAP_CREATE: c_int = 0;
const MAP_LOOKUP_ELEM: c_int = 1;
const MAP_UPDATE_ELEM: c_int = 2;
const MAP_DELETE_ELEM: c_int = 3;
const OBJ_PIN: c_int = 6;
const OBJ_GET: c_int = 7;
const OBJ_GET_INFO_BY_FD: c_int = 15;
const MAP_LOOKUP_BATCH: c_int = 24;

/// `BPF_F_RDONLY`: the descriptor can only read.
const READ_ONLY: u32 = 1 << 3;

/// For `MAP_CREATE`.
#[repr(C)]
struct Create {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// For `MAP_*_ELEM`.
#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// For `MAP_LOOKUP_BATCH`.
#[repr(C)]
struct Batch {
    position: u64,
    next_position: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// For `OBJ_PIN` and `OBJ_GET`.
#[repr(C)]
struct Object {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// For `OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct Describe {
    descriptor: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// The call itself.
///
/// # Safety
///
/// `attributes` must be the part of `union bpf_attr` that `command` reads, and each pointer in it must be valid for as many bytes as the
/// kernel reads or writes through it.
unsafe fn bpf<A>(command: c_int, attributes: &mut A) -> io::Result<c_long> {
    // SAFETY: the kernel reads and writes at most the given size of `attributes`, which is borrowed for writing during the
    // call; for what they point at the caller answers.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The descriptor of a map, and the sizes that every call on it is checked against.
#[derive(Debug)]
pub(crate) struct Handle {
    map: OwnedFd,
    info: Info,
}

impl Handle {
    /// Opens the map pinned at `path`, for reading only.
    pub(crate) fn open(path: &CStr) -> io::Result<Self> {
        let mut object = Object { path: address(path.to_bytes_with_nul()), descriptor: 0, flags: READ_ONLY };
        // SAFETY: OBJ_GET reads an `Object`, whose path is a borrowed string that ends with a zero.
        let opened = unsafe { bpf(OBJ_GET, &mut object) }?;
        Self::of(owned(opened)?)
    }

    /// Makes a map.
    pub(crate) fn create(info: Info) -> io::Result<Self> {
        let small = |size: usize| u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG));
        let mut create = Create {
            kind: info.kind.number(),
            key_size: small(info.key_size)?,
            value_size: small(info.value_size)?,
            max_entries: info.max_entries,
            flags: 0,
        };
        // SAFETY: MAP_CREATE reads a `Create`, which has no pointers.
        let made = unsafe { bpf(MAP_CREATE, &mut create) }?;
        Self::of(owned(made)?)
    }

    /// Takes a descriptor for what it is.
    fn of(map: OwnedFd) -> io::Result<Self> {
        // Programs and links can be pinned, too, and the kernel describes them in other words.
        let what = std::fs::read_link(format!("/proc/self/fd/{}", map.as_raw_fd()))?;
        if !what.to_string_lossy().ends_with("bpf-map") {
            let sentence = format!("it is no eBPF map ({})", what.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
        }
        let mut found = MapInfo::default();
        let mut describe = Describe {
            descriptor: number(&map),
            length: u32::try_from(size_of::<MapInfo>()).expect("24"),
            info: std::ptr::from_mut(&mut found).expose_provenance() as u64,
        };
        // SAFETY: OBJ_GET_INFO_BY_FD reads a `Describe` and writes at most `length` bytes to `info`: that is all of `found`, which is
        // alive, not otherwise borrowed, and made of numbers for which all bits are valid.
        unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut describe) }?;
        let info = Info {
            kind: Kind::from_number(found.kind),
            key_size: found.key_size as usize,
            value_size: found.value_size as usize,
            max_entries: found.max_entries,
        };
        Ok(Self { map, info })
    }

    pub(crate) const fn info(&self) -> &Info {
        &self.info
    }

    /// Reads the value of `key`.
    pub(crate) fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        self.check(key, value, 1)?;
        let value = std::ptr::from_mut(value).cast::<u8>().expose_provenance() as u64;
        let mut element = Element { map: number(&self.map), padding: 0, key: address(key), value, flags: 0 };
        // SAFETY: MAP_LOOKUP_ELEM reads an `Element`, reads a key and writes a value; both slices were checked to have these sizes, and
        // the value is borrowed for writing.
        unsafe { bpf(MAP_LOOKUP_ELEM, &mut element) }.map(drop)
    }

    /// Reads whole buckets from `position` on, the beginning when there is none. Returns how many entries were written to `keys` and
    /// `values`, whose length decides how many there can be; an error's number is that of the kernel, and entries read before it count.
    /// `position` is then where to go on.
    pub(crate) fn lookup_batch(
        &self,
        position: &mut Option<u32>,
        keys: &mut [u8],
        values: &mut [u8],
    ) -> (usize, io::Result<()>) {
        let capacity = keys.len().checked_div(self.info.key_size).unwrap_or(0);
        if let Err(error) = self.check(keys, values, capacity) {
            return (0, Err(error));
        }
        let from = position.unwrap_or(0);
        let mut next = from;
        let mut batch = Batch {
            position: if position.is_some() { std::ptr::from_ref(&from).expose_provenance() as u64 } else { 0 },
            next_position: std::ptr::from_mut(&mut next).expose_provenance() as u64,
            keys: std::ptr::from_mut(keys).cast::<u8>().expose_provenance() as u64,
            values: std::ptr::from_mut(values).cast::<u8>().expose_provenance() as u64,
            count: u32::try_from(capacity).unwrap_or(u32::MAX),
            map: number(&self.map),
            element_flags: 0,
            flags: 0,
        };
        // SAFETY: MAP_LOOKUP_BATCH reads a `Batch`; of a hash map, which `check` asks for, positions are u32, and at most `count`
        // keys and values are written: the slices, borrowed for writing, were checked to have room for `capacity` of both.
        let done = unsafe { bpf(MAP_LOOKUP_BATCH, &mut batch) }.map(drop);
        // Until the kernel begins to read, its count is still ours.
        let began = match &done {
            Ok(()) => true,
            Err(error) => matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOSPC | libc::EBUSY)),
        };
        let count = if began { batch.count as usize } else { 0 };
        if began {
            *position = Some(next);
        }
        (count.min(capacity), done)
    }

    /// Sets the value of `key`.
    pub(crate) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, value, 1)?;
        let mut element =
            Element { map: number(&self.map), padding: 0, key: address(key), value: address(value), flags: 0 };
        // SAFETY: MAP_UPDATE_ELEM reads an `Element`, a key and a value; both slices were checked to have these sizes.
        unsafe { bpf(MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }

    /// Removes `key`.
    pub(crate) fn delete(&self, key: &[u8]) -> io::Result<()> {
        if key.len() != self.info.key_size {
            return Err(wrong_size());
        }
        let mut element = Element { map: number(&self.map), padding: 0, key: address(key), value: 0, flags: 0 };
        // SAFETY: MAP_DELETE_ELEM reads an `Element` and a key; the slice was checked to have this size.
        unsafe { bpf(MAP_DELETE_ELEM, &mut element) }.map(drop)
    }

    /// Pins the map at `path`.
    pub(crate) fn pin(&self, path: &CStr) -> io::Result<()> {
        let mut object = Object { path: address(path.to_bytes_with_nul()), descriptor: number(&self.map), flags: 0 };
        // SAFETY: OBJ_PIN reads an `Object`, whose path is a borrowed string that ends with a zero.
        unsafe { bpf(OBJ_PIN, &mut object) }.map(drop)
    }

    /// Whether there is room for exactly `entries` keys and values, and each takes no more than its size.
    fn check(&self, keys: &[u8], values: &[u8], entries: usize) -> io::Result<()> {
        if let Kind::Other(number) = self.info.kind {
            let sentence = format!("maps of type {number} are not read: only hash (1) and LRU hash (9) are");
            return Err(io::Error::new(io::ErrorKind::Unsupported, sentence));
        }
        let fits = |slice: &[u8], size: usize| entries.checked_mul(size) == Some(slice.len());
        if fits(keys, self.info.key_size) && fits(values, self.info.value_size) { Ok(()) } else { Err(wrong_size()) }
    }
}

fn wrong_size() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a key or value has not the map's size")
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr().expose_provenance() as u64
}

/// A descriptor is never negative.
fn number(map: &OwnedFd) -> u32 {
    map.as_raw_fd().cast_unsigned()
}

/// A descriptor that the kernel just returned.
fn owned(descriptor: c_long) -> io::Result<OwnedFd> {
    let descriptor = c_int::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: only results of commands that open a new descriptor get here, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_laid_out_as_the_kernel_reads_them() {
        let sizes = [size_of::<Create>(), size_of::<Element>(), size_of::<Batch>(), size_of::<Object>()];
        assert_eq!(sizes, [20, 32, 56, 16]);
        assert_eq!((size_of::<Describe>(), size_of::<MapInfo>()), (16, 24));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = Handle::of(file.into()).unwrap_err();
        assert_eq!(error.to_string(), "it is no eBPF map (/dev/null)");
    }
}
