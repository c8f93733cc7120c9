//! The bench itself, on the real kernel.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use khan_api::TcpState;
use khan_lab::host::{Link, link};
use khan_lab::prometheus::Job;
use khan_lab::seed::{Closer, Status};
use khan_lab::{Entry, Host, Lab, LabError, Program, Prometheus, Result, Seed, traffic, until};

/// A client and a server with a direct link, tracking on both.
fn pair(lab: &Lab) -> Result<(Host, Host)> {
    let (client, server) = (lab.host("client")?, lab.host("server")?);
    link(
        Link { host: &client, name: "eth0", addresses: &["10.9.0.1/24", "fd09::1/64"] },
        Link { host: &server, name: "eth0", addresses: &["10.9.0.2/24", "fd09::2/64"] },
    )?;
    client.track()?;
    server.track()?;
    Ok((client, server))
}

fn states(entries: &[Entry]) -> BTreeMap<String, usize> {
    entries.iter().fold(BTreeMap::new(), |mut states, entry| {
        let state = entry
            .state
            .clone()
            .unwrap_or_else(|| format!("{}{}", entry.protocol_name, if entry.unreplied { " unreplied" } else { "" }));
        *states.entry(state).or_default() += 1;
        states
    })
}

#[test]
fn both_ends_of_real_connections_are_in_the_tables() -> Result {
    let lab = Lab::new()?;
    let (client, server) = pair(&lab)?;
    for address in ["10.9.0.2:0", "[fd09::2]:0"] {
        let echo = traffic::TcpServer::start(&server, address.parse().unwrap())?;
        let held = traffic::hold_tcp(&client, echo.address(), 25)?;
        echo.wait_for_open(25)?;
        for host in [&client, &server] {
            let table = host.witness()?;
            let there = table.iter().filter(|entry| entry.orig.dst == echo.address().ip());
            assert_eq!(
                there.filter(|entry| entry.state.as_deref() == Some("ESTABLISHED") && entry.assured).count(),
                25
            );
        }
        held.close()?;
        echo.wait_for_open(0)?;
    }
    assert_eq!(states(&client.witness()?), BTreeMap::from([("TIME_WAIT".into(), 50)]));
    Ok(())
}

#[test]
fn half_open_and_half_closed_connections_stay_so() -> Result {
    let lab = Lab::new()?;
    let (client, server) = pair(&lab)?;
    server.nft("table inet deaf { chain input { type filter hook input priority -10; tcp dport 81 drop; }; }")?;
    let pending = traffic::half_open(&client, "10.9.0.2:81".parse().unwrap(), 7)?;
    let deaf = traffic::TcpServer::start_never_closing(&server, "[fd09::2]:0".parse().unwrap())?;
    let leaked = traffic::hold_tcp(&client, deaf.address(), 5)?;
    leaked.shut_down_writing()?;
    let expected = BTreeMap::from([("SYN_SENT".into(), pending.len()), ("CLOSE_WAIT".into(), leaked.len())]);
    until("SYN_SENT and CLOSE_WAIT", Duration::from_secs(5), || {
        (states(&client.witness().unwrap()) == expected).then_some(())
    })?;
    Ok(())
}

#[test]
fn udp_with_and_without_an_answer() -> Result {
    let lab = Lab::new()?;
    let (client, server) = pair(&lab)?;
    for ip in ["10.9.0.2", "fd09::2"] {
        let echo = traffic::UdpServer::start(&server, SocketAddr::new(ip.parse().unwrap(), 0))?;
        let answered = traffic::udp_exchange(&client, echo.address(), 11)?;
        let mute = server.enter(|| std::net::UdpSocket::bind((ip, 0))).unwrap();
        let shouted = traffic::udp_one_way(&client, mute.local_addr().unwrap(), 4)?;
        assert_eq!(
            states(&client.witness()?),
            BTreeMap::from([("udp".into(), answered.len()), ("udp unreplied".into(), shouted.len())])
        );
        client.flush()?;
    }
    Ok(())
}

