//! Connections that ended, by app: in, snapshots; out, the counter `khan_connections_closed_total`.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use khan_api::snapshot::Side;
use khan_api::{Kind, Label, Timestamp};
use khan_serve::exposition::{Exposition, label};

use super::Destination;
use crate::identities::Endpoint;
use crate::snapshot::{OTHER, Snapshot};

const NAME: &str = "khan_connections_closed_total";
const HELP: &str = "TCP connections that ended, by app: those that entered TIME_WAIT since the agent started. Connections that \
                    end by a reset, or leave TIME_WAIT before a scan sees them, are not in it.";
/// How long a series stays after it last rose.
const STAYS: Duration = Duration::from_hours(1);
/// The most series; what comes after them is one series per side.
const MOST: usize = 5_000;

/// What is counted so far.
#[derive(Debug, Default)]
pub struct Ended {
    counts: HashMap<Pair, Count>,
}

/// The labels of one series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Pair {
    src: App,
    dst: App,
    side: Side,
}

/// Type, namespace and app of one end, as they are printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct App(&'static str, Label, Label);

#[derive(Clone, Copy, Debug)]
struct Count {
    total: u64,
    /// Since when it counts.
    created: Timestamp,
    rose: Instant,
}

impl App {
    fn of(endpoint: &Endpoint) -> Self {
        let owner = &endpoint.owner;
        if endpoint.ip.is_none() && owner.app == OTHER {
            Self::other()
        } else {
            Self::new(owner.kind, &owner.ns, &owner.app)
        }
    }

    fn new(kind: Kind, ns: &Label, app: &Label) -> Self {
        Self(kind.as_str(), ns.clone(), app.clone())
    }

    fn other() -> Self {
        Self("", Label::default(), OTHER.into())
    }
}

impl Ended {
    /// Adds what a snapshot counted, and forgets series that have not risen for an hour.
    pub fn add(&mut self, snapshot: &Snapshot, destination: Destination, now: Instant) {
        let created = snapshot.since.unwrap_or(snapshot.taken);
        self.counts.retain(|_, count| now.saturating_duration_since(count.rose) < STAYS);
        for rows in snapshot.rows.chunk_by(|a, b| (a.src, a.dst, a.backend) == (b.src, b.dst, b.backend)) {
            let ended: u64 = rows.iter().filter(|row| row.class.ended()).map(|row| u64::from(row.count)).sum();
            if ended == 0 {
                continue;
            }
            let dst = match destination {
                Destination::Service => rows[0].dst,
                Destination::Backend => rows[0].backend,
            };
            let app = |number: u32| App::of(&snapshot.endpoints[number as usize]);
            let mut pair = Pair { src: app(rows[0].src), dst: app(dst), side: snapshot.side(rows[0].src) };
            if self.counts.len() >= MOST && !self.counts.contains_key(&pair) {
                (pair.src, pair.dst) = (App::other(), App::other());
            }
            let count = self.counts.entry(pair).or_insert(Count { total: 0, created, rose: now });
            count.total += ended;
            count.rose = now;
        }
    }

    /// The metric's lines. `node` is that label, written out.
    pub(super) fn lines(&self, node: &str) -> Vec<Line> {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_unstable_by_key(|(pair, _)| *pair);
        let line = |(pair, count): (&Pair, &Count)| Line {
            labels: pair.labels(node),
            total: count.total,
            created: count.created,
        };
        counts.into_iter().map(line).collect()
    }
}

impl Pair {
    fn labels(&self, node: &str) -> Box<str> {
        let mut text = node.to_owned();
        let ends = [(["src_type", "src_ns", "src_app"], &self.src), (["dst_type", "dst_ns", "dst_app"], &self.dst)];
        for (names, App(kind, ns, app)) in ends {
            for (name, value) in names.into_iter().zip([kind, ns.as_str(), app.as_str()]) {
                text.push(',');
                label(&mut text, name, value);
            }
        }
        text.push(',');
        label(&mut text, "side", self.side.as_str());
        text.into()
    }
}

/// Appends the lines about the metric.
pub(super) fn about(exposition: Exposition, out: &mut Vec<u8>) {
    exposition.about(out, NAME, HELP, "counter");
}

/// One series.
#[derive(Debug)]
pub struct Line {
    labels: Box<str>,
    total: u64,
    created: Timestamp,
}

impl Line {
    /// Bytes that it holds.
    pub(super) const fn memory(&self) -> usize {
        size_of::<Self>() + self.labels.len()
    }

