//! The workload behind a pod, from its owner's name alone: watching every `ReplicaSet` and Job to follow the chain
//! would cost more than the pods do.

use super::metadata::Meta;

/// The workload of the pod `meta` on `node`, whose owner is `name` of `kind`.
pub(super) fn of<'a>(meta: &'a Meta, node: &str, kind: &str, name: &'a str) -> &'a str {
    match kind {
        // A Deployment names its ReplicaSet NAME-HASH and labels the pods with the hash; Argo Rollouts does likewise. A
        // ReplicaSet that stands alone has no such label.
        "ReplicaSet" => ["pod-template-hash", "rollouts-pod-template-hash"]
            .iter()
            .find_map(|label| without_suffix(name, meta.label(label)))
            .unwrap_or(name),
        "Job" => cron_job(name).unwrap_or(name),
        // A static pod is named after its node.
        "Node" => without_suffix(&meta.name, node).unwrap_or(&meta.name),
        _ if name.is_empty() => &meta.name,
        _ => name,
    }
}

fn without_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let stem = name.strip_suffix(suffix)?.strip_suffix('-')?;
    (!suffix.is_empty() && !stem.is_empty()).then_some(stem)
}

/// A CronJob names its Jobs NAME-TIME, the scheduled time in minutes (eight digits from 1990 to 2160) since the epoch;
/// before Kubernetes 1.21 in seconds (ten digits).
fn cron_job(job: &str) -> Option<&str> {
    let (name, time) = job.rsplit_once('-')?;
    let digits = time.bytes().all(|byte| byte.is_ascii_digit());
    (digits && matches!(time.len(), 8 | 10) && !name.is_empty()).then_some(name)
}
