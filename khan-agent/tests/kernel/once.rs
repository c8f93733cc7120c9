//! Once, not twice: over all nodes, `side="client"` adds up to the connections that exist.

use khan_api::Kind;
use khan_lab::{Lab, Result, Seed};

use crate::support::{Agent, ip, named, pod, sum_by};

#[test]
fn the_client_side_adds_up() -> Result {
    let lab = Lab::new()?;
    let (n1, n2) = (lab.host("n1")?, lab.host("n2")?);
    let known = || {
        [
            (ip("10.1.0.1"), pod("a", "n1")),
            (ip("10.1.0.3"), pod("c", "n1")),
            (ip("10.2.0.2"), pod("b", "n2")),
            (ip("10.9.0.1"), named(Kind::Node, "n1", "n1")),
            (ip("10.9.0.2"), named(Kind::Node, "n2", "n2")),
        ]
    };
    let (a, b, c) = ([10, 1, 0, 1], [10, 2, 0, 2], [10, 1, 0, 3]);
    // Across nodes: in both tables. On one node: in its own. From a node to a pod on another: in both.
    for node in [&n1, &n2] {
        node.seed((0..10).map(|n| Seed::tcp((a, 1000 + n), (b, 80))))?;
        node.seed((0..3).map(|n| Seed::tcp(([10, 9, 0, 1], 2000 + n), (b, 80))))?;
    }
    n1.seed((0..5).map(|n| Seed::tcp((a, 3000 + n), (c, 80))))?;
    // From outside to a node port on a node without a backend: there the client is itself, where the pod is it is a node.
    let outside = [203, 0, 113, 7];
    n1.seed((0..4).map(|n| {
        Seed::tcp((outside, 4000 + n), ([10, 9, 0, 1], 30_080))
            .backend((b, 80))
            .masqueraded_as(([10, 9, 0, 1], 5000 + n))
    }))?;
    n2.seed((0..4).map(|n| Seed::tcp(([10, 9, 0, 1], 5000 + n), (b, 80))))?;

    let sides = |agent: Agent, host| sum_by(&agent.knowing(known()).page(host), ["side", "src_type", "src_name"]);
    let row = |texts: [&str; 3]| texts.map(str::to_owned);
    let pod_a = "a-6d4cf56db6-abcde";
    assert_eq!(
        sides(Agent::on("n1"), &n1),
        [(row(["client", "pod", pod_a]), 15), (row(["client", "node", "n1"]), 3), (row(["client", "external", ""]), 4)]
            .into()
    );
    assert_eq!(
        sides(Agent::on("n2"), &n2),
        [(row(["server", "pod", pod_a]), 10), (row(["server", "node", "n1"]), 7)].into()
    );
    // 10 + 5 + 3 + 4 connections exist.
    Ok(())
}