    /// Appends its value, and in OpenMetrics since when it counts.
    pub(super) fn write(&self, exposition: Exposition, out: &mut Vec<u8>) {
        let Self { labels, total, created } = self;
        // Writing to memory does not fail.
        let _ = writeln!(out, "{NAME}{{{labels}}} {total}");
        if exposition == Exposition::OpenMetrics {
            let (seconds, millis) = (created.seconds(), created.millis().rem_euclid(1000));
            let _ = writeln!(out, "khan_connections_closed_created{{{labels}}} {seconds}.{millis:03}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use khan_api::{Owner, Protocol, TcpState};

    use super::*;
    use crate::flows::{Flow, Tcp};
    use crate::snapshot::Row;
    use crate::table::Class;

    /// A snapshot in which pods of each of these apps ended so many connections to `db`, and others still linger.
    fn snapshot(apps: impl IntoIterator<Item = (String, u32)>) -> Snapshot {
        let pod = |app: &str| Endpoint {
            ip: Some([10, 0, 0, 1].into()),
            owner: Arc::new(Owner { kind: Kind::Pod, ns: "shop".into(), app: app.into(), ..Owner::default() }),
            previous: false,
            dead: None,
        };
        let flow =
            Flow { protocol: 6, tcp: Some(Tcp { state: TcpState::TimeWait, ..Tcp::default() }), ..Flow::default() };
        let old = Class::of(&flow, Protocol::Tcp, None, 600, [false; 3]);
        let mut snapshot = Snapshot { endpoints: vec![pod("db")], ..Snapshot::default() };
        for (app, ended) in apps {
            #[expect(clippy::cast_possible_truncation, reason = "a few")]
            let src = snapshot.endpoints.len() as u32;
            snapshot.endpoints.push(pod(&app));
            let row = Row { src, dst: 0, backend: 0, port: 1, backend_port: 1, zone: 0, class: old, count: 9 };
            snapshot.rows.extend([row, Row { class: old.as_ended(), count: ended, ..row }]);
        }
        snapshot
    }

    fn written(ended: &Ended, exposition: Exposition) -> Vec<String> {
        let mut text = Vec::new();
        ended.lines(r#"node="n1""#).iter().for_each(|line| line.write(exposition, &mut text));
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    fn lines(ended: &Ended) -> Vec<String> {
        written(ended, Exposition::Text)
    }

    fn named(app: &str, ended: u32) -> (String, u32) {
        (app.to_owned(), ended)
    }

    #[test]
    fn ended_connections_add_up_by_app_and_leave_after_an_hour() {
        let (mut ended, start) = (Ended::default(), Instant::now());
        let after = |minutes: u64| start + Duration::from_mins(minutes);
        ended.add(&snapshot([named("web", 3), named("web", 4), named("idle", 0)]), Destination::Service, after(0));
        ended.add(&snapshot([named("web", 5), named("cart", 1)]), Destination::Backend, after(1));
        let line = |app: &str, total: u64| {
            format!(
                r#"khan_connections_closed_total{{node="n1",src_type="pod",src_ns="shop",src_app="{app}",dst_type="pod",dst_ns="shop",dst_app="db",side="client"}} {total}"#
            )
        };
        assert_eq!(lines(&ended), [line("cart", 1), line("web", 12)]);
        ended.add(&snapshot([named("cart", 1)]), Destination::Service, after(60));
        assert_eq!(lines(&ended), [line("cart", 2), line("web", 12)]);
        ended.add(&snapshot([]), Destination::Service, after(61));
        assert_eq!(lines(&ended), [line("cart", 2)]);
    }

    #[test]
    fn open_metrics_tells_since_when_a_series_counts() {
        let mut ended = Ended::default();
        for (taken, since) in [(90_250, Some(60_250)), (120_250, Some(90_250))] {
            let moment = Timestamp::from_millis;
            let first = Snapshot { taken: moment(taken), since: since.map(moment), ..snapshot([named("web", 3)]) };
            ended.add(&first, Destination::Service, Instant::now());
        }
        let lines = written(&ended, Exposition::OpenMetrics);
        assert!(lines[0].ends_with(r#"side="client"} 6"#), "{lines:?}");
        assert_eq!(lines[1], lines[0].replace("_total{", "_created{").replace(" 6", " 60.250"));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn series_are_bounded_and_their_sum_is_exact() {
        let mut ended = Ended::default();
        let apps = (0..7_000).map(|n| (format!("app-{n}"), 1));
        ended.add(&snapshot(apps), Destination::Service, Instant::now());
        let lines = lines(&ended);
        assert_eq!(lines.len(), MOST + 1);
        assert!(lines[0].contains(r#"src_app="__other__""#) && lines[0].ends_with(" 2000"), "{}", lines[0]);
    }
}
