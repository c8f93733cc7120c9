//! Parts of Khan and of the cluster fail and come back: which numbers stay right, what says so, and how soon all is well.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use khan_api::Timestamp;
use khan_api::routes::{self, CONTROLLER_PORT};
use khan_api::snapshot::{Side, Snapshot};
use khan_lab::program::Running;
use khan_lab::shop::Edges;
use khan_lab::{Khan, Lab, LabError, Result, Shop, traffic, until};
use rustix::process::Signal;

/// Long enough for a retry with back-off; what is promised is printed and far shorter.
const PATIENCE: Duration = Duration::from_mins(1);
const ARGUMENTS: [&str; 2] = ["--interval", "1s"];

fn snapshot(agent: &Running) -> Result<Snapshot> {
    agent.get(routes::SNAPSHOT)?.json()
}

/// What one node's agent counts, by app; edges without an app at both ends are Khan's own.
fn edges(snapshot: &Snapshot, side: Side) -> Edges {
    let app = |index: u32| snapshot.endpoints[index as usize].app.clone();
    let mut edges = BTreeMap::new();
    for row in snapshot.rows.iter().filter(|row| row.side == side) {
        let edge = (app(row.src), app(row.dst));
        if !edge.0.is_empty() && !edge.1.is_empty() {
            *edges.entry(edge).or_default() += row.connections;
        }
    }
    edges
}

fn sum(parts: impl IntoIterator<Item = Edges>) -> Edges {
    parts.into_iter().flatten().fold(Edges::new(), |mut all, (edge, count)| {
        *all.entry(edge).or_default() += count;
        all
    })
}

