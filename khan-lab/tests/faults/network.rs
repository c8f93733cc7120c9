//! A link is cut, and the controller answers nonsense or nothing.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use khan_api::routes::CONTROLLER_PORT;
use khan_api::snapshot::Side;
use khan_lab::{Host, Khan, Result, until};

use crate::files::in_mounts_of;
use crate::scene::{ARGUMENTS, PATIENCE, Scene, all_is_right, edges, nothing_is_wrong, snapshot};

#[test]
fn a_cut_link_costs_no_number_of_the_other_node() -> Result {
    let scene = Scene::start()?;
    let node = scene.shop.cluster.node(2);
    let near = edges(&Khan::next_snapshot(&scene.khan.agents[0])?, Side::Client);
    node.run(["ip", "link", "set", "eth0", "down"])?;
    // The controller lives behind that link, so the names grow old, too.
    let cut = until("the agent to notice", PATIENCE, || {
        snapshot(&scene.khan.agents[0]).ok().filter(|snapshot| !snapshot.names.error.is_empty())
    })?;
    assert_eq!(edges(&cut, Side::Client), near);
    // As many scans as an agent with the usual interval makes in five minutes.
    for _ in 0..10 {
        assert_eq!(edges(&Khan::next_snapshot(&scene.khan.agents[0])?, Side::Client), near);
        nothing_is_wrong(&scene.khan.agents, &scene.shop);
    }
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
            Khan::next_snapshot(agent)?;
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
fn a_controller_that_never_answers_stops_no_scan() -> Result {
    let mut scene = Scene::start()?;
    scene.kill_controller()?;
    let pod = scene.shop.pod(("khan", "khan-controller", 0))?;
    // The kernel accepts connections for it, and nobody reads.
    let silent = pod.enter(|| TcpListener::bind(("0.0.0.0", CONTROLLER_PORT))).expect("the port is free again");
    until("the agents to wait in vain", PATIENCE, || {
        let waits = |agent| snapshot(agent).is_ok_and(|snapshot| snapshot.names.error.contains("timed out"));
        scene.khan.agents.iter().all(waits).then_some(())
    })?;
    let web = scene.shop.service("shop", "web")?;
    scene.shop.hold(("shop", "cart", 0), "web", web.v4_port(80), 5)?;
    all_is_right(&scene.khan, &scene.shop, "a controller did not answer")?;
    drop(silent);
    scene.restart_controller()?;
    for agent in &scene.khan.agents {
        until("a fresh answer", PATIENCE, || snapshot(agent).ok().filter(|snapshot| snapshot.names.error.is_empty()))?;
    }
    all_is_right(&scene.khan, &scene.shop, "the controller answered again")
}

/// A name server that knows one address and falls silent when it is told to; its thread ends with the test's process.
fn name_server(host: &Host, address: Ipv4Addr) -> Arc<AtomicBool> {
    let socket = host.enter(|| UdpSocket::bind("0.0.0.0:53")).expect("port 53 is free in a namespace of ours");
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let question = query.get(12..length).unwrap_or_default();
            // The name ends at its empty label; type and class follow.
            let end = question.iter().position(|byte| *byte == 0).unwrap_or_default() + 5;
            let Some(question) = question.get(..end).filter(|_| !is_silent.load(Ordering::Relaxed)) else { continue };
            let wants_v4 = question[end - 4..] == [0, 1, 0, 1];
            let mut answer = query[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_v4), 0, 0, 0, 0]);
            answer.extend(question);
            if wants_v4 {
                // The same name, an address, for no time at all.
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                answer.extend(address.octets());
            }
            let _ = socket.send_to(&answer, client);
        }
    });
    silent
}

/// As after a node was cut off: the link is back, and look-ups still fail, since the name servers' pods were moved, or their
/// own connections are stale. The address of the controller's service is what it was.
#[test]
fn names_come_back_with_the_link_while_look_ups_still_fail() -> Result {
    let mut scene = Scene::start()?;
    let service = scene.shop.service("khan", "khan-controller")?;
    // As in a cluster, the name server is a pod on the other node.
    let pod = scene.shop.pod(("khan", "khan-controller", 0))?.clone();
    let silent = name_server(&pod, service.v4);
    let pod_address = scene.shop.cluster.plan().pods_of("khan", "khan-controller").next().expect("it is planned");
    let resolv = format!("nameserver {}\n", scene.shop.cluster.plan().pod_addresses(&pod_address.name)?.v4);
    let resolv = scene.lab.file("resolv.conf", resolv)?.display().to_string();
    scene.kill_agent(1)?;
    let url = format!("http://khan-controller.khan.test:{CONTROLLER_PORT}");
    let arguments = [&ARGUMENTS[..], &["--controller-url", &url]].concat();
    let agent = Khan::agent(&scene.shop.cluster, 1, &arguments)?.with_mounts_of_its_own().start()?;
    scene.khan.agents[0] = agent;
    let agent = &scene.khan.agents[0];
    // The program that makes the mounts has become the agent once it listens.
    agent.address()?;
    in_mounts_of(agent, &format!("mount --bind {resolv} /etc/resolv.conf"))?;
    agent.get_when_ready(khan_api::routes::READYZ)?;

    let node = scene.shop.cluster.node(2);
    node.run(["ip", "link", "set", "eth0", "down"])?;
    until("the agent to notice", PATIENCE, || {
        snapshot(agent).ok().filter(|snapshot| !snapshot.names.error.is_empty()).map(drop)
    })?;
    silent.store(true, Ordering::Relaxed);
    node.run(["ip", "link", "set", "eth0", "up"])?;
    scene.shop.cluster.restore_uplink(2)?;
    let back = Instant::now();
    until("names without a name server", PATIENCE, || {
        snapshot(agent).ok().filter(|snapshot| snapshot.names.error.is_empty()).map(drop)
    })?;
    println!("a link was cut, and look-ups fail: names after {:.1} s", back.elapsed().as_secs_f64());
    all_is_right(&scene.khan, &scene.shop, "a link was cut, and look-ups fail")
}
