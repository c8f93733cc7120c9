//! Entries that outlive their pod while its address moves to another.

use std::time::Duration;

use khan_api::{Identity, Kind, Owner, PreviousOwner, Timestamp};
use khan_lab::{Host, Lab, Result, host, traffic, until};

use crate::support::{Agent, ip, pod, sum_by};

fn attach(node: &Host, pod: &Host, name: &str) -> Result {
    host::link(
        host::Link { host: node, name, addresses: &["10.1.0.1/24"] },
        host::Link { host: pod, name: "eth0", addresses: &["10.1.0.5/24"] },
    )
}

#[test]
fn connections_of_a_pod_that_is_gone_are_not_its_successors() -> Result {
    let lab = Lab::new()?;
    let (node, old, new) = (lab.host("node")?, lab.host("old")?, lab.host("new")?);
    node.track()?;
    attach(&node, &old, "old0")?;
    let server = traffic::TcpServer::start(&node, "10.1.0.1:0".parse().unwrap())?;
    let left = traffic::hold_tcp(&old, server.address(), 6)?;
    // The interface goes first, so no FIN comes out: the entries stay established.
    node.run(["ip", "link", "delete", "old0"])?;
    drop((left, old));
    until("the old connections to be idle for five seconds", Duration::from_secs(20), || {
        let idle = |entry: &khan_lab::Entry| entry.timeout.is_some_and(|left| left <= 432_000 - 5);
        node.witness().ok()?.iter().all(idle).then_some(())
    })?;
    let since = Timestamp::now();
    attach(&node, &new, "new0")?;
    // The server's address was on the interface that is gone; it still listens on it.
    let held = traffic::hold_tcp(&new, server.address(), 2)?;

    let owner = Owner { kind: Kind::Pod, ns: "shop".into(), app: "old".into(), ..Owner::default() };
    let before = PreviousOwner { owner, ..PreviousOwner::default() };
    let identity = |previous: Vec<PreviousOwner>| Identity { since: Some(since), previous, ..pod("new", "n1") };
    let apps = |agent: &Agent| sum_by(&agent.page(&node), ["src_type", "src_app"]);
    let row = |kind: &str, app: &str| [kind.to_owned(), app.to_owned()];

    let remembered = Agent::default().knowing([(ip("10.1.0.5"), identity(vec![before]))]);
    assert_eq!(apps(&remembered), [(row("pod", "old"), 6), (row("pod", "new"), 2)].into());
    let snapshot = remembered.scan(&node).to_api(10);
    assert_eq!(snapshot.endpoints.iter().filter(|endpoint| endpoint.previous).count(), 1);

    let forgotten = Agent::default().knowing([(ip("10.1.0.5"), identity(Vec::new()))]);
    assert_eq!(apps(&forgotten), [(row("unknown", ""), 6), (row("pod", "new"), 2)].into());
    drop(held);
    Ok(())
}
