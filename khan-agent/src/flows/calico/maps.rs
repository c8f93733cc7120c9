//! Calico's maps: in, entries; out, flows.

use std::io;

use khan_bpf::Buffers;

use super::super::maps::Layout;
use super::super::outlet::Outlet;
use super::super::pinned::{self, Table};
use super::super::reader::{AttemptError, Details, Plane, Sink};
use super::entry;
use super::layout::{key_size, value_size};
use super::lifetime::Lifetimes;

/// Reads the maps.
#[derive(Debug, Default)]
pub(in super::super) struct Calico {
    lifetimes: Lifetimes,
}

impl Layout for Calico {
    const PLANE: Plane = Plane::Calico;

    const MAPS: &[(&[&str], bool)] =
        &[(&["cali_v4_ct4", "cali_v4_ct3"], false), (&["cali_v6_ct4", "cali_v6_ct3"], true)];

    fn sizes(v6: bool) -> [usize; 2] {
        if v6 { [key_size::<16>(), value_size::<16>()] } else { [key_size::<4>(), value_size::<4>()] }
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
