//! Connections that stand in eBPF maps: real ones, pinned in a file system of the test's own, read by the agent as it is run.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use khan_api::{ConnectionSample, Protocol, Snapshot, State};
use khan_bpf::{Kind, Map};
use khan_lab::ebpf::cilium::Clock;
use khan_lab::ebpf::{Connection, DataPlane, Here, Maps, Stage, Way};
use khan_lab::program::Running;
use khan_lab::seed::Closer;
use khan_lab::{BpfFs, Host, Lab, Program, Result, Seed, until};
use serde_json::json;

use crate::page::lines;

/// Protocol, client, what was dialled, backend, state.
type Row = (Protocol, SocketAddr, SocketAddr, SocketAddr, State);

fn start(node: &Host, root: &std::path::Path) -> Result<Running> {
    let root = root.to_str().expect("a path of /proc");
    let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1s", "--max-scan-cpu", "100"];
    let agent = Program::workspace("khan-agent")?.args(arguments).args(["--bpf-fs", root]).inside(node).start()?;
    agent.get_when_ready("/readyz")?;
    Ok(agent)
}

/// What the agent lists now, without its own connections and without those to 10.9.9.9, which come and go.
fn listed(agent: &Running) -> Result<Vec<Row>> {
    let sample: ConnectionSample = agent.get("/v1/connections?limit=1000")?.json()?;
    let mut rows: Vec<Row> = sample
        .connections
        .into_iter()
        .filter(|one| !one.src.is_loopback() && one.reply_src.to_string() != "10.9.9.9")
        .map(|one| {
            let ends = [(one.src, one.src_port), (one.dst, one.dst_port), (one.reply_src, one.reply_src_port)];
            let [client, dialled, backend] = ends.map(SocketAddr::from);
            (one.protocol, client, dialled, backend, one.state)
        })
        .collect();
    rows.sort_unstable_by_key(|row| (row.1, row.2, row.0 as u8));
    Ok(rows)
}

fn state(connection: &Connection) -> State {
    match (connection.protocol, connection.stage) {
        (Protocol::Tcp, Stage::Opening) => "SYN_SENT",
        (Protocol::Tcp, Stage::Answered) => "SYN_RECV",
        (Protocol::Tcp, Stage::Open) => "ESTABLISHED",
        (Protocol::Tcp, Stage::HalfClosed(_)) => "CLOSE_WAIT",
        (Protocol::Tcp, Stage::Closed) => "TIME_WAIT",
        (Protocol::Tcp, Stage::Reset) => "CLOSE",
        (_, Stage::Opening) => "UNREPLIED",
        _ => "REPLIED",
    }
    .into()
}

