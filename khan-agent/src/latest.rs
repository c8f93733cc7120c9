//! The latest snapshot, for many readers; the scan thread is its one writer.
//!
//! What readers are sent is made once a snapshot, on first demand, and shared. A reader that takes its time holds no
//! snapshot alive: those that were superseded are kept for their readers as long as there is room for them, and then their
//! readers are cut off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use khan_serve::exposition::Exposition;
use tokio::sync::watch;

use crate::metrics_page::Page;
use crate::snapshot::{Encoded, Snapshot};

/// Bytes that the latest snapshot and superseded ones that are still being read may hold together, once the next is due.
const ROOM: usize = 20 << 20;

/// A snapshot and its page.
#[derive(Debug)]
pub(crate) struct Published {
    /// The snapshot.
    pub(crate) snapshot: Snapshot,
    /// Its page.
    pub(crate) page: Page,
    /// When its dump began, by the clock that never jumps.
    pub(crate) began: Instant,
    json: OnceLock<Encoded>,
    gzip: OnceLock<Encoded>,
    /// Held while one of the forms is being made, so that one thread is busy with it and not as many as ask.
    making: tokio::sync::Mutex<()>,
}

/// What a reader may ask for that takes time to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The snapshot as JSON.
    Json,
    /// The same in gzip.
    JsonGzip,
    /// The page's compressed part.
    PageGzip(Exposition),
}

impl Published {
    /// Nothing is encoded yet.
    pub(crate) fn new(snapshot: Snapshot, page: Page, began: Instant) -> Self {
        let (json, gzip) = (OnceLock::new(), OnceLock::new());
        Self { snapshot, page, began, json, gzip, making: tokio::sync::Mutex::default() }
    }

    /// Makes sure that a form is there. It is made off the serving thread, once, and to its end even when whoever asked
    /// first is gone.
    pub(crate) async fn make(self: &Arc<Self>, form: Form) {
        if self.is_made(form) {
            return;
        }
        let this = Arc::clone(self);
        let made = tokio::spawn(async move {
            let _alone = this.making.lock().await;
            if !this.is_made(form) {
                let this = Arc::clone(&this);
                // A panic there leaves the form unmade, which the readers are told.
                let _ = tokio::task::spawn_blocking(move || this.make_now(form)).await;
            }
        });
        let _ = made.await;
    }

    /// The chunks of a form, once it is made.
    pub(crate) fn chunks(&self, form: Form) -> Option<&[Bytes]> {
        match form {
            Form::Json => self.json.get().map(Encoded::chunks),
            Form::JsonGzip => self.gzip.get().map(Encoded::chunks),
            Form::PageGzip(form) => self.page.is_deflated(form).then(|| self.page.deflated(form).chunks()),
        }
    }

    /// Bytes that it holds, about.
    pub(crate) fn memory(&self) -> usize {
        let encoded = [&self.json, &self.gzip].into_iter().filter_map(OnceLock::get).map(Encoded::len);
        self.snapshot.memory() + self.page.memory() + encoded.sum::<usize>()
    }

    fn is_made(&self, form: Form) -> bool {
        self.chunks(form).is_some()
    }

    fn make_now(&self, form: Form) {
        // Writing to memory fails on no snapshot: its keys are strings and its numbers finite.
        let encoded = match form {
            Form::Json => Encoded::json(&self.snapshot.to_wire(usize::MAX)).map(|json| self.json.set(json)),
            Form::JsonGzip => Encoded::gzip(&self.snapshot.to_wire(usize::MAX)).map(|gzip| self.gzip.set(gzip)),
            Form::PageGzip(exposition) => {
                self.page.deflated(exposition);
                return;
            }
        };
        if let Err(error) = encoded {
            tracing::error!(%error, "Cannot encode a snapshot");
        }
    }
}

/// Where the latest snapshot stands.
#[derive(Debug)]
pub(crate) struct Latest {
    present: ArcSwapOption<Published>,
    /// Superseded ones that are still being read, oldest first.
    superseded: Mutex<VecDeque<Arc<Published>>>,
    /// Why the latest scan failed, if it did.
    failure: Mutex<Option<String>>,
    scans: watch::Sender<u64>,
}

