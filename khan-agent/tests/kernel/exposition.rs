//! The page in both forms, plain and compressed. That Prometheus reads OpenMetrics is held by every test that runs one: it
//! asks for that form first.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::read::GzDecoder;
use khan_api::Snapshot;
use khan_lab::{Host, Lab, Program, Result, traffic, until};

const OPEN: &str = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";
const GZIP: &str = "Accept-Encoding: gzip\r\n";

/// The answer's head and body.
fn get(node: &Host, agent: SocketAddr, headers: &str) -> (String, Vec<u8>) {
    let mut answer = Vec::new();
    node.enter(|| {
        let mut stream = TcpStream::connect(agent)?;
        write!(stream, "GET /metrics HTTP/1.0\r\n{headers}\r\n")?;
        stream.read_to_end(&mut answer)
    })
    .expect("the agent answers");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).expect("ASCII").to_lowercase(), body)
}

/// Lines that say the same at any moment: those of the snapshot, and what is said about metrics.
fn lasting(page: &str) -> Vec<&str> {
    page.lines().filter(|line| ["# ", "khan_conn"].iter().any(|start| line.starts_with(start))).collect()
}

#[test]
fn the_page_comes_in_the_form_that_is_asked_for() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.track()?;
    let server = traffic::TcpServer::start(&node, "127.0.0.1:0".parse().unwrap())?;
    let agent = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1h"])
        .inside(&node)
        .start()?;
    agent.get_when_ready("/readyz")?;
    let first: Snapshot = agent.get("/v1/snapshot")?.json()?;
    traffic::hold_tcp(&node, server.address(), 3)?.close()?;
    until("a snapshot with what ended", Duration::from_mins(2), || {
        let snapshot: Snapshot = agent.get("/v1/snapshot?max_age=0s").ok()?.json().ok()?;
        (snapshot.rows.iter().filter(|row| row.port == server.address().port()).map(|row| row.ended).sum::<u64>() == 3)
            .then_some(())
    })?;
    let address = agent.address()?;
    let (head, text) = get(&node, address, "");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(!text.contains("# EOF") && !text.contains("_created"), "{text}");

    let (head, open) = get(&node, address, OPEN);
    let open = String::from_utf8(open).expect("UTF-8");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains("vary: accept, accept-encoding"), "{head}");
    assert!(open.ends_with("\n# EOF\n") && open.matches("# EOF").count() == 1, "{open}");
    for line in
        ["# TYPE khan_connection gauge", "# TYPE khan_connections_closed counter", "# TYPE khan_agent_scans counter"]
    {
        assert!(open.lines().any(|own| own == line), "no {line} in {open}");
    }
    let began = format!("{}.{:03}", first.taken.seconds(), first.taken.millis() % 1000);
    let created: Vec<_> = open.lines().filter(|line| line.starts_with("khan_connections_closed_created{")).collect();
    assert!(!created.is_empty() && created.iter().all(|line| line.ends_with(&format!(" {began}"))), "{created:?}");
    // The values are the same, and so are they when compressed.
    let values = |page: &str| {
        let lines = lasting(page).into_iter().filter(|line| !line.starts_with('#') && !line.contains("_created"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(&open), values(&text));
    for (headers, plain) in [(GZIP.to_owned(), &text), (format!("{OPEN}{GZIP}"), &open)] {
        let (head, packed) = get(&node, address, &headers);
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let mut unpacked = String::new();
        GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).expect("gzip");
        assert_eq!(lasting(&unpacked), lasting(plain));
    }
    Ok(())
}
