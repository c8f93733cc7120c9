//! The largest rows of a snapshot: in, all of them; out, so many, and the sum of the rest.

use std::cmp::Reverse;

use khan_api::snapshot::Rest;

use super::{Row, Snapshot};

/// Rows of a snapshot that differ in nothing but their class, and are one to its readers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    connections: u64,
    first: u32,
    rows: u32,
}

impl Group {
    /// Its rows.
    pub(super) fn of(self, snapshot: &Snapshot) -> &[Row] {
        &snapshot.rows[self.first as usize..][..self.rows as usize]
    }
}

impl Snapshot {
    /// Keeps the largest rows, at most so many groups of them, and the endpoints that they speak of. What is left out
    /// goes into [`rest`](Self::rest).
    pub fn keep_largest(&mut self, most: usize) {
        let (groups, rest) = self.largest(most);
        if groups.iter().map(|group| group.rows as usize).sum::<usize>() == self.rows.len() {
            return;
        }
        self.rest = rest;
        self.rows = groups.iter().flat_map(|group| group.of(self)).copied().collect();
        let mut places = vec![u32::MAX; self.endpoints.len()];
        for row in &self.rows {
            for end in [row.src, row.dst, row.backend] {
                places[end as usize] = 0;
            }
        }
        for (next, place) in (0..).zip(places.iter_mut().filter(|place| **place == 0)) {
            *place = next;
        }
        let mut held = places.iter().map(|place| *place != u32::MAX);
        self.endpoints.retain(|_| held.next().unwrap_or(false));
        self.endpoints.shrink_to_fit();
        self.limits.retain_mut(|limit| {
            limit.endpoint = places[limit.endpoint as usize];
            limit.endpoint != u32::MAX
        });
        for row in &mut self.rows {
            for end in [&mut row.src, &mut row.dst, &mut row.backend] {
                *end = places[*end as usize];
            }
        }
    }

    /// At most so many groups, most connections first, and the sum of the others and of what was left out before.
    pub(super) fn largest(&self, most: usize) -> (Vec<Group>, Option<Rest>) {
        let mut groups = Vec::new();
        let mut first = 0;
        for rows in self.rows.chunk_by(|a, b| a.key() == b.key()) {
            let connections = rows.iter().map(|row| u64::from(row.count)).sum();
            #[expect(clippy::cast_possible_truncation, reason = "rows are counted in 24 bits")]
            let rows = rows.len() as u32;
            groups.push(Group { connections, first, rows });
            first += rows;
        }
        groups.sort_unstable_by_key(|group| (Reverse(group.connections), group.of(self)[0].key()));
        let mut rest = self.rest;
        if groups.len() > most {
            let rest = rest.get_or_insert_default();
            for group in groups.drain(most..) {
                rest.add(self.side(group.of(self)[0].src), group.connections);
            }
        }
        (groups, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use khan_api::snapshot::Side;
    use khan_api::{Name, Owner};

    use super::*;
    use crate::identities::Endpoint;

    #[test]
    fn what_is_kept_is_what_readers_saw_before() {
        let owner = |n: u32| Owner {
            name: format!("pod-{n}").into(),
            node: ["", "elsewhere"][n as usize % 2].into(),
            ..Owner::default()
        };
        let endpoint = |n: u32| Endpoint {
            ip: Some(Ipv4Addr::from_bits(n).into()),
            owner: Arc::new(owner(n)),
            ..Endpoint::default()
        };
        let class =
            crate::table::Class::of(&crate::flows::Flow::default(), khan_api::Protocol::Tcp, None, 600, [false; 3]);
        let row = |n: u32| Row {
            src: n,
            dst: 300 + n,
            backend: n * 7 % 300,
            port: 1,
            backend_port: 1,
            zone: 0,
            class,
            count: n * 37 % 91 + 1,
        };
        let endpoints = (0..600).map(endpoint).collect();
        let mut snapshot = Snapshot { endpoints, rows: (0..300).map(row).collect(), ..Snapshot::default() };
        let named = |snapshot: &Snapshot| {
            let wire = snapshot.to_api(40);
            let names = |n: u32| wire.endpoints[n as usize].owner.name.clone();
            let rows =
                wire.rows.iter().map(|row| ([row.src, row.dst, row.backend].map(names), row.side, row.connections));
            (rows.collect::<Vec<_>>(), wire.rest)
        };
        let before = named(&snapshot);
        snapshot.keep_largest(100);
        assert_eq!(snapshot.rows.len(), 100);
        assert!(snapshot.endpoints.len() <= 300, "{} endpoints", snapshot.endpoints.len());
        let rest = snapshot.rest.expect("200 rows were left out");
        assert_eq!(
            (rest.rows, rest.client + rest.server + rest.unknown),
            (
                200,
                (0..300_u32).map(|n| u64::from(n * 37 % 91 + 1)).sum::<u64>()
                    - snapshot.rows.iter().map(|row| u64::from(row.count)).sum::<u64>()
            )
        );
        assert_eq!(named(&snapshot).1, before.1);
        let counts = |rows: &[([Name; 3], Side, u64)]| rows.iter().map(|row| row.2).collect::<Vec<_>>();
        assert_eq!(counts(&named(&snapshot).0), counts(&before.0));
        let kept = snapshot.clone();
        snapshot.keep_largest(100);
        assert_eq!((snapshot.rows, snapshot.rest), (kept.rows, kept.rest), "nothing more to leave out");
    }
}
