//! Previous owners of addresses, for as long and as many as they are remembered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use super::address::Address;
use super::claim::Claim;
use super::record::{Group, Record, Seconds};
use crate::kubernetes::Role;

/// Who had an address, and until when.
#[derive(Debug)]
pub(super) struct PreviousRecord {
    pub(super) number: u64,
    pub(super) group: Arc<Group>,
    pub(super) node: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) since: Seconds,
    pub(super) until: Seconds,
    pub(super) role: Role,
}

/// All previous owners in the order in which they lost their addresses; the records themselves stand with the addresses.
#[derive(Debug)]
pub(super) struct History {
    remember: Duration,
    most: usize,
    next: u64,
    order: VecDeque<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    address: Address,
    number: u64,
    made: Timestamp,
}

impl History {
    pub(super) fn new(remember: Duration, most: usize) -> Self {
        Self { remember, most, next: 0, order: VecDeque::new() }
    }

    /// Records that `record` lost `address` at `until`.
    pub(super) fn record(
        &mut self,
        address: Address,
        record: &Record,
        lost: Claim,
        until: Seconds,
        now: Timestamp,
    ) -> PreviousRecord {
        self.next += 1;
        self.order.push_back(Change { address, number: self.next, made: now });
        PreviousRecord {
            number: self.next,
            group: Arc::clone(&record.group),
            node: Arc::clone(&record.node),
            name: record.name.clone(),
            since: lost.since,
            until,
            role: lost.role,
        }
    }

    /// Takes out the oldest previous owner when its time is over or there are too many. A clock that was set back keeps them
    /// longer, one that was set forward forgets them sooner; neither does harm.
    pub(super) fn expired(&mut self, now: Timestamp) -> Option<(Address, u64)> {
        let oldest = self.order.front()?;
        if self.order.len() <= self.most && now.since(oldest.made) < self.remember {
            return None;
        }
        self.order.pop_front().map(|change| (change.address, change.number))
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
