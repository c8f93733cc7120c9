//! States by name, of all protocols.

use khan_agent::metrics_page::ExtraLabel;
use khan_api::{Protocol, TcpState};
use khan_lab::{Lab, Result, Seed};

use crate::support::{Agent, sum_by};

#[test]
fn every_tcp_state_and_the_bits_of_the_others() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let server = ([10, 2, 0, 1], 80);
    for (n, state) in (1..).zip(TcpState::ALL) {
        node.seed((0..n).map(|k| Seed::tcp(([10, 1, 0, 1], 1000 * n + k), server).state(state)))?;
    }
    for (protocol, base) in [(Protocol::Udp, 100), (Protocol::Sctp, 200)] {
        let seed = |n: u16| Seed::new(protocol, ([10, 1, 0, 1], base + n), server);
        node.seed((0..3).map(seed))?;
        node.seed((3..5).map(|n| seed(n).unassured()))?;
        node.seed((5..6).map(|n| seed(n).unreplied()))?;
    }
    let mut agent = Agent::default();
    agent.page_settings.extra_labels = vec![ExtraLabel::Transport, ExtraLabel::State];
    let states = sum_by(&agent.page(&node), ["transport", "state"]);
    let mut want = std::collections::BTreeMap::new();
    for (n, state) in (1..).zip(TcpState::ALL) {
        want.insert(["tcp".to_owned(), state.as_str().to_owned()], n);
    }
    for transport in ["udp", "sctp"] {
        for (state, count) in [("ASSURED", 3), ("REPLIED", 2), ("UNREPLIED", 1)] {
            want.insert([transport.to_owned(), state.to_owned()], count);
        }
    }
    assert_eq!(states, want);
    // The snapshot has the same by row.
    let rows = agent.scan(&node).to_api(usize::MAX).rows;
    let tcp = rows.iter().find(|row| row.protocol == Protocol::Tcp).expect("a TCP row");
    assert_eq!(tcp.connections, 55);
    assert_eq!(tcp.states[&"SYN_SENT2".into()], 10);
    Ok(())
}
