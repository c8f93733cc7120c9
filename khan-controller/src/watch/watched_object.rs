//! An object as kube's `watcher` wants it: the fields that names need, and the resource version.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer};

use crate::kubernetes::{Manifest, Resource};

/// A resource in one of the versions in which servers have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) resource: Resource,
    pub(super) version: &'static str,
}

/// A manifest with just enough metadata for kube to follow a watch.
#[derive(Clone, Debug)]
pub(super) struct WatchedObject {
    pub(super) manifest: Manifest,
    meta: ObjectMeta,
}

impl<'de> Deserialize<'de> for WatchedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let manifest = Manifest::deserialize(deserializer)?;
        let resource_version = manifest.resource_version().map(str::to_owned);
        Ok(Self { manifest, meta: ObjectMeta { resource_version, ..ObjectMeta::default() } })
    }
}

impl kube::Resource for WatchedObject {
    type DynamicType = Version;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(version: &Version) -> Cow<'_, str> {
        version.resource.definition().kind.into()
    }

    fn group(version: &Version) -> Cow<'_, str> {
        version.resource.definition().group.into()
    }

    fn version(version: &Version) -> Cow<'_, str> {
        version.version.into()
    }

    fn plural(version: &Version) -> Cow<'_, str> {
        version.resource.definition().plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
