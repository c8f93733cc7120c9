//! What the API server did not allow, in words and as a manifest that allows it.

use std::fmt::{self, Write};

use super::cluster::ApiStatus;

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
    pub user: Option<String>,
}

impl Denial {
    /// From the server's answer.
    pub fn new(verb: &'static str, resource: &'static str, namespace: Option<&str>, status: &ApiStatus) -> Self {
        Self { verb, resource, namespace: namespace.map(str::to_owned), user: status.user().map(str::to_owned) }
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

/// A Role with everything that Khan needs to reach agents in `namespace` (every namespace when there is none), and its
/// binding to `user`; to be piped into `kubectl apply -f -`.
pub fn manifest(namespace: Option<&str>, user: Option<&str>) -> String {
    let (kind, place) = match namespace {
        Some(namespace) => ("", format!("  namespace: {namespace}\n")),
        None => ("Cluster", String::new()),
    };
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: {kind}Role\n\
         metadata:\n  name: khan-viewer\n{place}\
         rules:\n"
    );
    for (resources, verbs) in
        [("pods", "get, list"), ("pods/proxy, services/proxy", "get"), ("pods/portforward", "get, create")]
    {
        let _ = write!(text, "  - apiGroups: [\"\"]\n    resources: [{resources}]\n    verbs: [{verbs}]\n");
    }
    let (subject, name) = subject(user);
    let _ = write!(
        text,
        "---\napiVersion: rbac.authorization.k8s.io/v1\n\
         kind: {kind}RoleBinding\n\
         metadata:\n  name: khan-viewer\n{place}\
         roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}Role\n  name: khan-viewer\n\
         subjects:\n{subject}    name: {name:?}\n"
    );
    text
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
    use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
    use serde::de::DeserializeOwned;

    use super::*;

    fn read<A: DeserializeOwned, B: DeserializeOwned>(manifest: &str) -> (A, B) {
        let (role, binding) = manifest.split_once("---\n").unwrap();
        (serde_yaml_ng::from_str(role).unwrap(), serde_yaml_ng::from_str(binding).unwrap())
    }

    #[test]
    fn a_denial_names_who_what_and_where() {
        let denial =
            Denial { verb: "get", resource: "pods/proxy", namespace: Some("khan".into()), user: Some("jane".into()) };
        assert_eq!(denial.to_string(), "user \"jane\" may not get pods/proxy in namespace khan");
        let denial = Denial { verb: "list", resource: "pods", namespace: None, user: None };
        assert_eq!(denial.to_string(), "this user may not list pods in all namespaces");
    }

    #[test]
    fn the_manifest_is_one_that_kubernetes_reads() {
        let (role, binding): (Role, RoleBinding) = read(&manifest(Some("khan"), Some("jane")));
        assert_eq!(role.metadata.namespace.as_deref(), Some("khan"));
        let rules = role.rules.unwrap();
        assert_eq!(rules[2].resources.as_deref(), Some(&["pods/portforward".to_owned()][..]));
        assert_eq!(rules[2].verbs, ["get", "create"]);
        assert_eq!(binding.role_ref.kind, "Role");
        assert_eq!(binding.subjects.unwrap()[0].name, "jane");
        let everywhere = manifest(None, Some("system:serviceaccount:ops:viewer"));
        let (role, binding): (ClusterRole, ClusterRoleBinding) = read(&everywhere);
        assert_eq!(role.metadata.namespace, None);
        let subject = &binding.subjects.unwrap()[0];
        assert_eq!((subject.kind.as_str(), subject.namespace.as_deref()), ("ServiceAccount", Some("ops")));
        assert_eq!(subject.name, "viewer");
    }
}
