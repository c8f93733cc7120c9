//! The agent and its controller: one that is away, and one that means ill.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use khan_api::{Kind, NodePort, Protocol, ResolveRequest, ServicePort, Snapshot};
use khan_lab::program::Running;
use khan_lab::{Host, Lab, Program, Result, Seed, traffic, until};

use crate::page::lines;
use crate::support::node_pod_and_outside;

const SOON: Duration = Duration::from_mins(1);

/// 64 MiB of spaces, compressed. An unoptimized build takes seconds for that, so it is made only once.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let spaces = " ".repeat(1 << 20);
    (0..64).try_for_each(|_| bomb.write_all(spaces.as_bytes())).expect("memory takes it");
    bomb.finish().expect("memory takes it")
});

/// What the controller answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// The truth: 10.1.0.1 is `web`, and the cluster uses 10.0.0.0/8.
    #[default]
    Honest,
    /// The truth after the operator named 203.0.113.0/24 `office`.
    Wider,
    /// The truth, and 9,000 owners that nobody asked for.
    Chatty,
    /// 950,000 owners that nobody asked for.
    Flood,
    /// A name of 120 MB.
    LongName,
    /// Half a megabyte of empty previous owners.
    Previous,
    /// Ranges without end.
    Ranges,
    /// A body that decompresses to 64 MiB.
    Bomb,
    /// Somewhere else.
    Redirect(SocketAddr),
    /// 10.9.0.1 is the node, 10.1.0.2 a pod, and every node port asked about is the service `solo`'s; and one more port.
    NodePorts,
}

/// A controller that answers as it is told; its threads end with the test's process.
struct Controller {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    answered: Arc<AtomicU64>,
    /// All node ports that were asked about.
    node_ports: Arc<Mutex<BTreeSet<NodePort>>>,
}