/// Rows of these connections. What was dialled is known where the client's packets are translated.
fn rows(connections: &[Connection]) -> Vec<Row> {
    let row = |one: &Connection| {
        let dialled = if one.here == Here::Backend { one.backend } else { one.dialled };
        (one.protocol, one.client, dialled, one.backend, state(one))
    };
    let mut rows: Vec<Row> = connections.iter().map(row).collect();
    rows.sort_unstable_by_key(|row| (row.1, row.2, row.0 as u8));
    rows
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn pod(port: u16) -> SocketAddr {
    ([10, 0, 1, 7], port).into()
}

fn connections() -> Vec<Connection> {
    let (service, near, far) = (at("10.96.0.1:80"), at("10.0.1.9:8080"), at("10.0.2.9:8080"));
    let direct = |port| Connection::tcp(pod(port), far);
    let through = |port| Connection::tcp(pod(port), service);
    let mut all = vec![
        direct(40_001),
        direct(40_002).stage(Stage::Opening),
        direct(40_003).stage(Stage::Answered),
        direct(40_004).stage(Stage::HalfClosed(Closer::Client)).idle(70),
        direct(40_005).stage(Stage::HalfClosed(Closer::Server)),
        direct(40_006).stage(Stage::Closed).idle(1),
        direct(40_007).stage(Stage::Reset),
        through(40_010).backend(far),
        through(40_011).backend(near).here(Here::Both),
        through(40_012).backend(pod(8080)).way(Way::Hairpin).here(Here::Both),
        Connection::tcp(at("192.0.2.5:50000"), at("172.18.0.2:30080"))
            .backend(near)
            .way(Way::NodePort)
            .here(Here::Both),
        Connection::tcp(at("10.0.2.20:40020"), near).here(Here::Backend),
        Connection::udp(pod(5_000), at("10.96.0.10:53")).backend(at("10.0.2.53:53")),
        Connection::udp(pod(5_001), at("10.0.2.53:53")).stage(Stage::Opening),
        Connection::new(Protocol::Sctp, pod(5_002), at("10.0.2.54:3868")),
        Connection::tcp(at("[fd00:1::7]:40030"), at("[fd00:96::1]:443")).backend(at("[fd00:2::9]:8443")),
        Connection::udp(at("[fd00:1::7]:5030"), at("[fd00:2::9]:53")),
    ];
    // A connection for each of many clients, so that there are several batches.
    all.extend((0..600).map(|n| Connection::tcp(([10, 0, 3, 1], 20_000 + n), service).backend(far)));
    all
}

#[test]
fn ciliums_connections_are_listed_and_counted_each_once() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let maps = Maps::new(DataPlane::Cilium(Clock::Seconds), 20_000)?;
    let all = connections();
    all.iter().try_for_each(|one| maps.put(one))?;
    // Over, and not collected yet.
    for over in [
        Connection::tcp(pod(41_000), at("10.0.2.9:8080")).stage(Stage::Opening).idle(400),
        Connection::udp(pod(41_001), at("10.0.2.9:53")).idle(400),
    ] {
        maps.put(&over)?;
    }
    // In the kernel's table as well as in the map.
    let both = Connection::udp(pod(5_100), at("10.0.2.53:53"));
    maps.put(&both)?;
    node.seed([Seed::udp((both.client.ip(), both.client.port()), (both.backend.ip(), both.backend.port()))])?;

    let agent = start(&node, &maps.root())?;
    let want = rows(&all);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let changes = scope.spawn(|| -> Result {
            while !ended.load(Ordering::Relaxed) {
                // Closed connections live for 10 s, which a busy machine may take to answer.
                all.iter().try_for_each(|one| maps.put(one))?;
                for n in 0..300 {
                    let passing = Connection::tcp(([10, 0, 4, 1], 10_000 + n), at("10.9.9.9:80"));
                    maps.put(&passing)?;
                    if n % 2 == 0 {
                        maps.remove(&passing)?;
                    }
                }
            }
            Ok(())
        });
        let asked = (0..3).map(|_| listed(&agent)).collect::<Result<Vec<_>>>();
        ended.store(true, Ordering::Relaxed);
        changes.join().expect("no panic")?;
        for rows in asked? {
            let (shared, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.1 == both.client);
            assert_eq!(shared.len(), 1, "in two tables, counted once: {shared:?}");
            assert!(rows == want, "missing {:?}, too many {:?}", minus(&want, &rows), minus(&rows, &want));
        }
        Ok::<_, khan_lab::LabError>(())
    })?;
    let page = agent.get("/metrics")?.body;
    for name in ["khan_agent_table_entries", "khan_agent_table_limit"] {
        let values = lines(&page, name);
        let of = |table: &str| values.iter().find(|(labels, _)| labels["table"] == table).map(|(_, value)| *value);
        assert!(
            of("nf_conntrack").is_some() && of("cilium_ct4_global").is_some_and(|value| value > 0),
            "{name}: {values:?}"
        );
    }
    let snapshot: Snapshot = agent.get("/v1/snapshot")?.json()?;
    let told: Vec<_> = snapshot.tables.iter().map(|table| &*table.name).collect();
    let maps = ["cilium_ct4_global", "cilium_ct_any4_global", "cilium_ct6_global", "cilium_ct_any6_global"];
    assert_eq!(told, [&["nf_conntrack"][..], &maps].concat());
    for table in &snapshot.tables {
        assert!(table.entries > 0 && table.entries <= table.limit && table.scan_micros > 0, "{table:?}");
    }
    assert_eq!(snapshot.tables[0].limit, snapshot.table.limit, "the kernel's table is told of as before");
    assert_eq!(snapshot.tables[1].limit, 20_000);
    assert!(
        lines(&page, "khan_agent_blind").iter().all(|(labels, value)| labels["reason"] == "untracked" || *value == 0)
    );
    Ok(())
}

/// A cluster whose only service leads to port 8080 of a pod.
fn cluster() -> String {
    let meta = |name: &str| json!({"name": name, "namespace": "shop", "uid": name, "creationTimestamp": "2026-11-01T00:00:00Z"});
    let pod = |name: &str, ip: &str| {
        let mut meta = meta(name);
        meta["labels"] = json!({"app": name});
        let status = json!({"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"nodeName": "n1"}, "status": status})
    };
    let port = json!([{"name": "http", "port": 80, "protocol": "TCP"}]);
    let mut slice = meta("web-a");
    slice["labels"] = json!({"kubernetes.io/service-name": "web"});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        pod("cart", "10.0.1.7"),
        pod("web", "10.0.2.9"),
        {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"],
            "ports": port}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice, "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.0.2.9"], "conditions": {"ready": true}}]},
    ]})
    .to_string()
}

