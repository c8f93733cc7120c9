//! The program as a user runs it.

use std::time::Duration;

use khan_api::Snapshot;
use khan_lab::{Lab, Program, Result, Seed};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn serves_the_page_and_the_snapshot() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.seed((0..40).map(|n| Seed::tcp(([10, 1, 0, 1], 1000 + n), ([10, 2, 0, 1], 80))))?;
    let agent = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1h"])
        .inside(&node)
        .start()?;
    agent.get_when_ready("/readyz")?;
    let page = agent.get("/metrics")?.body;
    assert!(page.contains("src_ip=\"10.1.0.1\""), "{page}");
    assert!(agent.get("/khan")?.body.starts_with("# HELP khan_connection "));
    let snapshot: Snapshot = agent.get("/v1/snapshot")?.json()?;
    assert_eq!((snapshot.node.as_str(), snapshot.rows[0].connections), ("n1", 40));
    // An hour has not passed, but who asks for something fresher gets it.
    node.seed((40..50).map(|n| Seed::tcp(([10, 1, 0, 1], 1000 + n), ([10, 2, 0, 1], 80))))?;
    let fresher = khan_lab::until("a fresher snapshot", SOON, || {
        let snapshot: Snapshot = agent.get("/v1/snapshot?max_age=0s").ok()?.json().ok()?;
        snapshot.rows.iter().any(|row| row.connections == 50).then_some(snapshot)
    })?;
    assert_ne!(fresher.id, snapshot.id);
    let sample: khan_api::ConnectionSample = agent.get("/v1/connections?src=10.1.0.0/16&limit=7")?.json()?;
    assert_eq!((sample.matched, sample.connections.len()), (50, 7));
    let ended = agent.terminate()?;
    assert!(ended.code == Some(0), "{ended:?}");
    Ok(())
}

#[test]
fn refuses_what_it_cannot_do_with_one_sentence() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let agent = |arguments: &[&str]| Program::workspace("khan-agent")?.args(arguments).inside(&node).output(SOON);
    let taken = node.enter(|| std::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let taken = taken.local_addr().expect("a port").to_string();
    for (arguments, code, says) in [
        (&["--interval", "soon"][..], 64, "--interval"),
        (&["--colour"], 64, "--colour"),
        (&["--controller-url", "ftp://x"], 64, "--controller-url"),
        (&["--extra-labels", "state,colour"], 64, "--extra-labels"),
        (&["--external-names", "/nowhere"], 64, "--external-names /nowhere"),
        (&["--max-series", "3"], 64, "--max-series"),
        (&["--listen", "everywhere"], 64, "--listen"),
        (&["--listen", &taken], 1, &taken),
    ] {
        let ended = agent(arguments)?;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        let line = ended.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("khan-agent: ") && line.contains(says), "{arguments:?}: {line}");
    }
    Ok(())
}

#[test]
fn says_which_capability_it_lacks() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let path = khan_lab::binaries::path("khan-agent")?;
    for more in [&["--once"][..], &["--listen", "127.0.0.1:0"]] {
        let ended = Program::new("/usr/bin/setpriv")
            .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"])
            .args([&path])
            .args(more)
            .inside(&node)
            .output(SOON)?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("CAP_NET_ADMIN"), "{ended:?}");
    }
    Ok(())
}

#[test]
fn too_few_file_descriptors_are_a_sentence() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let path = khan_lab::binaries::path("khan-agent")?;
    for more in [&["--once"][..], &["--listen", "127.0.0.1:0"]] {
        let ended = Program::new("/usr/bin/prlimit")
            .args(["--nofile=6:6", "--"])
            .args([&path])
            .args(more)
            .inside(&node)
            .output(SOON)?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let sentence = "khan-agent: this process may open 6 files only (ulimit -n); at least 64 are needed\n";
        assert_eq!(ended.stderr, sentence);
    }
    Ok(())
}
