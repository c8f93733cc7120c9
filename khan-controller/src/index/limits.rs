//! How many connections pods and services can take, by what metrics print of them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound::{Excluded, Unbounded};

use super::Index;
use super::record::Record;
use crate::kubernetes::Resource;

/// What is printed of a destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limited {
    /// Namespace; empty outside the cluster.
    pub ns: Box<str>,
    /// App; empty where no label names one.
    pub app: Box<str>,
    /// The object's name, or the operator's for a range outside.
    pub name: Box<str>,
}

/// The limits of pods and services. Several objects can have one set of labels, such as a pod and a service of one name.
#[derive(Debug, Default)]
pub(super) struct Limits(BTreeMap<Limited, Vec<NonZeroU32>>);

impl Limits {
    /// Takes in the limit of `record`, if it has one.
    pub(super) fn add(&mut self, record: &Record) {
        if let Some((limited, connections)) = of(record) {
            self.0.entry(limited).or_default().push(connections);
        }
    }

    /// The record is no more, or another from now on.
    pub(super) fn remove(&mut self, record: &Record) {
        let Some((limited, connections)) = of(record) else { return };
        let Some(all) = self.0.get_mut(&limited) else { return };
        if let Some(place) = all.iter().position(|one| *one == connections) {
            all.swap_remove(place);
        }
        if all.is_empty() {
            self.0.remove(&limited);
        }
    }
}

fn of(record: &Record) -> Option<(Limited, NonZeroU32)> {
    let connections = record.limit.filter(|_| matches!(record.resource, Resource::Pods | Resource::Services))?;
    let (ns, app, name) = (record.group.namespace.clone(), record.group.app.clone(), record.name.clone());
    Some((Limited { ns, app, name }, connections))
}

impl Index {
    /// At most so many pods and services with a limit, in order, that come after this one. Where several have the same labels,
    /// the smallest of their limits counts.
    pub fn limits(&self, after: Option<&Limited>, most: usize) -> Vec<(&Limited, NonZeroU32)> {
        let following = self.limits.0.range((after.map_or(Unbounded, Excluded), Unbounded));
        following.filter_map(|(limited, all)| Some((limited, *all.iter().min()?))).take(most).collect()
    }

    /// The limits of what the operator named outside the cluster; the smallest where several ranges share a name.
    pub fn external_limits(&self) -> BTreeMap<&str, NonZeroU32> {
        let mut limits = BTreeMap::new();
        for external in self.external.values() {
            if let Some(connections) = external.limit {
                let least = limits.entry(&*external.name).or_insert(connections);
                *least = connections.min(*least);
            }
        }
        limits
    }
}
