//! `--from-file`: the output of `kubectl get pods,services,nodes,endpointslices -A -o json` or `-o yaml` in, the same index out.

use khan_api::Timestamp;
use tracing::{info, warn};

use crate::kubernetes::Resource;
use crate::metrics::Metrics;
use crate::shared_index::SharedIndex;

use super::parse::{ParseError, parse};

/// Replaces everything that `index` knew of the cluster.
pub(crate) fn load(bytes: &[u8], index: &SharedIndex, metrics: &Metrics) -> Result<(), ParseError> {
    let objects = parse(bytes)?;
    let (count, now) = (objects.len(), Timestamp::now());
    // Every cluster has some, so a file without was written without them.
    let endpoints = objects.iter().any(|object| object.resource == Resource::EndpointSlices);
    let mut index = index.write();
    for resource in Resource::ALL {
        index.reset(resource);
    }
    for object in objects {
        if let Some(flaw) = object.flaw() {
            metrics.flawed(object.resource);
            let (resource, namespace, name) = (object.resource, &object.meta.namespace, &object.meta.name);
            warn!(%resource, namespace, name, error = %flaw, "Passed over a limit");
        }
        index.apply(object, now);
    }
    for resource in Resource::ALL {
        index.settle(resource, now);
    }
    index.know_endpoints(endpoints, now);
    let addresses: usize = index.counts().addresses.iter().sum();
    info!(objects = count, addresses, "Read the cluster from a file");
    Ok(())
}
