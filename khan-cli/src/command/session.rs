//! Waiting for a feed's views, for commands that print.

use std::sync::Arc;
use std::time::Duration;

use crate::failure::Failure;
use crate::feed::{Feed, News};
use crate::model::{History, SourceKind, View};

/// How long a source that knows the past is waited for.
const PAST: Duration = Duration::from_secs(10);

/// The first view in which every node has answered or failed; fails when none has answered. A past that comes with it goes
/// into the history.
pub async fn settled(feed: &mut Feed, history: &mut History) -> Result<Arc<View>, Failure> {
    let view = feed.views.wait_for(|view| view.settled && !view.nodes.is_empty()).await.map(|view| Arc::clone(&*view));
    let Ok(view) = view else {
        let reason = last_error(feed).unwrap_or_else(|| "the source ended before it had an answer".into());
        return Err(Failure::unreachable(reason));
    };
    if view.counted_nodes() == 0 {
        return Err(silent(&view));
    }
    if matches!(view.source.kind, SourceKind::Prometheus | SourceKind::Replay) {
        let past = async {
            loop {
                match feed.news.recv().await {
                    Some(News::Past(past)) => return Some(past),
                    Some(News::Error { .. } | News::End) | None => return None,
                    Some(_) => {}
                }
            }
        };
        if let Ok(Some(past)) = tokio::time::timeout(PAST, past).await {
            history.backfill(past);
        }
    }
    Ok(view)
}

/// The next settled view other than `shown`; `None` when the source has ended.
pub async fn next(feed: &mut Feed, shown: u64) -> Option<Arc<View>> {
    let view = feed.views.wait_for(|view| view.settled && view.id != shown).await;
    view.map(|view| Arc::clone(&*view)).ok()
}

fn silent(view: &View) -> Failure {
    const NAMED: usize = 3;
    let reasons: Vec<_> =
        view.nodes.iter().filter_map(|node| node.failure.as_ref().map(|failure| failure.reason.as_str())).collect();
    let more = if reasons.len() > NAMED { format!("; and {} more", reasons.len() - NAMED) } else { String::new() };
    let who = if view.source.kind == SourceKind::Agents { "agent" } else { "source" };
    Failure::unreachable(format_args!("no {who} answered: {}{more}", reasons[..reasons.len().min(NAMED)].join("; ")))
}

fn last_error(feed: &mut Feed) -> Option<String> {
    let mut last = None;
    while let Ok(news) = feed.news.try_recv() {
        if let News::Error { message, .. } = news {
            last = Some(message);
        }
    }
    last
}
