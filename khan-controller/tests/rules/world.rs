//! An index with a clock of its own.

use khan_api::Timestamp;
use khan_controller::index::{IdentityRef, Index, Settings};
use khan_controller::kubernetes::{Manifest, Object, Resource};
use serde_json::Value;

pub(crate) struct World {
    pub(crate) index: Index,
    pub(crate) now: Timestamp,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self { index: Index::new(settings, 7), now: time("2026-11-22T12:00:00Z") }
    }

    pub(crate) fn of(objects: &[Value]) -> Self {
        let mut world = Self::new();
        for object in objects {
            world.apply(object);
        }
        world
    }

    pub(crate) fn apply(&mut self, object: &Value) {
        self.index.apply(read(object), self.now);
    }

    pub(crate) fn delete(&mut self, object: &Value) {
        let uid = manifest(object).uid(resource(object)).unwrap();
        self.index.delete(uid, self.now);
    }

    /// A complete list of one resource.
    pub(crate) fn relist(&mut self, resource: Resource, objects: &[&Value]) {
        self.index.reset(resource);
        for object in objects {
            self.apply(object);
        }
        self.index.settle(resource, self.now);
    }

    pub(crate) fn later(&mut self, seconds: i64) {
        self.now = Timestamp::from_seconds(self.now.seconds() + seconds);
    }

    pub(crate) fn identity(&self, ip: &str) -> Option<IdentityRef<'_>> {
        self.index.identity(ip.parse().unwrap())
    }

    /// `type name`, or an empty text where nobody has the address.
    pub(crate) fn owner(&self, ip: &str) -> String {
        let owner = self.identity(ip).map(|identity| identity.owner).filter(|owner| owner.kind.is_object());
        owner.map_or(String::new(), |owner| format!("{} {}", owner.kind, owner.name))
    }

    /// Names of previous owners, latest first.
    pub(crate) fn previous(&self, ip: &str) -> Vec<String> {
        self.identity(ip).map_or(Vec::new(), |identity| identity.previous.iter().map(|p| p.owner.name.into()).collect())
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn resource(object: &Value) -> Resource {
    let kind = object["kind"].as_str().unwrap();
    Resource::of_kind(kind).unwrap()
}

pub(crate) fn manifest(object: &Value) -> Manifest {
    serde_json::from_value(object.clone()).unwrap()
}

pub(crate) fn read(object: &Value) -> Object {
    Object::read(resource(object), manifest(object)).unwrap()
}
