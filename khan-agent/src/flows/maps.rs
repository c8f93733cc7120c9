//! The reader of one data plane's eBPF maps: in, the folder they are pinned in; out, flows. What is particular to a data plane
//! is its [`Layout`].

use std::io;
use std::path::Path;
use std::time::Instant;

use khan_bpf::Buffers;

use super::outlet::Outlet;
use super::pinned::{self, Table};
use super::reader::{AttemptError, DumpError, Dumped, Plane, Reader, Sink, Stats, TableStats, Unread};

/// Which maps a data plane has, and what their entries mean.
pub(super) trait Layout: Default {
    /// Whose they are.
    const PLANE: Plane;

    /// The names of each map's pin, the newest version's first, and whether it is of IPv6.
    const MAPS: &[(&[&str], bool)];

    /// Bytes of the keys and the values, the same in every version.
    fn sizes(v6: bool) -> [usize; 2];

    /// A reading of all maps begins.
    fn begin(&mut self);

    /// Gives every connection of the map, and tells how many entries it has, or why it cannot be read after all.
    fn read<S: Sink>(
        &mut self,
        table: &Table,
        buffers: &mut Buffers,
        outlet: &mut Outlet<'_, S>,
    ) -> Result<io::Result<u64>, AttemptError>;
}

/// The maps of one data plane.
#[derive(Debug, Default)]
pub(super) struct Maps<L> {
    layout: L,
    /// What the next reading reads.
    open: Vec<Table>,
    tables: Vec<TableStats>,
    unread: Vec<Unread>,
}

impl<L: Layout> Maps<L> {
    /// Opens what is pinned in `folder` for the next reading. Says whether there is anything to read.
    pub(super) fn open(&mut self, folder: &Path) -> bool {
        (self.open, self.tables, self.unread) = (Vec::new(), Vec::new(), Vec::new());
        for (names, v6) in L::MAPS {
            // After an upgrade the older version is only left over.
            let newest =
                names.iter().find_map(|name| pinned::open(L::PLANE, folder, (name, *v6), L::sizes(*v6)).transpose());
            match newest {
                None => {}
                Some(Ok(table)) => self.open.push(table),
                Some(Err(why)) => self.unread.push(why),
            }
        }
        !self.open.is_empty()
    }

    /// Why no map in `folder` was read, if none was.
    pub(super) fn required(&self, folder: &Path) -> Result<(), DumpError> {
        let folder = folder.to_owned();
        match self.unread.first().cloned() {
            _ if !self.tables.is_empty() => Ok(()),
            Some(unread) => Err(DumpError::Unread { folder, unread }),
            None => Err(DumpError::NoTable { plane: L::PLANE, folder }),
        }
    }
}

impl<L: Layout> Reader for Maps<L> {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        let mut dumped = Dumped::default();
        let open = std::mem::take(&mut self.open);
        if open.is_empty() {
            return Ok(dumped);
        }
        self.layout.begin();
        let (mut buffers, mut outlet) = (Buffers::default(), Outlet::new(sink, &mut dumped));
        for table in &open {
            let began = Instant::now();
            let walked = self.layout.read(table, &mut buffers, &mut outlet)?;
            self.tables.extend(table.stats(walked, began, &mut self.unread));
        }
        outlet.next_batch()?;
        Ok(dumped)
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        Ok(Stats { tables: self.tables.clone(), unread: self.unread.clone(), ..Stats::default() })
    }
}
