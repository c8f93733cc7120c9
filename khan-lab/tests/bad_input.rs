//! What agent and controller say to what they cannot work with: one sentence, exit code 64 or 1, nothing half-done.

use std::net::TcpListener;
use std::time::Duration;

use khan_lab::program::Ended;
use khan_lab::{Lab, Program, Result};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program's own exit code and one sentence that holds all the words.
fn one_sentence(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stdout, "", "nothing half-done: {ended:?}");
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "one sentence: {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is not in {:?}", ended.stderr);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<Ended> {
    let quiet = Program::workspace(program)?.args(arguments).without_env("KUBECONFIG").env("HOME", "/nonexistent");
    quiet.output(PATIENCE)
}

#[test]
fn an_unknown_flag_is_named() -> Result {
    for program in ["khan-agent", "khan-controller"] {
        one_sentence(&run(program, &["--frobnicate"])?, 64, &[program, "--frobnicate"]);
    }
    Ok(())
}

#[test]
fn a_bad_url_is_named_with_its_flag() -> Result {
    one_sentence(&run("khan-agent", &["--controller-url", "nonsense"])?, 64, &["--controller-url", "nonsense"]);
    Ok(())
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_named() -> Result {
    let path = "/nonexistent/kubeconfig";
    one_sentence(&run("khan-controller", &["--listen", "127.0.0.1:0", "--kubeconfig", path])?, 64, &[path]);
    Ok(())
}

#[test]
fn a_manifest_that_is_none_is_named() -> Result {
    let lab = Lab::new()?;
    let nameless = r#"{"kind": "List", "items": [{"kind": "Pod", "metadata": {"namespace": "shop"}}]}"#;
    for (name, content, word) in [
        ("cluster.json", "{ not JSON", "cluster.json"),
        ("nameless.json", nameless, "name"),
        ("number.json", "17", "number.json"),
    ] {
        let path = lab.file(name, content)?;
        let path = path.to_str().expect("UTF-8");
        let ended = run("khan-controller", &["--listen", "127.0.0.1:0", "--from-file", path])?;
        one_sentence(&ended, 64, &["--from-file", name, word]);
    }
    let ended = run("khan-controller", &["--listen", "127.0.0.1:0", "--from-file", "/nonexistent/cluster.json"])?;
    one_sentence(&ended, 64, &["/nonexistent/cluster.json"]);
    Ok(())
}

#[test]
fn without_the_capability_it_is_named_with_a_remedy() -> Result {
    // So that there is a capability to take away.
    let lab = Lab::new()?;
    let host = lab.host("node")?;
    let agent = khan_lab::binaries::path("khan-agent")?;
    let agent = agent.to_str().expect("UTF-8");
    for arguments in [&["--once"][..], &["--listen", "127.0.0.1:0"]] {
        let powerless = Program::new("/usr/bin/setpriv")
            .args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--", agent, "--node-name", "n1"])
            .args(arguments)
            .env("KHAN_LOG_LEVEL", "error")
            .inside(&host);
        let ended = powerless.output(PATIENCE)?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "");
        let last = ended.stderr.trim_end().lines().next_back().unwrap_or_default().to_owned();
        assert!(last.contains("CAP_NET_ADMIN"), "{ended:?}");
    }
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result {
    let lab = Lab::new()?;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let manifest = lab.file("cluster.json", r#"{"kind": "List", "items": []}"#)?;
    for (program, more) in
        [("khan-agent", ["--node-name", "n1"]), ("khan-controller", ["--from-file", manifest.to_str().expect("UTF-8")])]
    {
        let ended = run(program, &[&["--listen", &address], &more[..]].concat())?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let last = ended.stderr.trim_end().lines().next_back().unwrap_or_default();
        assert!(last.contains("--listen") && last.contains(&address), "{ended:?}");
    }
    Ok(())
}