#[test]
fn what_is_seeded_is_what_the_witness_reads() -> Result {
    let lab = Lab::new()?;
    let host = lab.host("node")?;
    let v4 = |last: u8, port: u16| SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), port));
    let v6 = |last: u16, port: u16| SocketAddr::from((Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last), port));
    let seeds: Vec<Seed> = TcpState::ALL
        .into_iter()
        .zip(1000..)
        .map(|(state, port)| Seed::tcp(v4(1, port), v4(2, 80)).state(state))
        .chain([
            Seed::tcp(v4(1, 2000), v4(9, 443)).backend(v4(7, 8443)).timeout(86_400),
            Seed::tcp(v4(1, 2001), v4(2, 443)).masqueraded_as(v4(8, 61_000)).zone(7),
            Seed::tcp(v6(1, 2002), v6(2, 443)).backend(v6(3, 8443)).zone(u16::MAX),
            Seed::udp(v6(1, 2003), v6(2, 53)).unreplied().timeout(30),
            Seed::udp(v4(1, 2004), v4(2, 53)).unassured(),
            Seed::new(khan_api::Protocol::Sctp, v4(1, 2005), v4(2, 9899)),
            Seed { protocol: 136, mark: 3, ..Seed::udp(v4(1, 2006), v4(2, 53)) },
            Seed::tcp(v4(1, 2007), v4(2, 80)).state(TcpState::CloseWait).closed_first(Closer::Server),
        ])
        .collect();
    assert_eq!(host.seed(seeds.clone())?, seeds.len() as u64);
    let table = host.witness()?;
    assert_eq!(table.len(), seeds.len());
    for seed in &seeds {
        let entry = table.iter().find(|entry| entry.orig == seed.orig).expect("an entry for each seed");
        assert_eq!(entry.protocol, seed.protocol);
        assert_eq!(entry.reply, seed.reply);
        assert_eq!((entry.zone, entry.mark), (seed.zone, seed.mark));
        assert!((seed.timeout - 20..=seed.timeout).contains(&entry.timeout.expect("a timeout")), "{entry:?}");
        assert_eq!(entry.unreplied, !seed.status.contains(Status::SeenReply));
        assert_eq!(entry.assured, seed.status.contains(Status::Assured));
        if seed.protocol == 6 {
            assert_eq!(entry.state.as_deref(), Some(seed.tcp_state.as_str()));
        }
    }
    let again = host.seed([seeds[0]]).unwrap_err().to_string();
    assert!(again.contains("refused a synthetic entry"), "{again}");
    host.flush()?;
    assert_eq!(host.witness()?, []);
    Ok(())
}

#[test]
fn a_hundred_thousand_entries_are_made() -> Result {
    let lab = Lab::new()?;
    let host = lab.host("node")?;
    let client = |n: u32| SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + n / 1000), 1024 + (n % 1000) as u16));
    let seeds = (0..100_000).map(|n| Seed::tcp(client(n), ([10, 96, 0, 1], 443)).backend(([10, 1, 0, 1], 8443)));
    let start = std::time::Instant::now();
    assert_eq!(host.seed(seeds)?, 100_000);
    // A second or two on an idle machine; on a shared one a time says nothing.
    println!("100,000 entries took {:?}", start.elapsed());
    assert_eq!(host.read_sysctl("net.netfilter.nf_conntrack_count")?, "100000");
    Ok(())
}

