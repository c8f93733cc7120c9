//! Who owns these addresses: the controller knows since when, and previous owners; sources know only the latest answer.

use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Identity, Kind, Label, Name, Owner, PreviousOwner, Timestamp};
use serde::{Serialize, Serializer};

use super::{Subject, addresses};
use crate::args::Cli;
use crate::connect;
use crate::model::{Endpoint, View};
use crate::report::item;
use crate::sources::http_config::HttpConfig;

/// Maximum number of addresses to ask the controller about.
const ASKED: usize = 20;

/// An address and its owner.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Known {
    /// The address.
    pub ip: IpAddr,
    /// Who has it.
    #[serde(flatten, serialize_with = "Printed::serialize")]
    pub owner: Owner,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Who had it before, latest first.
    pub previous: Vec<Before>,
    /// What says so: `controller`, else the source as `--source` names it, or `replay`.
    pub told_by: &'static str,
}

/// An owner that an address had.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Before {
    /// Who it was.
    #[serde(flatten, serialize_with = "Printed::serialize")]
    pub owner: Owner,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// Until when, likewise.
    pub until: Option<Timestamp>,
}

impl From<PreviousOwner> for Before {
    fn from(PreviousOwner { owner, since, until }: PreviousOwner) -> Self {
        Self { owner, since, until }
    }
}

/// An owner as all objects of `khan.dev/v1` print one.
#[derive(Serialize)]
#[serde(remote = "Owner")]
struct Printed {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(rename = "namespace", serialize_with = "or_null")]
    ns: Label,
    #[serde(serialize_with = "or_null")]
    app: Label,
    #[serde(serialize_with = "or_null")]
    workload: Name,
    #[serde(serialize_with = "or_null")]
    name: Name,
    #[serde(serialize_with = "or_null")]
    node: Name,
}

fn or_null<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    item::known(text).serialize(to)
}

/// What is known about every address that the subject means.
pub(super) async fn known(
    cli: &Cli,
    subject: &Subject,
    view: &View,
    http: HttpConfig,
    notes: &mut Vec<String>,
) -> Vec<Known> {
    let mut found: Vec<Known> = addresses(subject, view).into_iter().map(|ip| from_view(view, subject, ip)).collect();
    let controller = connect::controller::of(cli, view.source.kind, http).await.ok();
    if found.len() > ASKED && controller.is_some() {
        notes.push(format!("the controller was asked about the first {ASKED} of {} addresses", found.len()));
    }
    if let Some(controller) = controller {
        // A node's loopback is its own, and to the controller an address like any outside.
        for known in found.iter_mut().filter(|known| !known.ip.is_loopback()).take(ASKED) {
            match controller.identity(known.ip).await {
                Ok(identity) => *known = from_controller(known.ip, identity),
                Err(reason) => {
                    let remedy = reason.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
                    notes.push(format!("the controller's history is missing: {reason}{remedy}"));
                    break;
                }
            }
        }
    }
    found
}

fn from_view(view: &View, subject: &Subject, ip: IpAddr) -> Known {
    let meant = subject.selector();
    let owners = || view.endpoints.iter().filter(|endpoint| endpoint.ip == Some(ip));
    // Every node has the loopback's addresses; only one of them may be meant.
    let present = owners().min_by_key(|endpoint| (endpoint.previous, !meant.matches(endpoint)));
    let previous = owners().filter(|endpoint| endpoint.previous && !endpoint.owner.name.is_empty());
    let owner = |endpoint: &Arc<Endpoint>| Owner::from(endpoint.owner.as_deref());
    Known {
        ip,
        owner: present.map(owner).unwrap_or_default(),
        since: None,
        previous: previous.map(|one| Before { owner: owner(one), since: None, until: None }).collect(),
        told_by: view.source.kind.as_str(),
    }
}

fn from_controller(ip: IpAddr, Identity { owner, since, previous, .. }: Identity) -> Known {
    Known { ip, owner, since, previous: previous.into_iter().map(Before::from).collect(), told_by: "controller" }
}
