//! Recordings of the shop, as `--record` writes them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use khan_api::Snapshot;
use khan_cli::feed::channel;
use khan_cli::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, View, merge};
use khan_cli::sources::recording::{Bounds, Recording, record};

use super::shop::snapshots;

/// Records what agents tell, round after round.
pub(crate) fn tape(path: &Path, rounds: impl IntoIterator<Item = Vec<Snapshot>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (feeder, feed) = channel(View::default());
        let bounds = Bounds { span: None, bytes: u64::MAX };
        let mut recorded = record(feed, path, Recording::default(), bounds).expect("a new file");
        let mut pool = Pool::default();
        for round in rounds {
            let view = view(&round, &mut pool);
            feeder.show(Arc::clone(&view));
            recorded.views.wait_for(|seen| seen.id == view.id).await.expect("it is recorded");
        }
    });
}

/// Records the shop at these steps.
pub(crate) fn shop_tape(path: &Path, steps: Range<i64>) {
    tape(path, steps.map(snapshots));
}

fn view(round: &[Snapshot], pool: &mut Pool) -> Arc<View> {
    let inputs = round.iter().map(|snapshot| {
        let mut status = NodeStatus::waiting(&snapshot.node, format!("http://{}:14718", snapshot.node));
        status.describe(snapshot);
        (status.state, status.answered) = (NodeState::Ok, Some(snapshot.taken));
        NodeInput { status, table: Some(Arc::new(NodeTable::new(snapshot, pool).0)) }
    });
    let now = round.iter().map(|snapshot| snapshot.taken).max().unwrap_or_default();
    Arc::new(merge(SourceInfo { context: "prod-eu1".into(), ..SourceInfo::default() }, inputs.collect(), now))
}
