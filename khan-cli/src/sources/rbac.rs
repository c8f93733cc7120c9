//! What the API server did not allow, in words and as a manifest that allows it.

use std::fmt::{self, Write};

use khan_api::Name;

/// Where `deploy/` puts the agents; asked when pods of all namespaces may not be listed.
pub(crate) const NAMESPACE: &str = "khan";

/// One thing that was not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `get`, `list`, `create`.
    pub verb: &'static str,
    /// Resource with subresource, such as `pods/proxy`.
    pub resource: &'static str,
    /// Where; `None` for every namespace.
    pub namespace: Option<String>,
    /// Who we are there, when the server said so.
    pub user: Option<Name>,
}

impl Denial {
    /// What the API server refused to this user, as far as it said who that is.
    pub fn new(verb: &'static str, resource: &'static str, namespace: Option<&str>, user: Option<&str>) -> Self {
        Self { verb, resource, namespace: namespace.map(str::to_owned), user: user.map(Name::from) }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "user {user:?} may not {} {}", self.verb, self.resource)?,
            None => write!(f, "this user may not {} {}", self.verb, self.resource)?,
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in all namespaces"),
        }
    }
}

/// The cluster role `khan-viewer` of `deploy/`, resources with verbs: all that reading every agent through the API server
/// takes, and asking the controller for an address's history.
pub(crate) const VIEWER: [(&str, &[&str]); 3] =
    [("pods", &["list"]), ("pods/proxy", &["get"]), ("pods/portforward", &["get", "create"])];

/// What allows all of `denials`, bound to the user that they name where they were met (without a namespace: where
/// `deploy/` puts the agents); to be piped into `kubectl apply -f -`.
///
/// That is [`VIEWER`] as a cluster role, which changes nothing where it is installed already. Anything else, such as the way
/// to a Prometheus service, becomes a Role of its own.
pub(crate) fn manifest(denials: &[Denial]) -> String {
    let namespace = denials.iter().find_map(|denial| denial.namespace.as_deref()).unwrap_or(NAMESPACE);
    let user = denials.iter().find_map(|denial| denial.user.as_deref());
    let viewer = |denial: &&Denial| VIEWER.iter().any(|(resource, _)| *resource == denial.resource);
    let (ours, others): (Vec<_>, Vec<_>) = denials.iter().partition(viewer);
    let mut parts = Vec::new();
    if !ours.is_empty() {
        parts.push(role("ClusterRole", "khan-viewer", None, &VIEWER));
        parts.push(binding("ClusterRole", "khan-viewer", namespace, user));
    }
    if !others.is_empty() {
        let verbs: Vec<_> = others.iter().map(|denial| (denial.resource, [denial.verb])).collect();
        let rules: Vec<_> = verbs.iter().map(|(resource, verbs)| (*resource, &verbs[..])).collect();
        parts.push(role("Role", "khan-services", Some(namespace), &rules));
        parts.push(binding("Role", "khan-services", namespace, user));
    }
    parts.join("---\n")
}

fn role(kind: &str, name: &str, namespace: Option<&str>, rules: &[(&str, &[&str])]) -> String {
    let place = namespace.map(|namespace| format!("  namespace: {namespace}\n")).unwrap_or_default();
    let mut text =
        format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n{place}rules:\n");
    for (resource, verbs) in rules {
        let verbs = verbs.join(", ");
        let _ = write!(text, "  - apiGroups: [\"\"]\n    resources: [{resource}]\n    verbs: [{verbs}]\n");
    }
    text
}

fn binding(kind: &str, role: &str, namespace: &str, user: Option<&str>) -> String {
    let (subject, user) = subject(user);
    let name: String =
        user.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: RoleBinding\n\
         metadata:\n  name: {role}-{}\n  namespace: {namespace}\n\
         roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {role}\n\
         subjects:\n{subject}    name: {user:?}\n",
        name.trim_matches('-')
    )
}

