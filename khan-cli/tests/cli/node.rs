//! `--node` narrows every source that knows nodes, and is refused by one that does not.

use serde_json::{Value, json};

use crate::khan::{Ended, agent, khan, ok, two_nodes};

fn nodes(ended: &Ended) -> (u64, Value, Value) {
    let metadata = &ended.json()["metadata"];
    (metadata["totals"]["conns"].as_u64().unwrap(), metadata["agents"]["total"].clone(), metadata["missing"].clone())
}

#[tokio::test]
async fn agents_that_are_named_by_url_are_narrowed_too_and_so_is_a_recording() {
    let [n1, n2] = two_nodes();
    let servers = [agent(ok(&n1)).await, agent(ok(&n2)).await];
    let urls = servers.each_ref().map(wiremock::MockServer::uri).join(",");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording");
    let file = file.to_str().unwrap();
    let both = khan(&["top", "-o", "json", "--agent", &urls, "--record", file]).run().await;
    assert_eq!(nodes(&both), (9, json!(2), json!([])));
    for source in [["--agent", &*urls], ["--replay", file]] {
        let top = async |names| khan(&[&["top", "-o", "json", "--node", names], &source[..]].concat()).run().await;
        // What the other node would count, this one does, since the other is not looked at.
        assert_eq!(nodes(&top("n2").await), (9, json!(1), json!([])), "{source:?}");
        let (connections, total, missing) = nodes(&top("n1,n9").await);
        assert_eq!((connections, total), (9, json!(1)), "{source:?}");
        assert!(missing[0].as_str().unwrap().ends_with("node n9 (--node)"), "{missing}");
        let nobody = top("n9").await;
        assert_ne!(nobody.code, Some(0), "{nobody:?}");
        assert!(nobody.stdout.is_empty() && nobody.stderr.contains("node n9 (--node)"), "{nobody:?}");
    }
    let agents = khan(&["agents", "--agent", &urls, "--node", "n2", "-o", "name"]).run().await;
    assert_eq!((agents.code, &*agents.stdout), (Some(0), "node/n2\n"), "{agents:?}");
}

#[tokio::test]
async fn this_hosts_own_table_is_one_node() {
    let ended = khan(&["top", "--once", "--source", "local", "--node", "elsewhere"]).run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
    assert!(ended.stderr.starts_with("khan: --node elsewhere: --source local knows node "), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}
