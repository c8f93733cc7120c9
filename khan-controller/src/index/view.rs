//! What the index says of one address, borrowed from it.

use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Identity, Kind, PreviousOwner, Timestamp};
use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::Index;
use super::address::Address;
use super::claim::Claim;
use super::entry::Entry;
use super::history::PreviousRecord;
use super::record::{Record, Seconds};
use crate::kubernetes::{Resource, Role};

/// What is known of one address; serialises as [`khan_api::Identity`] does.
#[derive(Clone, Copy, Debug)]
pub struct IdentityView<'a> {
    /// What the address is.
    pub kind: Kind,
    /// As in [`Identity`].
    pub ns: &'a str,
    /// As in [`Identity`].
    pub app: &'a str,
    /// As in [`Identity`].
    pub workload: &'a str,
    /// As in [`Identity`].
    pub name: &'a str,
    /// As in [`Identity`].
    pub node: &'a str,
    since: Seconds,
    entry: Option<&'a Entry>,
}

impl<'a> IdentityView<'a> {
    /// What is said of an address in the cluster's ranges of which nothing else is known.
    pub const NOTHING: Self = Self {
        kind: Kind::Unknown,
        ns: "",
        app: "",
        workload: "",
        name: "",
        node: "",
        since: Seconds::UNKNOWN,
        entry: None,
    };

    /// What is said of an address outside the cluster's ranges of which nothing is known.
    pub const EXTERNAL: Self = Self { kind: Kind::External, ..Self::NOTHING };

    fn of_record(record: &'a Record, role: Role, since: Seconds) -> Self {
        Self {
            kind: role.kind(),
            ns: &record.group.namespace,
            app: &record.group.app,
            workload: &record.group.workload,
            name: &record.name,
            node: &record.node,
            since,
            entry: None,
        }
    }

    /// Whether somebody in the cluster has the address now.
    pub const fn is_owned(&self) -> bool {
        !matches!(self.kind, Kind::Unknown | Kind::External)
    }

    /// When the present owner got the address.
    pub fn since(&self) -> Option<Timestamp> {
        self.since.timestamp()
    }

    /// Previous owners, latest first.
    pub fn previous(&self) -> impl ExactSizeIterator<Item = PreviousView<'a>> + use<'a> {
        static NONE: Entry = Entry::EMPTY;
        self.entry.unwrap_or(&NONE).previous().map(PreviousView)
    }

    /// As the contract has it.
    pub fn to_identity(&self) -> Identity {
        Identity {
            kind: self.kind,
            ns: self.ns.into(),
            app: self.app.into(),
            workload: self.workload.into(),
            name: self.name.into(),
            node: self.node.into(),
            since: self.since(),
            previous: self.previous().map(|view| view.to_previous()).collect(),
        }
    }
}

impl Serialize for IdentityView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Identity", 8)?;
        object.serialize_field("type", self.kind.as_str())?;
        object.serialize_field("ns", self.ns)?;
        object.serialize_field("app", self.app)?;
        object.serialize_field("workload", self.workload)?;
        object.serialize_field("name", self.name)?;
        object.serialize_field("node", self.node)?;
        object.serialize_field("since", &self.since)?;
        object.serialize_field("previous", &Previous(*self))?;
        object.end()
    }
}

struct Previous<'a>(IdentityView<'a>);

impl Serialize for Previous<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let views = self.0.previous();
        let mut list = serializer.serialize_seq(Some(views.len()))?;
        for view in views {
            list.serialize_element(&view)?;
        }
        list.end()
    }
}

/// An empty string where the time is not known.
impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.timestamp() {
            Some(time) => time.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }
}

/// A previous owner; serialises as [`khan_api::PreviousOwner`] does.
#[derive(Clone, Copy, Debug)]
pub struct PreviousView<'a>(&'a PreviousRecord);

impl PreviousView<'_> {
    /// As the contract has it.
    pub fn to_previous(&self) -> PreviousOwner {
        let PreviousRecord { group, node, name, since, until, role, .. } = self.0;
        PreviousOwner {
            kind: role.kind(),
            ns: (*group.namespace).into(),
            app: (*group.app).into(),
            workload: (*group.workload).into(),
            name: (**name).into(),
            node: (**node).into(),
            since: since.timestamp(),
            until: until.timestamp(),
        }
    }
}

impl Serialize for PreviousView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PreviousRecord { group, node, name, since, until, role, .. } = self.0;
        let mut object = serializer.serialize_struct("PreviousOwner", 8)?;
        object.serialize_field("type", role.kind().as_str())?;
        object.serialize_field("ns", &*group.namespace)?;
        object.serialize_field("app", &*group.app)?;
        object.serialize_field("workload", &*group.workload)?;
        object.serialize_field("name", &**name)?;
        object.serialize_field("node", &**node)?;
        object.serialize_field("since", since)?;
        object.serialize_field("until", until)?;
        object.end()
    }
}

impl Index {
    /// What is known of `ip`: its owner; or that nobody has it, with the node of its pod range and previous owners; or the
    /// operator's name for it. `None` when nothing is.
    pub fn identity(&self, ip: IpAddr) -> Option<IdentityView<'_>> {
        let entry = self.addresses.get(&Address::from(ip));
        if let Some((entry, owner)) = entry.and_then(|entry| Some((entry, entry.owner?))) {
            return Some(IdentityView { entry: Some(entry), ..self.view(owner) });
        }
        // While a node replaces another in its range, the younger has it.
        let node = self.ranges.nodes(ip).iter().map(|slot| self.records.get(*slot)).max_by_key(|n| (n.started, n.uid));
        if let Some(node) = node {
            return Some(IdentityView { node: &node.node, entry, ..IdentityView::NOTHING });
        }
        if let Some(name) = self.external.name(ip) {
            return Some(IdentityView { kind: Kind::External, name, entry, ..IdentityView::NOTHING });
        }
        entry.map(|entry| IdentityView { entry: Some(entry), ..IdentityView::NOTHING })
    }

    /// Every object that claims `ip`: the owner first, then the others from the best to the worst.
    pub fn claimants(&self, ip: IpAddr) -> Vec<IdentityView<'_>> {
        let Some(entry) = self.addresses.get(&Address::from(ip)) else { return Vec::new() };
        let mut losers = entry.losers().to_vec();
        losers.sort_by_key(|claim| claim.rank(&self.records));
        entry.owner.into_iter().chain(losers).map(|claim| self.view(claim)).collect()
    }

    /// The addresses that the objects in these places own, `None` past the last place. Objects keep their places, so whoever
    /// walks through all of them sees each object that was there from the beginning to the end.
    pub fn owned_between(&self, from: usize, to: usize) -> Option<impl Iterator<Item = (IpAddr, IdentityView<'_>)>> {
        let records = self.records.between(from, to)?;
        Some(records.flat_map(move |(slot, record)| {
            record.claims.iter().filter_map(move |(address, _)| {
                let owner = self.addresses.get(address)?.owner.filter(|owner| owner.slot == slot)?;
                Some(((*address).into(), self.view(owner)))
            })
        }))
    }

    /// Name and first address of every node.
    pub fn node_addresses(&self) -> impl Iterator<Item = (Arc<str>, IpAddr)> {
        self.records.iter().filter(|record| record.resource == Resource::Nodes).filter_map(|record| {
            let (address, _) = record.claims.iter().find(|(_, role)| *role == Role::Node)?;
            Some((Arc::clone(&record.node), (*address).into()))
        })
    }

    fn view(&self, claim: Claim) -> IdentityView<'_> {
        IdentityView::of_record(self.records.get(claim.slot), claim.role, claim.since)
    }
}