/// Waits until both agents together count exactly what is held, and says how long it took.
fn all_is_right(khan: &Khan, shop: &Shop, after: &str) -> Result {
    let (start, begun) = (Instant::now(), Timestamp::now());
    let mut last = Edges::new();
    let right = until(&format!("the right numbers after {after}"), PATIENCE, || {
        let snapshots: Vec<Snapshot> = khan.agents.iter().map(snapshot).collect::<Result<_>>().ok()?;
        last = sum(snapshots.iter().map(|snapshot| edges(snapshot, Side::Client)));
        // What was right before the fault proves nothing.
        (last == shop.edges && snapshots.iter().all(|snapshot| snapshot.taken >= begun)).then_some(())
    });
    right.map_err(|error| LabError::Malformed(format!("{error}; counted {last:?}, held {:?}", shop.edges)))?;
    println!("{after}: all right after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// What a scan after now says, so that no earlier one can answer for it.
fn next_snapshot(agent: &Running) -> Result<Snapshot> {
    let before = snapshot(agent)?.id;
    until("the next scan", PATIENCE, || snapshot(agent).ok().filter(|snapshot| snapshot.id != before))
}

struct Scene {
    lab: Lab,
    shop: Shop,
    khan: Khan,
}

impl Scene {
    fn start() -> Result<Self> {
        let lab = Lab::new()?;
        let mut shop = Shop::start(&lab)?;
        shop.open()?;
        let khan = Khan::start(&lab, &shop.cluster, &ARGUMENTS)?;
        all_is_right(&khan, &shop, "the start")?;
        Ok(Self { lab, shop, khan })
    }

    fn kill_controller(&mut self) -> Result {
        self.khan.controller.signal(Signal::KILL)?;
        self.khan.controller.wait(PATIENCE).map(drop)
    }

    fn restart_controller(&mut self) -> Result {
        self.khan.controller = Khan::start_controller(&self.lab, &self.shop.cluster)?;
        Ok(())
    }

    fn kill_agent(&mut self, node: u8) -> Result {
        let agent = &mut self.khan.agents[usize::from(node) - 1];
        agent.signal(Signal::KILL)?;
        agent.wait(PATIENCE).map(drop)
    }

    fn restart_agent(&mut self, node: u8) -> Result {
        self.khan.agents[usize::from(node) - 1] = Khan::start_agent(&self.shop.cluster, node, &ARGUMENTS)?;
        Ok(())
    }
}

#[test]
fn an_agent_that_was_killed_is_right_again_at_once() -> Result {
    let mut scene = Scene::start()?;
    let other = edges(&next_snapshot(&scene.khan.agents[1])?, Side::Client);
    scene.kill_agent(1)?;
    assert_eq!(edges(&next_snapshot(&scene.khan.agents[1])?, Side::Client), other, "the other node does not care");
    scene.restart_agent(1)?;
    all_is_right(&scene.khan, &scene.shop, "an agent was killed")
}

#[test]
fn without_the_controller_names_stay_and_say_how_old_they_are() -> Result {
    let mut scene = Scene::start()?;
    scene.kill_controller()?;
    let stale = until("the agent to notice", PATIENCE, || {
        snapshot(&scene.khan.agents[0]).ok().filter(|snapshot| !snapshot.names.error.is_empty())
    })?;
    let updated = stale.names.updated.expect("an earlier answer");
    assert!(updated < stale.taken, "{stale:?}");
    // New connections of known addresses are counted and named as before.
    let web = scene.shop.service("shop", "web")?;
    scene.shop.hold(("shop", "cart", 0), "web", web.v4_port(80), 5)?;
    all_is_right(&scene.khan, &scene.shop, "the controller was killed")?;
    assert_eq!(scene.khan.agents[0].get(routes::LIVEZ)?.status, 200);
    scene.restart_controller()?;
    for agent in &scene.khan.agents {
        until("a fresh answer", PATIENCE, || snapshot(agent).ok().filter(|snapshot| snapshot.names.error.is_empty()))?;
    }
    all_is_right(&scene.khan, &scene.shop, "the controller came back")
}

#[test]
fn agents_and_controller_killed_together_find_each_other_again() -> Result {
    let mut scene = Scene::start()?;
    scene.kill_controller()?;
    scene.kill_agent(1)?;
    scene.kill_agent(2)?;
    scene.restart_agent(1)?;
    scene.restart_agent(2)?;
    // Without any answer yet the counts are there, under bare addresses.
    let held: u64 = scene.shop.edges.values().sum();
    for agent in &scene.khan.agents {
        agent.get_when_ready(routes::READYZ)?;
    }
    let nameless: u64 = scene.khan.agents.iter().map(|agent| Ok(snapshot(agent)?.connections)).sum::<Result<u64>>()?;
    assert!(nameless >= held, "{nameless} of {held}");
    scene.restart_controller()?;
    all_is_right(&scene.khan, &scene.shop, "everything was killed")
}

#[test]
fn a_cut_link_costs_no_number_of_the_other_node() -> Result {
    let scene = Scene::start()?;
    let node = scene.shop.cluster.node(2);
    let near = edges(&next_snapshot(&scene.khan.agents[0])?, Side::Client);
    node.run(["ip", "link", "set", "eth0", "down"])?;
    // The controller lives behind that link, so the names grow old, too.
    let cut = until("the agent to notice", PATIENCE, || {
        snapshot(&scene.khan.agents[0]).ok().filter(|snapshot| !snapshot.names.error.is_empty())
    })?;
    assert_eq!(edges(&cut, Side::Client), near);
    node.run(["ip", "link", "set", "eth0", "up"])?;
    // The kernel drops the routes and IPv6 addresses of an interface that goes down.
    scene.shop.cluster.restore_uplink(2)?;
    all_is_right(&scene.khan, &scene.shop, "a link was cut")
}

#[test]
fn a_controller_that_answers_garbage_changes_no_name() -> Result {
    let mut scene = Scene::start()?;
    scene.kill_controller()?;
    let pod = scene.shop.pod(("khan", "khan-controller", 0))?;
    let garbage = pod.enter(|| TcpListener::bind(("0.0.0.0", CONTROLLER_PORT))).expect("the port is free again");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 900\r\nConnection: close\r\n\r\n{\"cursor\":\"1-1\",",
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "",
        ];
        for (stream, answer) in garbage.incoming().zip(answers.iter().cycle()) {
            if stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty) {
                return;
            }
            let Ok(mut stream) = stream else { continue };
            let _ = std::io::Read::read(&mut stream, &mut [0; 8192]);
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    for _ in 0..6 {
        for agent in &scene.khan.agents {
            next_snapshot(agent)?;
        }
    }
    all_is_right(&scene.khan, &scene.shop, "a controller answered garbage")?;
    assert!(!snapshot(&scene.khan.agents[0])?.names.error.is_empty());
    drop(stop);
    // One more connection ends the server's wait for one.
    pod.enter(|| std::net::TcpStream::connect(("127.0.0.1", CONTROLLER_PORT))).expect("it listens");
    server.join().expect("no panic");
    scene.restart_controller()?;
    all_is_right(&scene.khan, &scene.shop, "the controller came back")
}

#[test]
fn a_flushed_table_is_empty_until_packets_fill_it_again() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    // Without NAT: what the kernel forgot about it could not be picked up again.
    let postgres = shop.cluster.plan().pod_addresses("postgres-0")?;
    shop.hold(("shop", "cart", 0), "postgres", postgres.v4_port(5432), 9)?;
    let khan = Khan::start(&lab, &shop.cluster, &ARGUMENTS)?;
    all_is_right(&khan, &shop, "the start")?;
    for node in [1, 2] {
        shop.cluster.node(node).flush()?;
    }
    until("the page to be empty", PATIENCE, || {
        khan.agents
            .iter()
            .all(|agent| snapshot(agent).is_ok_and(|snapshot| edges(&snapshot, Side::Client).is_empty()))
            .then_some(())
    })?;
    shop.talk()?;
    all_is_right(&khan, &shop, "the table was flushed")
}

#[test]
fn sigterm_during_scrapes_cuts_none_off() -> Result {
    let lab = Lab::new()?;
    let host = lab.host("node")?;
    let client = |n: u32| (std::net::Ipv4Addr::from_bits(0x0a00_0000 + n), 40_000_u16);
    host.seed((0..20_000).map(|n| khan_lab::Seed::tcp(client(n), ([10, 96, 0, 1], 443))))?;
    let agent = khan_lab::Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--max-series", "50000"])
        .inside(&host)
        .start()?;
    agent.get_when_ready(routes::READYZ)?;
    let url = agent.url(routes::METRICS)?;
    let (began, scraping) = std::sync::mpsc::channel();
    let scrapes: Vec<_> = (0..4)
        .map(|_| {
            let (host, url, began) = (host.clone(), url.clone(), began.clone());
            std::thread::spawn(move || {
                let mut whole = 0;
                // A refused connection is an honest answer after the end; a page that stops in the middle is not.
                while let Ok(answer) = host.get(&url) {
                    assert!(answer.body.ends_with('\n'), "cut off after {} bytes", answer.body.len());
                    assert_eq!(answer.body.matches("\nkhan_connection{").count(), 20_000);
                    whole += 1;
                    let _ = began.send(());
                }
                whole
            })
        })
        .collect();
    for _ in 0..8 {
        scraping.recv_timeout(PATIENCE).expect("scrapes go on");
    }
    let start = Instant::now();
    let ended = agent.terminate()?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    let whole: usize = scrapes.into_iter().map(|scrape| scrape.join().expect("every page was whole")).sum();
    println!("{whole} whole pages around SIGTERM");
    Ok(())
}

#[test]
fn a_busy_table_is_never_counted_twice() -> Result {
    let mut scene = Scene::start()?;
    // Connections come and go on the same edges while what is held stays.
    let web = scene.shop.service("shop", "web")?;
    let end = Instant::now() + Duration::from_secs(10);
    let least = scene.shop.edges.clone();
    let mut closed = 0;
    while Instant::now() < end {
        let short = traffic::hold_tcp(scene.shop.pod(("shop", "cart", 1))?, web.v4_port(80), 20)?;
        let mid = sum(scene.khan.agents.iter().map(|agent| edges(&snapshot(agent).expect("served"), Side::Client)));
        for (edge, count) in &least {
            let most = if edge.0 == "cart" && edge.1 == "web" { *count + closed + 20 } else { *count };
            let now = mid.get(edge).copied().unwrap_or_default();
            assert!((*count..=most).contains(&now), "{edge:?}: {now} is not between {count} and {most}");
        }
        short.close()?;
        closed += 20;
    }
    // The kernel remembers closed connections for two minutes; they are tracked, so they are counted.
    *scene.shop.edges.get_mut(&("cart".into(), "web".into())).expect("an edge of the shop") += closed;
    all_is_right(&scene.khan, &scene.shop, "churn")
}
