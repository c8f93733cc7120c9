//! Waiting for a feed's views, for commands that print.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::duration;
use crate::feed::{Feed, Link, News};
use crate::model::{NodeStatus, SourceKind, View};
use khan_serve::exit::Failure;

/// What a feed begins with.
#[derive(Debug)]
pub(crate) struct Start {
    /// The first view in which every node has answered or failed.
    pub view: Arc<View>,
    /// Views from before it, oldest first, from sources that know them: for [`crate::model::History::backfill`].
    pub past: Vec<Arc<View>>,
}

/// Waits for the first view in which every node has answered or failed; fails when none has answered.
pub(crate) async fn settled(feed: &mut Feed) -> Result<Start, Failure> {
    let view = feed.views.wait_for(|view| view.settled).await.map(|view| Arc::clone(&*view));
    let (mut trouble, mut past) = (None, Vec::new());
    // A source that knows the past sends it after the present, so that a screen has something to show at once.
    let mut awaits_past = feed.past && view.is_ok();
    loop {
        let news = if awaits_past { feed.news.recv().await } else { feed.news.try_recv().ok() };
        let Some(news) = news else { break };
        match news {
            News::Past(views) => {
                past = views;
                awaits_past = false;
            }
            News::Error { message, .. } => trouble = Some(message),
            News::Link(Link::Retrying { reason, .. } | Link::Credentials(reason)) => trouble = Some(reason),
            News::Recovered { .. } | News::Note(_) | News::Link(Link::Up) | News::End => {}
        }
    }
    // What is missing from the past is told with the view after it.
    let view = view.map(|view| if feed.past { Arc::clone(&feed.views.borrow()) } else { view });
    let view = view
        .map_err(|_| Failure::unreachable(trouble.as_deref().unwrap_or("the source ended before it had an answer")))?;
    if view.counted_nodes() > 0 {
        return Ok(Start { view, past });
    }
    if view.nodes.is_empty() {
        let said = || view.notes.iter().cloned().chain(view.gaps()).collect::<Vec<_>>().join("; ");
        return Err(Failure::unreachable(trouble.unwrap_or_else(said)));
    }
    Err(silent(&view))
}

/// The next settled view other than `shown`; `None` when the source has ended.
pub(crate) async fn next(feed: &mut Feed, shown: u64) -> Option<Arc<View>> {
    let view = feed.views.wait_for(|view| view.settled && view.id != shown).await;
    view.map(|view| Arc::clone(&*view)).ok()
}

/// When a view is looked at: now, or for a recording when it was made.
pub(crate) fn moment(view: &View) -> Timestamp {
    if view.source.kind == SourceKind::Replay { view.assembled } else { Timestamp::now() }
}

/// The views of `--watch`, as many as `--count` says. A live source gives one each interval, in which the answers of many
/// agents are together; a recording gives every view that it holds, and ends.
#[derive(Debug)]
pub(crate) struct Watch {
    recorded: Option<VecDeque<Arc<View>>>,
    interval: Duration,
    due: Instant,
    left: u64,
}

impl Watch {
    /// Without `--watch` there is one view, the one that the feed starts with.
    pub(crate) fn new(watch: bool, count: Option<u64>, interval: Duration) -> Self {
        let left = if watch { count.unwrap_or(u64::MAX) } else { 1 };
        Self { recorded: None, interval, due: Instant::now(), left }
    }

    /// The view to show first, and the past that belongs before it.
    pub(crate) fn first(&mut self, start: Start) -> (Arc<View>, Vec<Arc<View>>) {
        let Start { view, past } = start;
        self.due = Instant::now() + self.interval.mul_f64(0.9);
        self.left = self.left.saturating_sub(1);
        if view.source.kind != SourceKind::Replay || self.left == 0 {
            return (view, past);
        }
        let mut recorded: VecDeque<_> = past.into_iter().chain([view.clone()]).collect();
        let first = recorded.pop_front().unwrap_or(view);
        self.recorded = Some(recorded);
        (first, Vec::new())
    }

    /// The next one; `None` after the last.
    pub(crate) async fn next(&mut self, feed: &mut Feed, shown: u64) -> Option<Arc<View>> {
        self.left = self.left.checked_sub(1)?;
        if let Some(recorded) = &mut self.recorded {
            return recorded.pop_front();
        }
        sleep_until(self.due).await;
        next(feed, shown).await?;
        // Agents answer one after the other.
        sleep((self.interval / 20).min(Duration::from_millis(300))).await;
        self.due = Instant::now() + self.interval.mul_f64(0.9);
        next(feed, shown).await
    }
}

fn reason(node: &NodeStatus, now: Timestamp) -> String {
    match (&node.failure, node.age(now)) {
        (Some(failure), _) => failure.reason.clone(),
        (None, Some(age)) => {
            format!(
                "what {} has of node {} is {} old and not counted any more",
                node.agent,
                node.node,
                duration::text(age)
            )
        }
        (None, None) => format!("{} has nothing of node {}", node.agent, node.node),
    }
}

fn silent(view: &View) -> Failure {
    const NAMED: usize = 3;
    let now = moment(view);
    let reasons: Vec<_> = view.nodes.iter().map(|node| reason(node, now)).collect();
    let more = if reasons.len() > NAMED { format!("; and {} more", reasons.len() - NAMED) } else { String::new() };
    let who = if view.source.kind == SourceKind::Agents { "agent" } else { "source" };
    Failure::unreachable(format_args!("no {who} answered: {}{more}", reasons[..reasons.len().min(NAMED)].join("; ")))
}