/// Sockets that are connected to the backend at once: no table has the service's address.
#[test]
fn a_service_that_no_table_shows_is_named_from_its_endpoints() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let maps = Maps::new(DataPlane::Cilium(Clock::Seconds), 1000)?;
    let far = at("10.0.2.9:8080");
    for port in 0..5 {
        maps.put(&Connection::tcp(pod(40_000 + port), far))?;
    }
    // Translated in packets, so that a table shows it; and to a port that no service has.
    maps.put(&Connection::tcp(pod(40_010), at("10.96.0.1:80")).backend(far))?;
    maps.put(&Connection::tcp(pod(40_020), at("10.0.2.9:9090")))?;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), cluster()).expect("it is written");
    let path = file.path().to_str().expect("a path");
    let controller = Program::workspace("khan-controller")?
        .args(["--listen", "127.0.0.1:0", "--from-file", path])
        .inside(&node)
        .start()?;
    controller.get_when_ready("/readyz")?;
    let rows = |root: &str| -> Result<(Vec<String>, Running)> {
        let url = format!("http://{}", controller.address()?);
        let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1s", "--max-scan-cpu", "100"];
        let agent =
            Program::workspace("khan-agent")?.args(arguments).args(["--controller-url", &url, "--bpf-fs", root]);
        let agent = agent.inside(&node).start()?;
        agent.get_when_ready("/readyz")?;
        let snapshot: Snapshot = agent.get("/v1/snapshot")?.json()?;
        let ends = snapshot.rows.iter().filter(|row| snapshot.endpoints[row.src as usize].owner.app == "cart");
        let ends = ends.map(|row| {
            let [dst, backend] = [row.dst, row.backend].map(|end| &snapshot.endpoints[end as usize].owner);
            let (dst, backend) = (format!("{}/{}", dst.kind, dst.name), format!("{}/{}", backend.kind, backend.name));
            format!("{dst}:{} {backend}:{} {}", row.port, row.backend_port, row.connections)
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort_unstable();
        Ok((ends, agent))
    };
    let root = maps.root();
    let (named, agent) = rows(root.to_str().expect("a path of /proc"))?;
    assert_eq!(named, ["pod/web:9090 pod/web:9090 1", "service/web:80 pod/web:8080 6"]);
    // And one by one.
    let sample: ConnectionSample = agent.get("/v1/connections?dst=10.96.0.1&port=80")?.json()?;
    assert_eq!(sample.matched, 6);
    assert!(sample.connections.iter().all(|one| (one.dst, one.dst_port) == (at("10.96.0.1:80").ip(), 80)));
    // Where there are no maps, what was dialled stands in the table, and a pod is a pod.
    node.seed((0..3).map(|n| Seed::tcp(([10, 0, 1, 7], 42_000 + n), ([10, 0, 2, 9], 8080))))?;
    let (direct, _agent) = rows("/nowhere")?;
    assert_eq!(direct, ["pod/web:8080 pod/web:8080 3"]);
    Ok(())
}

fn minus(one: &[Row], other: &[Row]) -> Vec<Row> {
    one.iter().filter(|row| !other.contains(row)).cloned().collect()
}

#[test]
fn a_map_of_an_unknown_version_is_told() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let file_system = BpfFs::new()?;
    let map = Map::create(Kind::LruHash, 14, 64, 100).expect("root may make maps");
    map.pin(file_system.globals()?.join("cilium_ct4_global")).expect("an empty file system");
    let agent = start(&node, &file_system.path())?;
    let snapshot: Snapshot = agent.get("/v1/snapshot")?.json()?;
    let says = |text: &str| snapshot.warnings.iter().any(|warning| warning.contains(text));
    assert!(says("cilium_ct4_global has values of 64 bytes; Khan knows 56"), "{:?}", snapshot.warnings);
    assert!(says("see docs/tables.md"), "{:?}", snapshot.warnings);
    Ok(())
}

/// A table that was asked for by name and cannot be had: why, and what to do, is the same wherever somebody looks.
#[test]
fn a_table_that_was_asked_for_and_is_missing_is_told() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let (empty, other) = (BpfFs::new()?, BpfFs::new()?);
    let map = Map::create(Kind::LruHash, 16, 64, 100).expect("root may make maps");
    map.pin(other.globals()?.join("cali_v4_ct4")).expect("an empty file system");
    for (table, file_system, says, remedy) in [
        ("cilium", &empty, "no connection table of Cilium is pinned in ", "apply deploy/overlays/cilium, "),
        ("calico", &other, "cali_v4_ct4 has values of 64 bytes; Khan knows 88", "see docs/tables.md"),
    ] {
        let root = file_system.path();
        let arguments = ["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1s", "--table", table];
        let agent = Program::workspace("khan-agent")?
            .args(arguments)
            .args(["--bpf-fs", root.to_str().expect("a path of /proc")])
            .inside(&node)
            .start()?;
        let answer = until("the first scan to fail", Duration::from_mins(1), || {
            agent.get("/v1/snapshot").ok().filter(|answer| answer.body.contains("because scans fail"))
        })?;
        let folder = root.join("tc/globals");
        for text in [&answer.body, &agent.log()] {
            let line = text.lines().find(|line| line.contains(says)).unwrap_or_else(|| panic!("{says}: {text}"));
            assert!(line.contains(remedy) && line.contains(&*folder.to_string_lossy()), "{line}");
        }
        assert_eq!((answer.status, agent.get("/readyz")?.status), (503, 503), "{table}");
        let blind = lines(&agent.get("/metrics")?.body, "khan_agent_blind");
        assert!(blind.iter().any(|(labels, value)| labels["reason"] == table && *value == 1), "{blind:?}");
    }
    Ok(())
}