#[test]
fn nat_rules_route_between_hosts() -> Result {
    let lab = Lab::new()?;
    let (client, router, server) = (lab.host("client")?, lab.host("router")?, lab.host("server")?);
    link(
        Link { host: &client, name: "eth0", addresses: &["10.1.0.2/24"] },
        Link { host: &router, name: "down1", addresses: &["10.1.0.1/24"] },
    )?;
    link(
        Link { host: &server, name: "eth0", addresses: &["10.2.0.2/24"] },
        Link { host: &router, name: "down2", addresses: &["10.2.0.1/24"] },
    )?;
    router.forward()?;
    client.route(["default", "via", "10.1.0.1"])?;
    router.nft(
        "table ip nat {
            chain prerouting { type nat hook prerouting priority -100; ip daddr 10.96.0.1 tcp dport 80 dnat to 10.2.0.2:8080; }
            chain postrouting { type nat hook postrouting priority 100; oifname down2 masquerade; }
        }",
    )?;
    let echo = traffic::TcpServer::start(&server, "10.2.0.2:8080".parse().unwrap())?;
    let held = traffic::hold_tcp(&client, "10.96.0.1:80".parse().unwrap(), 3)?;
    let table = router.witness()?;
    assert_eq!(table.len(), held.len());
    for entry in table {
        assert_eq!((entry.orig.dst, entry.orig.dst_port), (Ipv4Addr::new(10, 96, 0, 1).into(), 80));
        assert_eq!((entry.reply.src, entry.reply.src_port), (echo.address().ip(), 8080));
        assert_eq!(entry.reply.dst, Ipv4Addr::new(10, 2, 0, 1));
    }
    Ok(())
}

#[test]
fn nothing_outlives_the_bench() -> Result {
    let (process, folder, namespace) = {
        let lab = Lab::new()?;
        let host = lab.host("node")?;
        let child = Program::new("/bin/sleep").args(["1000"]).inside(&host).start()?;
        let (pid, folder) = (child.pid(), lab.file("note", "x")?);
        (format!("/proc/{pid}"), folder, host.path().to_owned())
    };
    assert!(!Path::new(&process).exists());
    until("the namespace to go", Duration::from_secs(5), || (!Path::new(&namespace).exists()).then_some(()))?;
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn programs_are_read_waited_for_and_ended() -> Result {
    let lab = Lab::new()?;
    let host = lab.host("node")?;
    let echo = Program::new("/bin/sh").args(["-c", "ip -br link; echo bad >&2; exit 3"]).inside(&host);
    let ended = echo.output(Duration::from_secs(5))?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), "bad\n"));
    assert!(ended.stdout.starts_with("lo "), "{}", ended.stdout);

    let speaker = Program::new("/bin/sh").args(["-c", "echo Listening on 127.0.0.1:7; exec sleep 1000"]).start()?;
    assert_eq!(speaker.address()?, "127.0.0.1:7".parse().unwrap());
    assert_eq!(speaker.terminate()?.code, None);

    let slow = Program::new("/bin/sleep").args(["1000"]).output(Duration::from_millis(50)).unwrap_err();
    assert!(slow.to_string().contains("the end of sleep"), "{slow}");
    let mute = Program::new("/bin/true").start()?.address().unwrap_err();
    assert!(matches!(mute, LabError::Ended { .. }), "{mute}");
    Ok(())
}

#[test]
fn a_real_prometheus_scrapes_and_answers() -> Result {
    let lab = Lab::new()?;
    let host = lab.host("monitoring")?;
    let rules = lab.file("rules.yml", "groups: [{name: g, rules: [{record: twice_up, expr: 2 * up}]}]")?;
    // Nothing listens on port 9 of a namespace that nobody else is in.
    let job = Job { name: "absent", targets: &["127.0.0.1:9"] };
    let server = Prometheus::start(&lab, Some(&host), &[job], &[rules.to_str().unwrap()])?;
    let samples = server.query_until(r#"up{job="absent"}"#, Duration::from_secs(20), |samples| !samples.is_empty())?;
    assert_eq!((samples.len(), samples[0].value), (1, 0.0));
    assert_eq!(samples[0].labels["instance"], "127.0.0.1:9");
    server.query_until("twice_up", Duration::from_secs(20), |samples| samples.len() == 1)?;
    assert!(server.query("sum(").unwrap_err().to_string().contains("parse error"));
    Ok(())
}