impl Default for Latest {
    fn default() -> Self {
        Self {
            present: ArcSwapOption::empty(),
            superseded: Mutex::default(),
            failure: Mutex::default(),
            scans: watch::Sender::new(0),
        }
    }
}

impl Latest {
    /// The latest snapshot; none before the first scan and when scans have failed for too long.
    pub(crate) fn get(&self) -> Option<Arc<Published>> {
        self.present.load_full()
    }

    /// Replaces the latest snapshot and wakes those who wait for one.
    pub(crate) fn publish(&self, published: Published) {
        self.replace(Some(Arc::new(published)));
        self.scanned(None);
    }

    /// Makes room for the next snapshot: forgets what nobody reads any more, and cuts off the readers of the oldest ones
    /// when these hold too much.
    pub(crate) fn make_room(&self) {
        let mut room = ROOM.saturating_sub(self.get().map_or(0, |latest| latest.memory()));
        let mut superseded = self.superseded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = VecDeque::new();
        while let Some(published) = superseded.pop_back() {
            let memory = published.memory();
            if is_read(&published) && memory <= room {
                room -= memory;
                kept.push_front(published);
            }
        }
        *superseded = kept;
    }

    /// Notes that a scan failed, and why; withdraws the snapshot when it is older than `keep`.
    pub(crate) fn failed(&self, keep: Duration, why: String) {
        if self.get().is_some_and(|published| published.began.elapsed() > keep) {
            self.replace(None);
        }
        self.make_room();
        self.scanned(Some(why));
    }

    /// Why the latest scan failed; `None` when it did not.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells when scans end, whatever their outcome.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.scans.subscribe()
    }

    fn replace(&self, next: Option<Arc<Published>>) {
        if let Some(before) = self.present.swap(next)
            && is_read(&before)
        {
            self.superseded.lock().unwrap_or_else(PoisonError::into_inner).push_back(before);
        }
    }

    fn scanned(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        self.scans.send_modify(|scans| *scans += 1);
    }
}

/// Whether anybody else knows it.
fn is_read(published: &Arc<Published>) -> bool {
    Arc::strong_count(published) > 1 || Arc::weak_count(published) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_page::Settings;
    use crate::metrics_page::fold::Folder;

    fn published(bytes: usize) -> Published {
        let mut snapshot = Snapshot::default();
        let page = Page::new(&snapshot, &Settings::default(), &mut Folder::default());
        snapshot.rows = Vec::with_capacity(bytes / size_of::<crate::snapshot::Row>());
        Published::new(snapshot, page, Instant::now())
    }

    #[test]
    fn readers_of_old_snapshots_are_cut_off_when_there_is_no_room() {
        let latest = Latest::default();
        let mut readers = Vec::new();
        for megabytes in [1, 9, 7, 5] {
            latest.make_room();
            latest.publish(published(megabytes << 20));
            readers.push(Arc::downgrade(&latest.get().unwrap()));
        }
        let alive = |readers: &[std::sync::Weak<Published>]| -> Vec<bool> {
            readers.iter().map(|reader| reader.strong_count() > 0).collect()
        };
        latest.make_room();
        // The youngest three hold 21 MiB.
        assert_eq!(alive(&readers), [true, false, true, true]);
        readers.remove(2);
        latest.make_room();
        assert_eq!(alive(&readers), [true, false, true]);
        latest.publish(published(19 << 20));
        drop(readers.remove(0));
        assert_eq!(alive(&readers), [false, true], "until the next snapshot is due");
        latest.make_room();
        assert_eq!(alive(&readers), [false, false]);
    }

    #[tokio::test]
    async fn a_form_is_made_once_though_many_ask_and_the_first_leaves() {
        let latest = Latest::default();
        latest.publish(published(0));
        let one = latest.get().unwrap();
        let first = one.make(Form::Json);
        drop(first);
        let all = (0..100).map(|_| one.make(Form::JsonGzip));
        futures::future::join_all(all).await;
        let chunks = one.chunks(Form::JsonGzip).expect("made");
        assert!(one.chunks(Form::Json).is_none());
        one.make(Form::JsonGzip).await;
        assert_eq!(chunks.as_ptr(), one.chunks(Form::JsonGzip).unwrap().as_ptr());
    }
}
