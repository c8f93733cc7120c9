//! Who answers for services, beside the rows of a view: no row names an endpoint that nobody reaches.

use std::sync::Arc;

use khan_api::Service;

/// The endpoints of services that were dialled, as the controller lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// In no order; services without endpoints that anybody lists are not among them.
    pub list: Vec<Arc<Service>>,
    /// Why there is none; `None` when the controller answers.
    pub unknown: Option<String>,
    /// Services that were dialled and not asked for, because others hold more connections.
    pub left_out: usize,
}

impl Services {
    /// None, for this reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { list: Vec::new(), unknown: Some(reason.into()), left_out: 0 }
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::unknown("the controller was not asked")
    }
}
