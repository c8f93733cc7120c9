//! A shop on two nodes with Khan on it, and what may be expected of its numbers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use khan_api::routes;
use khan_api::snapshot::{Side, Snapshot};
use khan_lab::program::Running;
use khan_lab::shop::Edges;
use khan_lab::{Khan, Lab, LabError, Result, Shop, until};
use rustix::process::Signal;

/// Long enough for a retry with back-off; what is promised is printed and far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
pub(crate) const ARGUMENTS: [&str; 2] = ["--interval", "1s"];

pub(crate) fn snapshot(agent: &Running) -> Result<Snapshot> {
    agent.get(routes::SNAPSHOT)?.json()
}

/// What one node's agent counts, by app; edges without an app at both ends are Khan's own.
pub(crate) fn edges(snapshot: &Snapshot, side: Side) -> Edges {
    let app = |index: u32| snapshot.endpoints[index as usize].owner.app.to_string();
    let mut edges = BTreeMap::new();
    for row in snapshot.rows.iter().filter(|row| row.side == side) {
        let edge = (app(row.src), app(row.dst));
        if !edge.0.is_empty() && !edge.1.is_empty() {
            *edges.entry(edge).or_default() += row.connections;
        }
    }
    edges
}

pub(crate) fn sum(parts: impl IntoIterator<Item = Edges>) -> Edges {
    parts.into_iter().flatten().fold(Edges::new(), |mut all, (edge, count)| {
        *all.entry(edge).or_default() += count;
        all
    })
}

/// Waits until both agents together count exactly what is held, and says how long it took.
pub(crate) fn all_is_right(khan: &Khan, shop: &Shop, after: &str) -> Result {
    let start = Instant::now();
    // What was right before the fault proves nothing.
    let id = |agent: &Running| snapshot(agent).ok().map(|snapshot| snapshot.id);
    let before: Vec<_> = khan.agents.iter().map(id).collect();
    let mut last = Edges::new();
    let right = until(&format!("the right numbers after {after}"), PATIENCE, || {
        let snapshots: Vec<Snapshot> = khan.agents.iter().map(snapshot).collect::<Result<_>>().ok()?;
        last = sum(snapshots.iter().map(|snapshot| edges(snapshot, Side::Client)));
        let are_new = snapshots.iter().zip(&before).all(|(now, before)| Some(&now.id) != before.as_ref());
        (last == shop.edges && are_new).then_some(())
    });
    right.map_err(|error| {
        let names: Vec<_> = khan.agents.iter().filter_map(|agent| Some(snapshot(agent).ok()?.names)).collect();
        LabError::Malformed(format!("{error}; counted {last:?}, held {:?}; {names:?}", shop.edges))
    })?;
    println!("{after}: all right after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// While something is broken, fewer connections may be seen than are held, but none twice and none under a wrong name.
pub(crate) fn nothing_is_wrong(agents: &[Running], shop: &Shop) {
    let answers = agents.iter().filter_map(|agent| snapshot(agent).ok());
    for (edge, count) in sum(answers.map(|snapshot| edges(&snapshot, Side::Client))) {
        let held = shop.edges.get(&edge).copied().unwrap_or_default();
        assert!(count <= held, "{edge:?}: counted {count}, held {held}");
    }
}

pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) shop: Shop,
    pub(crate) khan: Khan,
}

impl Scene {
    pub(crate) fn start() -> Result<Self> {
        let lab = Lab::new()?;
        let mut shop = Shop::start(&lab)?;
        shop.open()?;
        let khan = Khan::start(&lab, &shop.cluster, &ARGUMENTS)?;
        all_is_right(&khan, &shop, "the start")?;
        Ok(Self { lab, shop, khan })
    }

    pub(crate) fn kill_controller(&mut self) -> Result {
        self.khan.controller.signal(Signal::KILL)?;
        self.khan.controller.wait(PATIENCE).map(drop)
    }

    pub(crate) fn restart_controller(&mut self) -> Result {
        self.khan.controller = Khan::start_controller(&self.lab, &self.shop.cluster)?;
        Ok(())
    }

    pub(crate) fn kill_agent(&mut self, node: u8) -> Result {
        let agent = &mut self.khan.agents[usize::from(node) - 1];
        agent.signal(Signal::KILL)?;
        agent.wait(PATIENCE).map(drop)
    }

    pub(crate) fn restart_agent(&mut self, node: u8) -> Result {
        self.khan.agents[usize::from(node) - 1] = Khan::start_agent(&self.shop.cluster, node, &ARGUMENTS)?;
        Ok(())
    }
}
