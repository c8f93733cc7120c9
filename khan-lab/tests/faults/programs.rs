//! Programs are killed and come back, or are told to end in the middle of their work.

use std::time::{Duration, Instant};

use khan_api::routes;
use khan_api::snapshot::Side;
use khan_lab::{Khan, Lab, Result, until};

use crate::scene::{PATIENCE, Scene, all_is_right, edges, nothing_is_wrong, snapshot};

#[test]
fn an_agent_that_was_killed_is_right_again_at_once() -> Result {
    let mut scene = Scene::start()?;
    let other = edges(&Khan::next_snapshot(&scene.khan.agents[1])?, Side::Client);
    scene.kill_agent(1)?;
    assert_eq!(
        edges(&Khan::next_snapshot(&scene.khan.agents[1])?, Side::Client),
        other,
        "the other node does not care"
    );
    nothing_is_wrong(&scene.khan.agents, &scene.shop);
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
    // Without any answer yet the counts are there, under bare addresses, and the agents are not ready, which stops a rollout.
    let held: u64 = scene.shop.edges.values().sum();
    for agent in &scene.khan.agents {
        agent.get_when_ready(routes::SNAPSHOT)?;
        assert_eq!(agent.get(routes::READYZ)?.status, 503);
    }
    let nameless: u64 = scene.khan.agents.iter().map(|agent| Ok(snapshot(agent)?.connections)).sum::<Result<u64>>()?;
    assert!(nameless >= held, "{nameless} of {held}");
    scene.restart_controller()?;
    all_is_right(&scene.khan, &scene.shop, "everything was killed")?;
    scene.khan.agents.iter().try_for_each(|agent| agent.get_when_ready(routes::READYZ).map(drop))
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