impl Controller {
    fn start(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let (manner, answered) = (Arc::new(Mutex::new(Manner::Honest)), Arc::new(AtomicU64::new(0)));
        let node_ports = Arc::<Mutex<BTreeSet<NodePort>>>::default();
        let controller = Self {
            address,
            manner: Arc::clone(&manner),
            answered: Arc::clone(&answered),
            node_ports: Arc::clone(&node_ports),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let manner = *manner.lock().expect("no panic");
                // Who is cut off in the middle of an attack has failed, which is what the test is about.
                let asked = answer(stream, manner);
                node_ports.lock().expect("no panic").extend(asked.iter().flat_map(|asked| &asked.node_ports));
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        controller
    }

    /// Answers in this manner from now on, and waits until it did so three times.
    fn behave(&self, manner: Manner) -> Result {
        *self.manner.lock().expect("no panic") = manner;
        let before = self.answered.load(Ordering::Relaxed);
        until(&format!("answers of the kind {manner:?}"), SOON, || {
            (self.answered.load(Ordering::Relaxed) >= before + 3).then_some(())
        })
    }
}

/// Answers a request, and tells it.
fn answer(mut stream: TcpStream, manner: Manner) -> std::io::Result<ResolveRequest> {
    let request = request(&mut stream)?;
    reply(stream, manner, &request)?;
    Ok(request)
}

fn reply(mut stream: TcpStream, manner: Manner, request: &ResolveRequest) -> std::io::Result<()> {
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{more}\r\n");
    let mut send = |text: &str| stream.write_all(text.as_bytes());
    let begin = head("") + r#"{"cursor":"7-9","ranges":["10.0.0.0/8"],"identities":{"#;
    let web = r#"{"type":"pod","ns":"shop","app":"web","name":"web-0"}"#;
    let asked = request.ips.iter().chain(&request.new).any(|ip| ip.to_string() == "10.1.0.1");
    let mut truth = if asked { format!(r#""10.1.0.1":{web}"#) } else { String::new() };
    let spam = |n: u32| format!(r#""10.{}.{}.{}":{web}"#, 100 + (n >> 16), n >> 8 & 255, n & 255);
    match manner {
        Manner::Honest => send(&format!("{begin}{truth}}}}}")),
        Manner::Wider => {
            if request.ips.iter().chain(&request.new).any(|ip| ip.to_string() == "203.0.113.7") {
                truth += if truth.is_empty() { "" } else { "," };
                truth += r#""203.0.113.7":{"type":"external","name":"office"}"#;
            }
            let ranges = r#""ranges":["10.0.0.0/8","203.0.113.0/24"]"#;
            send(&(head("") + &format!(r#"{{"cursor":"7-10",{ranges},"identities":{{{truth}}}}}"#)))
        }
        Manner::Chatty => {
            for n in 0..9_000 {
                truth += if truth.is_empty() { "" } else { "," };
                truth += &spam(n);
            }
            send(&format!("{begin}{truth}}}}}"))
        }
        Manner::Flood => {
            send(&begin)?;
            (0..950_000).try_for_each(|n| send(&(spam(n) + ",")))
        }
        Manner::LongName => {
            send(&format!(r#"{begin}"10.1.0.1":{{"type":"pod","app":""#))?;
            let part = "x".repeat(1 << 20);
            (0..120).try_for_each(|_| send(&part))
        }
        Manner::Previous => send(&format!(
            r#"{begin}"10.1.0.1":{{"type":"pod","ns":"shop","app":"web","name":"web-0","previous":[{}{{}}]}}}}}}"#,
            "{},".repeat(170_000)
        )),
        Manner::Ranges => {
            send(&(head("") + r#"{"cursor":"7-9","identities":{},"ranges":["#))?;
            (0..10_000_000).try_for_each(|_| send(r#""10.0.0.0/8","#))
        }
        Manner::Bomb => {
            stream.write_all(head("Content-Encoding: gzip\r\n").as_bytes())?;
            stream.write_all(&BOMB)
        }
        Manner::NodePorts => {
            let port = |port: u16| format!(r#"{{"port":{port},"protocol":"tcp","ns":"shop","name":"solo"}}"#);
            let mut ports: Vec<String> = request.node_ports.iter().map(|asked| port(asked.port)).collect();
            ports.push(port(30_099));
            send(&format!(
                r#"{begin}"10.9.0.1":{{"type":"node","name":"n1","node":"n1"}},"10.1.0.2":{web}}},"node_ports":[{}]}}"#,
                ports.join(",")
            ))
        }
        Manner::Redirect(address) => send(&format!(
            "HTTP/1.1 307 T\r\nLocation: http://{address}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )),
    }
}

fn request(stream: &mut TcpStream) -> std::io::Result<ResolveRequest> {
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part)?;
        text.extend_from_slice(&part[..length]);
        let Some(head) = text.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        if let Ok(request) = serde_json::from_slice(&text[head + 4..]) {
            return Ok(request);
        }
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn listen(node: &Host) -> TcpListener {
    node.enter(|| TcpListener::bind("127.0.0.1:0")).expect("a port")
}

fn start(node: &Host, controller: SocketAddr, interval: &str) -> Result<Running> {
    node.seed((0..40).map(|n| Seed::tcp(([10, 1, 0, 1], 1000 + n), ([10, 2, 0, 1], 80))))?;
    Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", interval, "--max-scan-cpu", "100"])
        .args(["--controller-url", &format!("http://{controller}")])
        .inside(node)
        .start()
}

/// What the snapshot calls 10.1.0.1, and how many addresses have a name at all.
fn named(agent: &Running) -> Result<(String, usize)> {
    let snapshot: Snapshot = agent.get("/v1/snapshot")?.json()?;
    let web = snapshot.endpoints.iter().find(|e| e.ip.is_some_and(|ip| ip.to_string() == "10.1.0.1"));
    let named = snapshot.endpoints.iter().filter(|endpoint| !endpoint.owner.app.is_empty()).count();
    Ok((web.map(|web| web.owner.app.as_str().to_owned()).unwrap_or_default(), named))
}

fn peak_mib(agent: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >> 10
}

#[test]
fn a_hostile_controller_takes_no_memory_and_leads_nowhere() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    LazyLock::force(&BOMB);
    let controller = Controller::start(listen(&node));
    let elsewhere = Controller::start(listen(&node));
    let agent = start(&node, controller.address, "100ms")?;
    agent.get_when_ready("/readyz")?;
    let honest = until("the name", SOON, || named(&agent).ok().filter(|(name, _)| name == "web"))?;
    let before = peak_mib(&agent);
    for manner in [
        Manner::Chatty,
        Manner::Previous,
        Manner::Flood,
        Manner::LongName,
        Manner::Ranges,
        Manner::Bomb,
        Manner::Redirect(elsewhere.address),
    ] {
        controller.behave(manner)?;
        assert_eq!(named(&agent)?, honest, "{manner:?}");
        controller.behave(Manner::Honest)?;
    }
    assert_eq!(elsewhere.answered.load(Ordering::Relaxed), 0, "nobody follows a controller elsewhere");
    let grown = peak_mib(&agent) - before;
    println!("hostile controller: peak {before} MiB before, {grown} MiB more after");
    assert!(grown <= 16, "{before} MiB grew by {grown} MiB");
    Ok(())
}

#[test]
fn without_names_an_agent_serves_but_is_not_ready_and_names_come_by_themselves() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.track()?;
    let address = listen(&node).local_addr().expect("it was bound");
    // No scan comes by itself again for an hour.
    let agent = start(&node, address, "1h")?;
    let blind = |agent: &Running| -> Option<u64> {
        let page = agent.get("/metrics").ok()?.body;
        let reasons = lines(&page, "khan_agent_blind");
        reasons.iter().find(|(labels, _)| labels["reason"] == "no_names").map(|(_, value)| *value)
    };
    until("a page without names", SOON, || blind(&agent).filter(|blind| *blind == 1))?;
    let waits = until("the reason", SOON, || {
        agent.get("/readyz").ok().filter(|answer| answer.body.contains("cannot reach the controller"))
    })?;
    assert_eq!(waits.status, 503);
    assert!(waits.body.contains("waiting for first answer of the controller"), "{}", waits.body);
    assert_eq!(agent.get("/livez")?.status, 200);
    assert!(agent.get("/metrics")?.body.contains("src_ip=\"10.1.0.1\""));
    let snapshot: Snapshot = agent.get("/v1/snapshot")?.json()?;
    assert!(snapshot.warnings.iter().any(|warning| warning.contains("has never answered")), "{:?}", snapshot.warnings);
    agent.wait_for_line("names may be missing", SOON, |line| line.contains("reason=\"no_names\"").then_some(()))?;

    let controller = Controller::start(node.enter(|| TcpListener::bind(address)).expect("the port is free"));
    agent.get_when_ready("/readyz")?;
    until("the name", SOON, || named(&agent).ok().filter(|(name, _)| name == "web"))?;
    assert_eq!(blind(&agent), Some(0));

    // Once ready, what the controller does makes no difference.
    *controller.manner.lock().expect("no panic") = Manner::Redirect(address);
    until("the error", SOON, || {
        let snapshot: Snapshot = agent.get("/v1/snapshot?max_age=0s").ok()?.json().ok()?;
        (!snapshot.names.error.is_empty()).then_some(())
    })?;
    assert_eq!(agent.get("/readyz")?.status, 200);
    Ok(())
}

/// The scan that learns of a range also learns whose it is.
#[test]
fn addresses_that_a_new_range_covers_have_their_names_in_the_same_scan() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let controller = Controller::start(listen(&node));
    node.seed((0..3).map(|n| Seed::tcp(([203, 0, 113, 7], 2000 + n), ([10, 1, 0, 1], 80))))?;
    let agent = start(&node, controller.address, "1h")?;
    agent.get_when_ready("/readyz")?;
    let office = |path: &str| -> Result<(Kind, String)> {
        let snapshot: Snapshot = agent.get(path)?.json()?;
        let office = snapshot.endpoints.iter().find(|e| e.ip.is_some_and(|ip| ip.to_string() == "203.0.113.7"));
        let office = office.expect("it is in the table");
        Ok((office.owner.kind, office.owner.name.as_str().to_owned()))
    };
    until("the ranges", SOON, || office("/v1/snapshot").ok().filter(|office| office.0 == Kind::External))?;
    *controller.manner.lock().expect("no panic") = Manner::Wider;
    assert_eq!(office("/v1/snapshot?max_age=0s")?, (Kind::External, "office".to_owned()));
    Ok(())
}

/// Real connections through real rules. The controller says of a port only what it was asked about, and it is asked about
/// ports that were dialled at a node and answered from elsewhere.
#[test]
fn node_ports_are_asked_about_and_told() -> Result {
    let lab = Lab::new()?;
    let (node, pod, outside) = node_pod_and_outside(&lab)?;
    node.nft(
        "table ip nat {
            chain pre { type nat hook prerouting priority -100;
                ip daddr 10.9.0.1 tcp dport 30080 dnat to 10.1.0.2:8080;
                ip daddr 10.96.0.5 tcp dport 80 dnat to 10.1.0.2:8080; }
            chain post { type nat hook postrouting priority 100; ip saddr 10.9.0.2 masquerade; }
        }",
    )?;
    outside.route(["10.96.0.0/16", "via", "10.9.0.1"])?;
    let address = |text: &str| text.parse().expect("an address");
    let server = traffic::TcpServer::start(&pod, address("10.1.0.2:8080"))?;
    let own = traffic::TcpServer::start(&node, address("10.9.0.1:22"))?;
    let dialled = ["10.9.0.1:30080", "10.96.0.5:80", "10.9.0.1:22"];
    let held =
        dialled.map(|to| traffic::hold_tcp(&outside, address(to), 5).expect("the kernel's rules let it through"));
    server.wait_for_open(10)?;

    let controller = Controller::start(listen(&node));
    *controller.manner.lock().expect("no panic") = Manner::NodePorts;
    let agent = start(&node, controller.address, "200ms")?;
    agent.get_when_ready("/readyz")?;
    let solo = ServicePort { port: 30_080, protocol: Protocol::Tcp, ns: "shop".into(), name: "solo".into() };
    let told = |wanted: &[ServicePort]| {
        let snapshot: Snapshot = agent.get("/v1/snapshot").ok()?.json().ok()?;
        (snapshot.node_ports == wanted).then_some(())
    };
    until("the service of the node port", SOON, || told(std::slice::from_ref(&solo)))?;
    let asked = controller.node_ports.lock().expect("no panic").clone();
    assert_eq!(
        asked,
        BTreeSet::from([solo.node_port()]),
        "neither the cluster IP's port nor what the node answers itself"
    );

    drop((held, own));
    node.flush()?;
    until("no node port, as no connection has one", SOON, || told(&[]))
}
