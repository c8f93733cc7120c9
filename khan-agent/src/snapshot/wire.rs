//! The snapshot as `GET /v1/snapshot` answers it.

use khan_api::snapshot::{self as api, SCHEMA};
use serde::{Serialize, Serializer};

use super::largest::Group;
use super::{Row, Snapshot};
use crate::table::Unclosed;

/// Endpoints, each made while it is written.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints<'a>(&'a Snapshot);

/// Rows, each made while it is written.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    snapshot: &'a Snapshot,
    groups: Vec<Group>,
}

impl Snapshot {
    /// The wire form with at most `most` rows, the largest ones, to be written as it is made.
    pub fn to_wire(&self, most: usize) -> api::Snapshot<Endpoints<'_>, Rows<'_>> {
        let (groups, rest) = self.largest(most);
        api::Snapshot {
            schema: SCHEMA,
            id: self.id.as_str().into(),
            node: self.origin.node.as_str().into(),
            boot_id: self.origin.boot_id.as_str().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: self.origin.started,
            taken: self.taken,
            since: self.since,
            scan_millis: u64::try_from(self.scan.as_millis()).unwrap_or(u64::MAX),
            interval_millis: u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX),
            names: self.names.clone(),
            table: self.table.clone(),
            tables: self.tables.clone(),
            connections: self.connections,
            endpoints: Endpoints(self),
            rows: Rows { snapshot: self, groups },
            node_ports: self.node_ports.clone(),
            limits: Some(self.limits.clone()),
            snat: Some(self.snat.clone()),
            rest,
            warnings: self.warnings.iter().map(Into::into).collect(),
        }
    }

    /// The wire form as its readers hold it.
    pub fn to_api(&self, most: usize) -> api::Snapshot {
        let wire = self.to_wire(most);
        api::Snapshot {
            endpoints: wire.endpoints.iter().map(Into::into).collect(),
            rows: wire.rows.iter().collect(),
            schema: wire.schema,
            id: wire.id,
            node: wire.node,
            boot_id: wire.boot_id,
            version: wire.version,
            started: wire.started,
            taken: wire.taken,
            since: wire.since,
            scan_millis: wire.scan_millis,
            interval_millis: wire.interval_millis,
            names: wire.names,
            table: wire.table,
            tables: wire.tables,
            connections: wire.connections,
            node_ports: wire.node_ports,
            limits: wire.limits,
            snat: wire.snat,
            rest: wire.rest,
            warnings: wire.warnings,
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
            stalled: 0,
            unanswered: 0,
            ended: 0,
        };
        for row in rows {
            let count = u64::from(row.count);
            sum.connections += count;
            *sum.states.entry(row.class.state().into()).or_default() += count;
            if let Some(bucket) = row.class.idle_bucket() {
                sum.idle.0[bucket] += row.count;
            }
            let class = row.class;
            for (noted, to) in [
                (class.idle(), &mut sum.idle_connections),
                (class.stalled(), &mut sum.stalled),
                (class.unanswered(), &mut sum.unanswered),
                (class.ended(), &mut sum.ended),
            ] {
                *to += if noted { count } else { 0 };
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

impl<'a> Endpoints<'a> {
    fn iter(&self) -> impl Iterator<Item = api::Endpoint<&'a str, &'a str>> {
        self.0.endpoints.iter().map(super::Endpoint::to_api)
    }
}

impl Rows<'_> {
    fn iter(&self) -> impl Iterator<Item = api::Row> {
        self.groups.iter().map(|group| self.snapshot.api_row(group.of(self.snapshot)))
    }
}

impl Serialize for Endpoints<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
