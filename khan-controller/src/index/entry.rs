//! One address: its owner, the claims that lost, and the owners before.

use std::collections::VecDeque;

use super::claim::Claim;
use super::history::PreviousRecord;
use super::record::{Records, Seconds};
use crate::kubernetes::Role;

/// Previous owners that are kept of one address.
pub(super) const MOST_PREVIOUS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Of the latest change of what the address is called.
    pub(super) revision: u64,
    pub(super) owner: Option<Claim>,
    /// When the services last changed that list the address among their endpoints.
    pub(super) listed: Seconds,
    // Most addresses have neither, so both stand apart.
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
struct Rest {
    losers: Vec<Claim>,
    // Latest first.
    previous: VecDeque<PreviousRecord>,
}

impl Entry {
    /// Of an address that nobody ever had.
    pub(super) const EMPTY: Self = Self { revision: 0, owner: None, listed: Seconds::UNKNOWN, rest: None };

    /// The claims that did not win, in no order.
    pub(super) fn losers(&self) -> &[Claim] {
        self.rest.as_ref().map_or(&[], |rest| &rest.losers)
    }

    /// Previous owners, latest first.
    pub(super) fn previous(&self) -> impl ExactSizeIterator<Item = &PreviousRecord> + Clone {
        static NONE: VecDeque<PreviousRecord> = VecDeque::new();
        self.rest.as_ref().map_or(NONE.iter(), |rest| rest.previous.iter())
    }

    /// Whether several objects claim the address that should not.
    pub(super) fn is_contested(&self) -> bool {
        let exclusive = |claim: &Claim| claim.role.is_exclusive();
        self.owner.is_some_and(|owner| exclusive(&owner)) && self.losers().iter().any(exclusive)
    }

    /// Whether a pod claims the address or had it.
    pub(super) fn is_of_pods(&self) -> bool {
        let claims = self.owner.iter().chain(self.losers()).map(|claim| claim.role);
        claims.chain(self.previous().map(|previous| previous.role)).any(|role| role == Role::Pod)
    }

    /// Whether nothing is left to know.
    pub(super) fn is_empty(&self) -> bool {
        self.owner.is_none() && self.rest.as_ref().is_none_or(|rest| rest.losers.is_empty() && rest.previous.is_empty())
    }

    /// Adds a claim, and gives the address to the best one.
    pub(super) fn add(&mut self, claim: Claim, records: &Records) {
        if self.owner.is_none() && self.losers().is_empty() {
            self.owner = Some(claim);
        } else {
            self.rest.get_or_insert_default().losers.push(claim);
            self.elect(records);
        }
    }

    /// Removes an object's claim, and gives the address to the best one that is left.
    pub(super) fn withdraw(&mut self, slot: u32, records: &Records) {
        if self.owner.is_some_and(|owner| owner.slot == slot) {
            self.owner = None;
        } else if let Some(rest) = &mut self.rest {
            rest.losers.retain(|claim| claim.slot != slot);
        }
        self.elect(records);
        self.shrink();
    }

    /// Changes the role of an object's claim, or takes note that the object's age changed.
    pub(super) fn revise(&mut self, slot: u32, role: Role, records: &Records) {
        let losers = self.rest.iter_mut().flat_map(|rest| &mut rest.losers);
        for claim in self.owner.iter_mut().chain(losers).filter(|claim| claim.slot == slot) {
            claim.role = role;
        }
        self.elect(records);
    }

    /// Puts a previous owner in front. Gives back the oldest when there are too many.
    pub(super) fn remember(&mut self, owner: PreviousRecord) -> Option<PreviousRecord> {
        let previous = &mut self.rest.get_or_insert_default().previous;
        previous.push_front(owner);
        if previous.len() > MOST_PREVIOUS { previous.pop_back() } else { None }
    }

    /// Takes a previous owner out by its number; `None` when it has gone already.
    pub(super) fn forget(&mut self, number: u64) -> Option<PreviousRecord> {
        let previous = &mut self.rest.as_mut()?.previous;
        let position = previous.iter().position(|owner| owner.number == number)?;
        let owner = previous.remove(position);
        self.shrink();
        owner
    }

    fn elect(&mut self, records: &Records) {
        let Some(rest) = &mut self.rest else { return };
        let Some(best) = (0..rest.losers.len()).min_by_key(|i| rest.losers[*i].rank(records)) else { return };
        match &mut self.owner {
            None => self.owner = Some(rest.losers.swap_remove(best)),
            Some(owner) if rest.losers[best].rank(records) < owner.rank(records) => {
                std::mem::swap(owner, &mut rest.losers[best]);
            }
            Some(_) => {}
        }
    }

    fn shrink(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.losers.is_empty() && rest.previous.is_empty()) {
            self.rest = None;
        }
    }
}
