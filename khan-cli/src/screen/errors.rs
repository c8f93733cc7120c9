//! The error log behind `E`: a bounded list of what went wrong, and what of it lasts.

use std::collections::VecDeque;

use khan_api::Timestamp;

const KEPT: usize = 500;

/// One error of the source or of a node, with its repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it began.
    pub at: Timestamp,
    /// Which node; empty for the source as a whole or for Khan itself.
    pub node: String,
    /// What went wrong, in one sentence.
    pub message: String,
    /// When it ended.
    pub over: Option<Timestamp>,
    /// How often it was reported.
    pub times: u32,
}

/// Troubles, oldest first.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog {
    entries: VecDeque<Entry>,
}

impl ErrorLog {
    /// A trouble began, or is reported again.
    pub fn begin(&mut self, at: Timestamp, node: &str, message: &str) {
        let same = |e: &&mut Entry| e.over.is_none() && e.node == node && e.message == message;
        if let Some(entry) = self.entries.iter_mut().rev().find(same) {
            entry.times += 1;
            return;
        }
        self.end(at, node);
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let (node, message) = (node.to_owned(), message.to_owned());
        self.entries.push_back(Entry { at, node, message, over: None, times: 1 });
    }

    /// The troubles of a node are over.
    pub fn end(&mut self, at: Timestamp, node: &str) {
        for entry in self.entries.iter_mut().filter(|entry| entry.over.is_none() && entry.node == node) {
            entry.over = Some(at);
        }
    }

    /// Everything kept, latest first.
    pub fn latest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// What lasts, latest first.
    pub fn lasting(&self) -> impl Iterator<Item = &Entry> {
        self.latest_first().filter(|entry| entry.over.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_lasts_until_it_is_over() {
        let (mut log, at) = (ErrorLog::default(), Timestamp::from_seconds);
        log.begin(at(1), "n1", "timeout");
        log.begin(at(2), "n1", "timeout");
        log.begin(at(3), "n2", "refused");
        assert_eq!(log.lasting().map(|e| (e.node.as_str(), e.times)).collect::<Vec<_>>(), [("n2", 1), ("n1", 2)]);
        log.begin(at(4), "n1", "refused");
        assert_eq!(log.lasting().count(), 2);
        log.end(at(5), "n1");
        assert_eq!(log.lasting().count(), 1);
        assert_eq!(log.latest_first().count(), 3);
    }

    #[test]
    fn it_is_bounded() {
        let mut log = ErrorLog::default();
        for i in 0..2 * KEPT {
            log.begin(Timestamp::default(), "n", &i.to_string());
        }
        assert_eq!(log.latest_first().count(), KEPT);
        assert_eq!(log.latest_first().next().unwrap().message, (2 * KEPT - 1).to_string());
    }
}
