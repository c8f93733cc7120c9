//! Connections that ended, counted from the entries that linger in `TIME_WAIT`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use khan_agent::scan::Scanner;
use khan_agent::table::{OwnershipAges, Settings};
use khan_api::Snapshot;
use khan_lab::{Entry, Host, Lab, Program, Result, traffic, until};

use crate::page::lines;

const PATIENCE: Duration = Duration::from_secs(20);

/// One scan of the node; how many connections it says have ended.
fn scan(scanner: &mut Scanner, keep: bool) -> u64 {
    scanner.scan(OwnershipAges::default()).expect("the table of a namespace of ours can be read");
    let ended = scanner.table().v4().iter().filter(|row| row.class.ended()).map(|row| u64::from(row.count)).sum();
    if keep {
        scanner.keep();
    }
    ended
}

/// Opens and closes so many connections, one after the other, until the kernel has seen the last acknowledgement: the client
/// knows of the end a moment earlier.
fn open_and_close(node: &Host, server: &traffic::TcpServer, count: usize) -> Result {
    let before = time_waits(node, server);
    (0..count).try_for_each(|_| traffic::hold_tcp(node, server.address(), 1)?.close())?;
    let what = format!("{count} connections more in TIME_WAIT than {before}");
    until(&what, PATIENCE, || (time_waits(node, server) == before + count).then_some(()))
}

fn time_waits(node: &Host, server: &traffic::TcpServer) -> usize {
    let ended =
        |entry: &Entry| entry.state.as_deref() == Some("TIME_WAIT") && entry.orig.dst_port == server.address().port();
    node.witness().expect("conntrack reads the table").iter().filter(|entry| ended(entry)).count()
}

/// Scans come as fast as they can, so most entries are seen in dozens of them, and some scans fail.
#[test]
fn each_connection_that_ends_counts_once() -> Result {
    const CONNECTIONS: usize = 500;
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.track()?;
    // On a busy machine the test may take longer than entries usually stay.
    node.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "3600")?;
    let server = traffic::TcpServer::start(&node, "127.0.0.1:0".parse().unwrap())?;
    open_and_close(&node, &server, 20)?;
    let done = &AtomicBool::new(false);
    let counts = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let scans = {
            let node = node.clone();
            let (first, begun) = std::sync::mpsc::channel();
            let scans = scope.spawn(move || {
                node.enter(|| {
                    let mut scanner = Scanner::new(Settings::default());
                    let mut counts = vec![scan(&mut scanner, true)];
                    first.send(()).expect("the test waits for it");
                    for turn in 0.. {
                        let last = done.load(Ordering::SeqCst);
                        let keep = last || turn % 3 != 1;
                        let ended = scan(&mut scanner, keep);
                        if keep {
                            counts.push(ended);
                        }
                        if last {
                            break;
                        }
                    }
                    counts
                })
            });
            begun.recv().expect("the first scan succeeds");
            scans
        };
        let ended = open_and_close(&node, &server, CONNECTIONS);
        done.store(true, Ordering::SeqCst);
        let counts = scans.join().expect("no scan fails");
        ended.map(|()| counts)
    })?;
    assert_eq!(counts[0], 0, "what ended before the first scan");
    assert_eq!(counts.iter().sum::<u64>(), CONNECTIONS as u64, "{counts:?}");
    assert!(counts.len() > 10, "{counts:?}");
    Ok(())
}

/// The entries of the first burst are gone before the scan that comes late, and those of the second are not.
#[test]
fn a_late_scan_counts_what_the_kernel_still_holds() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.track()?;
    node.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "4")?;
    let server = traffic::TcpServer::start(&node, "127.0.0.1:0".parse().unwrap())?;
    let mut scanner = node.enter(|| {
        let mut scanner = Scanner::new(Settings::default());
        scan(&mut scanner, true);
        scanner
    });
    open_and_close(&node, &server, 30)?;
    assert_eq!(node.enter(|| scan(&mut scanner, false)), 30);
    until("the first burst to be forgotten", PATIENCE, || (time_waits(&node, &server) == 0).then_some(()))?;
    open_and_close(&node, &server, 25)?;
    assert_eq!(node.enter(|| scan(&mut scanner, true)), 25);
    assert_eq!(node.enter(|| scan(&mut scanner, true)), 0);
    Ok(())
}

#[test]
fn the_programs_counter_rises_by_what_ended() -> Result {
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
    assert_eq!(first.since, None, "nothing to compare with");
    let (mut counted, mut before) = (0, first.taken);
    for burst in [40, 0, 25] {
        open_and_close(&node, &server, burst)?;
        let snapshot = until("the next snapshot", PATIENCE, || {
            let snapshot: Snapshot = agent.get("/v1/snapshot?max_age=0s").ok()?.json().ok()?;
            (snapshot.taken > before).then_some(snapshot)
        })?;
        assert_eq!(snapshot.since, Some(before));
        let rows = snapshot.rows.iter().filter(|row| row.port == server.address().port());
        assert_eq!(rows.map(|row| row.ended).sum::<u64>(), burst as u64);
        counted += snapshot.rows.iter().map(|row| row.ended).sum::<u64>();
        before = snapshot.taken;
    }
    let page = agent.get("/metrics")?.body;
    assert!(page.contains("# TYPE khan_connections_closed_total counter\n"), "{page}");
    let totals = lines(&page, "khan_connections_closed_total");
    assert_eq!(totals.iter().map(|(_, n)| n).sum::<u64>(), counted, "the agent's own answers included");
    assert!(totals.iter().all(|(labels, _)| labels.len() == 8 && labels["node"] == "n1"), "{totals:?}");
    Ok(())
}
