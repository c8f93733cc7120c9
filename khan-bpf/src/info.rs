//! What a map says about itself.

/// Shape and size of a map; none of it changes while the map exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its type.
    pub kind: Kind,
    /// Bytes in a key.
    pub key_size: usize,
    /// Bytes in a value.
    pub value_size: usize,
    /// Maximum number of entries.
    pub max_entries: u32,
}

/// Type of a map: `enum bpf_map_type` in `include/uapi/linux/bpf.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `BPF_MAP_TYPE_HASH`: refuses new entries when it is full.
    Hash,
    /// `BPF_MAP_TYPE_LRU_HASH`: evicts entries that were not used lately when it is full.
    LruHash,
    /// Any other, by its number. Such maps can be opened, but not read: a value of a map per CPU, for one, is larger than its value size.
    Other(u32),
}

impl Kind {
    pub(crate) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Hash,
            9 => Self::LruHash,
            other => Self::Other(other),
        }
    }

    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Hash => 1,
            Self::LruHash => 9,
            Self::Other(number) => number,
        }
    }
}
