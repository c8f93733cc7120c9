//! Calico's maps: in, the folder they are pinned in; out, flows.

use std::io;
use std::path::Path;

use khan_bpf::Buffers;

use super::super::maps::Layout;
use super::super::outlet::Outlet;
use super::super::pinned::{self, Table};
use super::super::reader::{AttemptError, Details, Plane, Sink, Unread};
use super::entry;
use super::layout::{key_size, value_size};
use super::lifetime::Lifetimes;

/// The maps of each family, the newer version first, and whether they are those of IPv6.
const MAPS: [([&str; 2], bool); 2] = [(["cali_v4_ct4", "cali_v4_ct3"], false), (["cali_v6_ct4", "cali_v6_ct3"], true)];

/// Reads the maps.
#[derive(Debug, Default)]
pub(in super::super) struct Calico {
    lifetimes: Lifetimes,
}

impl Layout for Calico {
    const PLANE: Plane = Plane::Calico;

    /// Of two versions the newer, since after an upgrade the older is only left over.
    fn open(folder: &Path, unread: &mut Vec<Unread>) -> Vec<Table> {
        let mut tables = Vec::new();
        for (names, v6) in MAPS {
            let sizes = if v6 { [key_size::<16>(), value_size::<16>()] } else { [key_size::<4>(), value_size::<4>()] };
            for name in names {
                match pinned::open(Plane::Calico, folder, (name, v6), sizes) {
                    Ok(None) => continue,
                    Ok(Some(table)) => tables.push(table),
                    Err(why) => unread.push(why),
                }
                break;
            }
        }
        tables
    }

    fn begin(&mut self) {
        self.lifetimes.begin();
    }

    fn read<S: Sink>(
        &mut self,
        table: &Table,
        buffers: &mut Buffers,
        outlet: &mut Outlet<'_, S>,
    ) -> Result<io::Result<u64>, AttemptError> {
        let read = if table.v6 { Self::read_family::<16, S> } else { Self::read_family::<4, S> };
        read(self, table, buffers, outlet)
    }
}

impl Calico {
    fn read_family<const N: usize, S: Sink>(
        &mut self,
        table: &Table,
        buffers: &mut Buffers,
        outlet: &mut Outlet<'_, S>,
    ) -> Result<io::Result<u64>, AttemptError> {
        let now = u64::try_from(pinned::uptime().as_nanos()).unwrap_or(u64::MAX);
        let lifetimes = &mut self.lifetimes;
        pinned::walk(&table.map, buffers, outlet, |key, value, outlet| {
            let mut connection = match entry::read::<N>(key, value) {
                Ok(Some(connection)) => connection,
                Ok(None) => return Ok(()),
                Err(_) => {
                    outlet.refuse();
                    return Ok(());
                }
            };
            // Rounded up, like the kernel's. What passed since the walk began passed just now.
            let age = now.saturating_sub(connection.last_seen).div_ceil(1_000_000_000);
            if lifetimes.over(connection.phase, age) {
                return Ok(());
            }
            connection.flow.idle = Some(u32::try_from(age).unwrap_or(u32::MAX));
            outlet.give(&connection.flow, || {
                let [sent, received] = [0, 1].map(|way| connection.bytes.map(|bytes| bytes[way]));
                Details { began: None, bytes_sent: sent, bytes_received: received }
            })
        })
    }
}
