//! What is kept of an object that claims an address.

use std::collections::HashSet;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;

use khan_api::Timestamp;

use super::address::Address;
use crate::kubernetes::{Holdings, Meta, Object, Resource, Role, Uid};

/// Seconds since the Unix epoch, from 1970 to 2106; 0 is "not known". Kubernetes' own times have no fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(u32);

impl Seconds {
    pub(super) const UNKNOWN: Self = Self(0);

    /// As the wire has it.
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        (self.0 != 0).then(|| Timestamp::from_seconds(self.0.into()))
    }
}

impl From<Timestamp> for Seconds {
    fn from(time: Timestamp) -> Self {
        Self(u32::try_from(time.seconds().max(0)).unwrap_or(u32::MAX))
    }
}

/// What all pods of a workload share.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) namespace: Box<str>,
    pub(super) app: Box<str>,
    pub(super) workload: Box<str>,
}

/// An object on its way into the index: what it claims and what it is called.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) uid: Uid,
    pub(super) resource: Resource,
    pub(super) group: Group,
    pub(super) node: String,
    pub(super) name: String,
    pub(super) started: Option<Timestamp>,
    pub(super) created: Option<Timestamp>,
    pub(super) claims: Vec<(Address, Role)>,
    pub(super) holdings: Holdings,
    pub(super) limit: Option<NonZeroU32>,
}

impl Draft {
    pub(super) fn new(object: Object, app_labels: &[String]) -> Self {
        let Object { resource, meta, workload, node, started, claims, holdings, .. } = object;
        Self {
            uid: meta.uid,
            resource,
            group: Group::new(&meta, app_labels, workload),
            node,
            name: meta.name,
            started,
            created: meta.created,
            limit: meta.limit.present().copied(),
            claims: claims.into_iter().map(|(ip, role)| (Address::from(ip), role)).collect(),
            holdings,
        }
    }
}

impl Group {
    fn new(meta: &Meta, app_labels: &[String], workload: String) -> Self {
        let app = app_labels.iter().map(|label| meta.label(label)).find(|app| !app.is_empty()).unwrap_or_default();
        Self { namespace: meta.namespace.as_str().into(), app: app.into(), workload: workload.into() }
    }
}

/// What is kept of an object: about 100 bytes and its name.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) uid: Uid,
    pub(super) group: Arc<Group>,
    pub(super) node: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) claims: Box<[(Address, Role)]>,
    pub(super) holdings: Option<Box<Holdings>>,
    /// When it began to have its addresses.
    pub(super) started: Seconds,
    /// The list in which it was last seen.
    pub(super) round: u32,
    /// How many connections it can take.
    pub(super) limit: Option<NonZeroU32>,
    pub(super) resource: Resource,
}

impl Record {
    pub(super) fn new(draft: Draft, names: &mut Names, rounds: &[u32; Resource::ALL.len()]) -> Self {
        Self {
            uid: draft.uid,
            group: names.group(draft.group),
            node: names.node(&draft.node),
            name: draft.name.into(),
            claims: draft.claims.into(),
            // 8 bytes where there are none.
            holdings: (!draft.holdings.is_empty()).then(|| Box::new(draft.holdings)),
            started: draft.started.map_or(Seconds::UNKNOWN, Seconds::from),
            round: rounds[draft.resource as usize],
            limit: draft.limit,
            resource: draft.resource,
        }
    }

    /// Whether answers say something else of `draft`: its names, its limit.
    pub(super) fn is_renamed(&self, draft: &Draft) -> bool {
        *self.group != draft.group || *self.node != draft.node || *self.name != draft.name || self.limit != draft.limit
    }

    /// Whether `draft` began at another time, which can change who wins.
    pub(super) fn is_aged(&self, draft: &Draft) -> bool {
        self.started != draft.started.map_or(Seconds::UNKNOWN, Seconds::from)
    }

    /// Whether `draft` tells nothing new.
    pub(super) fn is_same(&self, draft: &Draft) -> bool {
        !self.is_renamed(draft)
            && !self.is_aged(draft)
            && *self.claims == *draft.claims
            && self.holdings.as_deref().map_or(draft.holdings.is_empty(), |held| *held == draft.holdings)
    }
}

/// Each group and each node name once, however many records and previous owners speak of them.
#[derive(Debug, Default)]
pub(super) struct Names {
    groups: HashSet<Arc<Group>>,
    nodes: HashSet<Arc<str>>,
}

impl Names {
    fn group(&mut self, group: Group) -> Arc<Group> {
        self.groups.get(&group).cloned().unwrap_or_else(|| {
            let group = Arc::new(group);
            self.groups.insert(Arc::clone(&group));
            group
        })
    }

    fn node(&mut self, node: &str) -> Arc<str> {
        self.nodes.get(node).cloned().unwrap_or_else(|| {
            let node: Arc<str> = node.into();
            self.nodes.insert(Arc::clone(&node));
            node
        })
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len() + self.nodes.len()
    }

    /// Gives names back; the last one to do so frees them.
    #[expect(clippy::needless_pass_by_value, reason = "who gives a name back must not use it again")]
    pub(super) fn release(&mut self, group: Arc<Group>, node: Arc<str>) {
        release(&mut self.groups, &group);
        release(&mut self.nodes, &node);
    }
}

fn release<T: ?Sized + Eq + Hash>(names: &mut HashSet<Arc<T>>, name: &Arc<T>) {
    // The set's own and this one.
    if Arc::strong_count(name) == 2 {
        names.remove(name);
    }
}

/// Records by slot; slots are used again.
#[derive(Debug, Default)]
pub(super) struct Records {
    slots: Vec<Option<Record>>,
    free: Vec<u32>,
}

impl Records {
    pub(super) fn insert(&mut self, record: Record) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(record);
            return slot;
        }
        self.slots.push(Some(record));
        u32::try_from(self.slots.len() - 1).expect("fewer than four billion objects")
    }

    pub(super) fn remove(&mut self, slot: u32) -> Record {
        self.free.push(slot);
        self.slots[slot as usize].take().expect("claims and ranges of a removed record are gone")
    }

    pub(super) fn get(&self, slot: u32) -> &Record {
        self.slots[slot as usize].as_ref().expect("claims and ranges of a removed record are gone")
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Record {
        self.slots[slot as usize].as_mut().expect("claims and ranges of a removed record are gone")
    }

    /// The records in these slots; `None` past the last slot.
    pub(super) fn between(&self, from: usize, to: usize) -> Option<impl Iterator<Item = (u32, &Record)>> {
        let slots = self.slots.get(from..to.min(self.slots.len())).filter(|slots| !slots.is_empty())?;
        let numbered = slots.iter().zip(from..);
        Some(numbered.filter_map(|(record, slot)| Some((u32::try_from(slot).ok()?, record.as_ref()?))))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.slots.iter().flatten()
    }
}
