//! Packets that still go to a backend that is none any more, through real rules that still send them there.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use khan_api::{Identity, Kind, Owner, PreviousOwner, ServiceName, Timestamp};
use khan_lab::{Host, Lab, Result, traffic, until};

use crate::page::lines;
use crate::support::{Agent, ip, node_pod_and_outside, owned, pod};

/// A client that asks the service `dns`, whose only backend was at 10.9.0.2.
struct Scene {
    node: Host,
    // They end with it.
    _hosts: [Host; 2],
    client: UdpSocket,
    _silent: (traffic::TcpServer, traffic::Connections),
}

const DNS: &str = "10.96.0.5";

impl Scene {
    fn new(lab: &Lab) -> Result<Self> {
        let (node, client, backend) = node_pod_and_outside(lab)?;
        backend.route(["default", "via", "10.9.0.1"])?;
        node.nft(
            "table ip nat {
              chain pre { type nat hook prerouting priority -100;
                ip daddr 10.96.0.5 udp dport 53 dnat to 10.9.0.2:5353;
                ip daddr 10.96.0.5 tcp dport 53 dnat to 10.9.0.2:5353;
              }
            }",
        )?;
        let address: SocketAddr = "10.9.0.2:5353".parse().expect("an address");
        let server = traffic::TcpServer::start(&backend, address)?;
        let dialled: SocketAddr = "10.96.0.5:53".parse().expect("an address");
        let silent = traffic::hold_tcp(&client, dialled, 3)?;
        server.wait_for_open(3)?;
        let socket = client.enter(|| UdpSocket::bind("0.0.0.0:0").and_then(|s| s.connect(dialled).map(|()| s)));
        let socket = socket.expect("a socket");
        Ok(Self { node, _hosts: [client, backend], client: socket, _silent: (server, silent) })
    }

    /// Sends one more packet, and tells what is counted as dead, by protocol of the row.
    fn dead(&self, agent: &Agent) -> BTreeMap<String, u64> {
        // The backend's kernel may refuse the one before.
        let _ = self.client.send(b"?").or_else(|_| self.client.send(b"?"));
        let snapshot = agent.scan(&self.node);
        let page = agent.page_of(&snapshot);
        let wire = snapshot.to_api(100);
        let mut dead = BTreeMap::new();
        for row in &wire.rows {
            if wire.endpoints[row.backend as usize].dead.is_some() {
                *dead.entry(row.protocol.to_string()).or_default() += row.connections;
            }
        }
        let lines: u64 = lines(&page, "khan_connection_dead_backend").iter().map(|(_, value)| value).sum();
        assert_eq!(lines, dead.values().sum::<u64>(), "the page and the snapshot tell the same");
        dead
    }
}

fn agent(backend: Identity, endpoints: Option<Timestamp>) -> Agent {
    let dns = Owner { kind: Kind::Service, ns: "kube".into(), name: "dns".into(), ..Owner::default() };
    let known = [(ip("10.1.0.2"), pod("client", "n1")), (ip(DNS), owned(dns)), (ip("10.9.0.2"), backend)];
    Agent::default().knowing_endpoints(known, endpoints)
}

fn udp(n: u64) -> BTreeMap<String, u64> {
    [("udp".to_owned(), n)].into()
}

#[test]
fn packets_to_a_pod_that_is_gone_count_and_what_it_left_behind_does_not() -> Result {
    let lab = Lab::new()?;
    let scene = Scene::new(&lab)?;
    let gone = Timestamp::now();
    let owner = Owner { node: "n2".into(), ..pod("dns", "n2").owner };
    let before = PreviousOwner { owner, until: Some(gone), ..PreviousOwner::default() };
    let agent = agent(Identity { previous: vec![before], ..Identity::default() }, None);
    assert_eq!(scene.dead(&agent), BTreeMap::new(), "it is only just gone");
    until("a packet that is younger than the end", Duration::from_secs(30), || {
        (scene.dead(&agent) == udp(1)).then_some(())
    })?;
    // Times are whole seconds, so what only just counts may not a moment later.
    let (snapshot, dead) = until("the endpoint", Duration::from_secs(30), || {
        let snapshot = agent.scan(&scene.node).to_api(100);
        let dead = snapshot.endpoints.iter().find(|endpoint| endpoint.dead.is_some()).cloned();
        Some((snapshot, dead?))
    })?;
    assert_eq!((dead.dead, dead.previous), (Some(Timestamp::from_seconds(gone.seconds())), true));
    assert_eq!(dead.owner.app, "dns");
    // The three silent connections are of the same pod, and were not renewed.
    assert_eq!(snapshot.rows.iter().map(|row| row.connections).sum::<u64>(), 4);

    agent.identities.lock().expect("no panic").failed("nobody answers");
    assert_eq!(scene.dead(&agent), BTreeMap::new(), "who knows who has the address by now");
    Ok(())
}

#[test]
fn packets_through_a_service_that_no_longer_lists_the_backend_count() -> Result {
    let lab = Lab::new()?;
    let scene = Scene::new(&lab)?;
    let left = Timestamp::now();
    let service = |name: &str| ServiceName { ns: "kube".into(), name: name.into() };
    let lives = |services: &[&str]| Identity {
        services: services.iter().map(|name| service(name)).collect(),
        services_changed: Some(left),
        ..pod("dns", "n2")
    };
    let not_listed = agent(lives(&["metrics"]), Some(left));
    until("a packet that is younger than the end", Duration::from_secs(30), || {
        (scene.dead(&not_listed) == udp(1)).then_some(())
    })?;
    let listed = agent(lives(&["dns", "metrics"]), Some(left));
    assert_eq!(scene.dead(&listed), BTreeMap::new(), "in whatever condition");
    let unknown = agent(lives(&[]), None);
    assert_eq!(scene.dead(&unknown), BTreeMap::new(), "the controller may not read EndpointSlices");
    let many: Vec<String> = (0..khan_api::identity::MAX_SERVICES).map(|n| format!("s-{n}")).collect();
    let many = agent(lives(&many.iter().map(String::as_str).collect::<Vec<_>>()), Some(left));
    assert_eq!(scene.dead(&many), BTreeMap::new(), "there may be more");
    Ok(())
}
