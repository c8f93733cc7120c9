//! A link is cut, and the controller answers nonsense or nothing.

use std::net::TcpListener;

use khan_api::routes::CONTROLLER_PORT;
use khan_api::snapshot::Side;
use khan_lab::{Result, until};

use crate::scene::{PATIENCE, Scene, all_is_right, edges, next_snapshot, nothing_is_wrong, snapshot};

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
    // As many scans as an agent with the usual interval makes in five minutes.
    for _ in 0..10 {
        assert_eq!(edges(&next_snapshot(&scene.khan.agents[0])?, Side::Client), near);
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