/// The subject's kind and namespace, and its name.
fn subject(user: Option<&str>) -> (String, String) {
    let account =
        user.and_then(|user| user.strip_prefix("system:serviceaccount:")).and_then(|rest| rest.split_once(':'));
    if let Some((namespace, name)) = account {
        return (format!("  - kind: ServiceAccount\n    namespace: {namespace}\n"), name.to_owned());
    }
    ("  - kind: User\n    apiGroup: rbac.authorization.k8s.io\n".to_owned(), user.unwrap_or("YOU").to_owned())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
    use serde::de::DeserializeOwned;

    use super::*;

    fn read<A: DeserializeOwned, B: DeserializeOwned>(manifest: &str) -> (A, B) {
        let (role, binding) = manifest.split_once("---\n").unwrap();
        (serde_saphyr::from_str(role).unwrap(), serde_saphyr::from_str(binding).unwrap())
    }

    #[test]
    fn a_denial_names_who_what_and_where() {
        let denial =
            Denial { verb: "get", resource: "pods/proxy", namespace: Some("khan".into()), user: Some("jane".into()) };
        assert_eq!(denial.to_string(), "user \"jane\" may not get pods/proxy in namespace khan");
        let denial = Denial { verb: "list", resource: "pods", namespace: None, user: None };
        assert_eq!(denial.to_string(), "this user may not list pods in all namespaces");
    }

    fn denied(verb: &'static str, resource: &'static str, namespace: Option<&str>, user: &str) -> Denial {
        Denial { verb, resource, namespace: namespace.map(str::to_owned), user: Some(user.into()) }
    }

    #[test]
    fn the_manifest_is_one_that_kubernetes_reads() {
        let (role, binding): (ClusterRole, RoleBinding) =
            read(&manifest(&[denied("get", "pods/proxy", Some("ops"), "jane@example.org")]));
        assert_eq!((role.metadata.name.as_deref(), role.metadata.namespace), (Some("khan-viewer"), None));
        assert_eq!(binding.metadata.namespace.as_deref(), Some("ops"));
        assert_eq!(binding.metadata.name.as_deref(), Some("khan-viewer-jane-example-org"));
        assert_eq!((&*binding.role_ref.kind, &*binding.role_ref.name), ("ClusterRole", "khan-viewer"));
        assert_eq!(binding.subjects.unwrap()[0].name, "jane@example.org");
        let account = "system:serviceaccount:ops:viewer";
        let (_, binding): (ClusterRole, RoleBinding) = read(&manifest(&[denied("list", "pods", None, account)]));
        assert_eq!(binding.metadata.namespace.as_deref(), Some(NAMESPACE));
        let subject = &binding.subjects.unwrap()[0];
        assert_eq!((subject.kind.as_str(), subject.namespace.as_deref()), ("ServiceAccount", Some("ops")));
        assert_eq!(subject.name, "viewer");
    }

    #[test]
    fn the_manifest_grants_exactly_what_deploy_does() {
        let deploy =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/base/viewer.yaml")).unwrap();
        let deployed: ClusterRole = serde_saphyr::from_str(&deploy).unwrap();
        let (printed, _): (ClusterRole, RoleBinding) = read(&manifest(&[denied("list", "pods", None, "jane")]));
        assert_eq!(printed, deployed);
    }

    #[test]
    fn what_only_prometheus_needs_has_a_role_of_its_own() {
        let (role, binding): (Role, RoleBinding) =
            read(&manifest(&[denied("get", "services/proxy", Some("monitoring"), "jane")]));
        assert_eq!(role.metadata.namespace.as_deref(), Some("monitoring"));
        let rules = role.rules.unwrap();
        assert_eq!(rules[0].resources.as_deref(), Some(&["services/proxy".to_owned()][..]));
        assert_eq!((rules.len(), &rules[0].verbs[..]), (1, &["get".to_owned()][..]));
        assert_eq!((&*binding.role_ref.kind, &*binding.role_ref.name), ("Role", "khan-services"));
    }
}
