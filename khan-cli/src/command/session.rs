//! Waiting for a feed's views, for commands that print.

use std::sync::Arc;

use crate::failure::Failure;
use crate::feed::{Feed, Link, News};
use crate::model::{History, SourceKind, View};

/// The first view in which every node has answered or failed; fails when none has answered. A past that comes before it
/// goes into the history.
pub async fn settled(feed: &mut Feed, history: &mut History) -> Result<Arc<View>, Failure> {
    let view = feed.views.wait_for(|view| view.settled).await.map(|view| Arc::clone(&*view));
    let mut trouble = None;
    while let Ok(news) = feed.news.try_recv() {
        match news {
            News::Past(past) => history.backfill(past),
            News::Error { message, .. } => trouble = Some(message),
            News::Link(Link::Retrying { reason, .. } | Link::Credentials(reason)) => trouble = Some(reason),
            News::Recovered { .. } | News::Link(Link::Up) | News::End => {}
        }
    }
    let view = view
        .map_err(|_| Failure::unreachable(trouble.as_deref().unwrap_or("the source ended before it had an answer")))?;
    if view.counted_nodes() > 0 {
        return Ok(view);
    }
    if view.nodes.is_empty() {
        return Err(Failure::unreachable(trouble.unwrap_or_else(|| view.notes.join("; "))));
    }
    Err(silent(&view))
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
