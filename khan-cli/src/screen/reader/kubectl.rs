//! Commands that lead on from a row.

use khan_api::{Kind, OwnerRef};

use super::Text;
use crate::model::{GroupEnd, Row};
use crate::shell::quote;

/// Commands about both ends of `row` and its node; without a row about every pod.
pub(crate) fn kubectl(row: Option<&Row>) -> Text {
    let mut lines = Vec::new();
    if let Some(row) = row {
        for end in [&row.src, &row.dst].into_iter().flatten() {
            lines.extend(commands(end));
        }
        if let Some(node) = &row.node {
            lines.push(format!("kubectl describe {}", quote(&format!("node/{node}"))));
            let selector = format!("spec.nodeName={node}");
            lines.push(format!("kubectl get pods -A -o wide --field-selector {}", quote(&selector)));
        }
    }
    if lines.is_empty() {
        lines.push("kubectl get pods -A -o wide".into());
    }
    Text::Lines("kubectl · y copies".into(), lines)
}

/// Names come from peers: each is one word for the shell, and none can be taken for a flag.
fn commands(end: &GroupEnd) -> Vec<String> {
    let OwnerRef { kind, ns, app, name, node, .. } = end.owner.as_deref();
    let namespace = quote(ns);
    let object = |kind: &str, name: &str| quote(&format!("{kind}/{name}")).into_owned();
    match (kind, end.ip) {
        (Kind::Pod, _) if !name.is_empty() => {
            let pod = object("pod", name);
            vec![
                format!("kubectl -n {namespace} describe {pod}"),
                format!("kubectl -n {namespace} logs {pod} --tail=100"),
            ]
        }
        (Kind::Pod, _) if !app.is_empty() => {
            vec![format!("kubectl -n {namespace} get pods -o wide -l {}", quote(&format!("app={app}")))]
        }
        (Kind::Service, _) if !app.is_empty() => {
            let app = quote(app);
            vec![format!("kubectl -n {namespace} get services,endpointslices -o wide | grep -w -e {app}")]
        }
        (Kind::Node, _) => vec![format!("kubectl describe {}", object("node", node))],
        (_, Some(ip)) => vec![format!("kubectl get pods,services,nodes -A -o wide | grep -w {ip}")],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_whatever_it_holds() {
        let end = |kind, ns, name, app| {
            let owner = OwnerRef { kind, ns, app, workload: "", name, node: "$(id)" }.map(Into::into);
            GroupEnd { owner, ip: None, text: "".into(), addresses: 1 }
        };
        assert_eq!(
            commands(&end(Kind::Pod, "a;reboot", "--kubeconfig=x", ""))[0],
            "kubectl -n 'a;reboot' describe pod/--kubeconfig=x"
        );
        assert_eq!(commands(&end(Kind::Pod, "a", "", "`id`")), ["kubectl -n a get pods -o wide -l 'app=`id`'"]);
        assert_eq!(commands(&end(Kind::Node, "", "", "")), ["kubectl describe 'node/$(id)'"]);
    }
}
