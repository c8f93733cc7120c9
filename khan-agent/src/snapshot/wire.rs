//! The snapshot as `GET /v1/snapshot` answers it.

use khan_api::snapshot::{self as api, Rest, SCHEMA, Side};

use super::{Row, Snapshot};
use crate::table::Unclosed;

impl Snapshot {
    /// The wire form with at most `most` rows, the largest ones.
    pub fn to_api(&self, most: usize) -> api::Snapshot {
        let mut rows: Vec<api::Row> =
            self.rows.chunk_by(|a, b| a.key() == b.key()).map(|rows| self.api_row(rows)).collect();
        rows.sort_by(|a, b| b.connections.cmp(&a.connections).then_with(|| (a.src, a.dst).cmp(&(b.src, b.dst))));
        let mut rest = None;
        if rows.len() > most {
            let mut sum = Rest { rows: (rows.len() - most) as u64, ..Rest::default() };
            for row in rows.drain(most..) {
                match row.side {
                    Side::Client => sum.client += row.connections,
                    Side::Server => sum.server += row.connections,
                }
            }
            rest = Some(sum);
        }
        api::Snapshot {
            schema: SCHEMA,
            id: self.id.clone(),
            node: self.origin.node.clone(),
            boot_id: self.origin.boot_id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.origin.started,
            taken: self.taken,
            scan_millis: u64::try_from(self.scan.as_millis()).unwrap_or(u64::MAX),
            interval_millis: u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX),
            names: self.names.clone(),
            table: self.table.clone(),
            connections: self.connections,
            endpoints: self.endpoints.clone(),
            rows,
            rest,
            warnings: self.warnings.clone(),
        }
    }

    /// One row out of those that differ in nothing but their class.
    fn api_row(&self, rows: &[Row]) -> api::Row {
        let first = &rows[0];
        let mut sum = api::Row {
            src: first.src,
            dst: first.dst,
            backend: first.backend,
            port: first.port,
            backend_port: first.backend_port,
            protocol: first.class.protocol(),
            side: self.side(first.src),
            connections: 0,
            states: std::collections::BTreeMap::new(),
            idle: api::IdleHistogram::default(),
            idle_connections: 0,
            client_unclosed: 0,
            server_unclosed: 0,
        };
        for row in rows {
            let count = u64::from(row.count);
            sum.connections += count;
            *sum.states.entry(row.class.state().as_str().to_owned()).or_default() += count;
            if let Some(bucket) = row.class.idle_bucket() {
                sum.idle.0[bucket] += row.count;
            }
            if row.class.idle() {
                sum.idle_connections += count;
            }
            match row.class.unclosed() {
                Some(Unclosed::Client) => sum.client_unclosed += count,
                Some(Unclosed::Server) => sum.server_unclosed += count,
                None => {}
            }
        }
        sum
    }
}
