//! How full a connection table is.

use serde::{Deserialize, Serialize};

use crate::text::Label;

/// Most tables in a snapshot.
pub const MAX_TABLES: usize = 16;

/// One connection table as a whole: the kernel's, or an eBPF map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TableStats {
    /// What the node calls it: [`KERNEL`](Self::KERNEL), or the name of a map's pin. The metrics' label `table`.
    pub name: Label,
    /// Entries in it, those that only lead to others and those past their lifetime included.
    pub entries: u64,
    /// Maximum number of entries; 0 where that is not known.
    pub limit: u64,
    /// Wall time that reading it took, in microseconds, since a small map takes less than one millisecond; 0 where that is not
    /// known.
    pub scan_micros: u64,
}

impl TableStats {
    /// What the kernel calls its table.
    pub const KERNEL: &str = "nf_conntrack";

    /// Whether this is the kernel's table.
    pub fn is_kernel(&self) -> bool {
        self.name == Self::KERNEL
    }

    /// Filled share, 0 to 1; `None` where the limit is not known.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn fill(&self) -> Option<f64> {
        (self.limit > 0).then(|| self.entries as f64 / self.limit as f64)
    }

    /// The same in whole percent, as every view and file has it: 100 only when the table is full, 0 only when it is empty.
    pub fn fill_percent(&self) -> Option<u8> {
        let (entries, limit) = (u128::from(self.entries), u128::from(self.limit));
        let rounded = (entries * 200).checked_div(limit)?.div_ceil(2);
        let shown = if entries >= limit { rounded.max(100) } else { rounded.min(99) };
        let shown = if entries > 0 { shown.max(1) } else { 0 };
        Some(u8::try_from(shown).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_table_is_full_and_only_an_empty_one_is_empty() {
        let percent = |(entries, limit)| TableStats { entries, limit, ..TableStats::default() }.fill_percent();
        let shares = [(0, 1000), (1, 1000), (506, 1000), (999, 1000), (1000, 1000), (1100, 1000), (5, 0)];
        let shown = [Some(0), Some(1), Some(51), Some(99), Some(100), Some(110), None];
        assert_eq!(shares.map(percent), shown);
    }
}
