//! Who answers for the services of a view, as a line holds it.

use std::sync::Arc;

use khan_api::bounded::list;
use khan_api::{Sentence, Service, ServiceEndpoint};
use serde::{Deserialize, Serialize};

use crate::model::services::Services;

/// Most services that are read.
const MOST_SERVICES: usize = 1_000;
/// Most endpoints that are written, so that a line does not become too long to be read: none takes 700 bytes.
const MOST_ENDPOINTS: usize = 40_000;

/// [`Services`] on file.
#[derive(Serialize, Deserialize)]
pub(super) struct ServicesFrame {
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MOST_SERVICES>")]
    list: Vec<Service>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<Sentence>,
    #[serde(default)]
    left_out: usize,
}

impl From<&Services> for ServicesFrame {
    fn from(services: &Services) -> Self {
        let (mut list, mut left_out, mut room) = (Vec::new(), services.left_out, MOST_ENDPOINTS);
        for service in &services.list {
            match room.checked_sub(service.endpoints.len()) {
                Some(left) if list.len() < MOST_SERVICES => {
                    room = left;
                    list.push(without_ports(service));
                }
                _ => left_out += 1,
            }
        }
        Self { list, unknown: services.unknown.as_deref().map(Into::into), left_out }
    }
}

/// Nothing that is found in a view looks at them.
fn without_ports(service: &Service) -> Service {
    let endpoints = service.endpoints.iter();
    let endpoints = endpoints.map(|endpoint| ServiceEndpoint { ports: Vec::new(), ..endpoint.clone() }).collect();
    Service { ns: service.ns.clone(), name: service.name.clone(), endpoints }
}

impl From<ServicesFrame> for Services {
    fn from(frame: ServicesFrame) -> Self {
        Self {
            list: frame.list.into_iter().map(Arc::new).collect(),
            unknown: frame.unknown.map(|reason| format!("when this was recorded: {reason}")),
            left_out: frame.left_out,
        }
    }
}

/// Of a recording without any.
pub(super) fn not_held() -> Services {
    Services::unknown("the recording does not hold the endpoints of services")
}

/// How many endpoints it lists.
pub(super) fn endpoints(services: &Services) -> usize {
    services.list.iter().map(|service| service.endpoints.len()).sum()
}
