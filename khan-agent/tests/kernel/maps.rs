//! The eBPF maps of Cilium and Calico: what a test put in, connection by connection, against what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use khan_agent::flows::{Address, Choice, Details, Dump, Flow, NodeTables, Sink, Status, TableStats, Tcp, Which};
use khan_api::{Protocol, TcpState};
use khan_lab::ebpf::calico::Version;
use khan_lab::ebpf::cilium::Clock;
use khan_lab::ebpf::{Connection, DataPlane, Here, Maps, Stage, Way};
use khan_lab::seed::Closer;
use khan_lab::{BpfFs, Lab, Result, Seed};

/// Every flow of a reading, with its details.
#[derive(Debug, Default)]
struct Read(Vec<(Flow, Details)>);

impl Sink for Read {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn batch(&mut self) {}

    fn flow(&mut self, _: &Flow) {
        unreachable!("entries come with details");
    }

    fn entry(&mut self, flow: &Flow, details: impl FnOnce() -> Details) {
        self.0.push((*flow, details()));
    }
}

const PLANES: [DataPlane; 4] = [
    DataPlane::Calico(Version::Three),
    DataPlane::Calico(Version::Four),
    DataPlane::Cilium(Clock::Seconds),
    DataPlane::Cilium(Clock::Jiffies(250)),
];

/// Reads only the maps of this data plane.
fn dump(plane: DataPlane, maps: &Maps) -> Dump {
    let which = if matches!(plane, DataPlane::Calico(_)) { Which::Calico } else { Which::Cilium };
    Dump::new(NodeTables::new(Choice { which, bpf_fs: maps.root() }))
}

/// What a flow says, but for the time.
type Row = (u8, [SocketAddr; 4], Option<(TcpState, u8, u8)>, bool, Option<[u64; 2]>);

fn row((flow, details): &(Flow, Details)) -> Row {
    let end = |address: Address, port| SocketAddr::new(address.ip(), port);
    let (original, reply) = (flow.original, flow.reply);
    let ends = [
        end(original.src, original.src_port),
        end(original.dst, original.dst_port),
        end(reply.src, reply.src_port),
        end(reply.dst, reply.dst_port),
    ];
    let tcp = flow.tcp.map(|tcp| (tcp.state, tcp.flags_original, tcp.flags_reply));
    let bytes = details.bytes_sent.zip(details.bytes_received).map(|(sent, received)| [sent, received]);
    (flow.protocol, ends, tcp, flow.status.has(Status::SEEN_REPLY), bytes)
}

/// The row that a connection should have.
fn expected(plane: DataPlane, connection: &Connection) -> Row {
    let Connection { client, dialled, backend, .. } = *connection;
    let (state, flags) = match connection.stage {
        Stage::Opening => (TcpState::SynSent, (0, 0)),
        Stage::Answered => (TcpState::SynRecv, (0, 0)),
        Stage::Open => (TcpState::Established, (0, 0)),
        Stage::HalfClosed(Closer::Client) => (TcpState::CloseWait, (Tcp::CLOSE_INIT, 0)),
        Stage::HalfClosed(Closer::Server) => (TcpState::CloseWait, (0, Tcp::CLOSE_INIT)),
        Stage::Closed => (TcpState::TimeWait, (0, 0)),
        Stage::Reset => (TcpState::Close, (0, 0)),
    };
    let tcp = (connection.protocol == Protocol::Tcp).then_some((state, flags.0, flags.1));
    // Calico counts packets and bytes since version four; without packets, silence is not known of UDP.
    let answered = connection.stage != Stage::Opening || tcp.is_none() && plane == DataPlane::Calico(Version::Three);
    let bytes = (plane == DataPlane::Calico(Version::Four)).then(|| connection.traffic.map(|(_, bytes)| bytes));
    let ends = match plane {
        DataPlane::Calico(_) => [client, dialled, backend, connection.seen()],
        // The backend's node knows only what reaches it, unless it answers the client by itself.
        DataPlane::Cilium(_) if connection.here == Here::Backend && connection.way != Way::Dsr => {
            [client, backend, backend, client]
        }
        DataPlane::Cilium(_) => [client, dialled, backend, client],
    };
    (connection.protocol as u8, ends, tcp, answered, bytes)
}

fn pod(node: u8, last: u8, port: u16) -> SocketAddr {
    ([10, 65, node, last], port).into()
}

fn v6(last: u16, port: u16) -> SocketAddr {
    ([0xfd00, 0x65, 0, 0, 0, 0, 0, last], port).into()
}

/// Connections of every kind that count, on a node whose pods are 10.65.1.0/24.
fn connections() -> Vec<Connection> {
    let (service, outside) = (([10, 96, 0, 1], 80), ([203, 0, 113, 9], 40_000));
    let mut all = vec![
        Connection::tcp(pod(1, 2, 40_000), pod(2, 3, 8080)),
        // The same from the other end, whose address is the lower.
        Connection::tcp(pod(2, 3, 40_000), pod(1, 2, 8080)).here(Here::Backend),
        Connection::tcp(pod(1, 2, 40_001), service).backend(pod(2, 3, 8080)),
        Connection::tcp(pod(1, 9, 40_001), service).backend(pod(1, 3, 8080)).here(Here::Both),
        Connection::tcp(pod(1, 2, 40_002), service).backend(pod(1, 2, 8080)).here(Here::Both).way(Way::Hairpin),
        // A process of the node calls a service through Calico's own interface, which changes the source.
        Connection::tcp(([172, 18, 0, 1], 50_000), service).backend(pod(2, 3, 8080)).masqueraded_as(pod(1, 0, 50_001)),
        // A load balancer that leads to the backend's node.
        Connection::tcp(outside, ([172, 18, 0, 1], 30_080)).backend(pod(1, 2, 8080)).here(Here::Backend),
        Connection::tcp(v6(2, 40_000), v6(3, 8080)),
        Connection::tcp(v6(9, 40_000), v6(0x96, 80)).backend(v6(3, 8080)),
        Connection::udp(pod(1, 2, 5353), ([10, 96, 0, 10], 53)).backend(pod(2, 4, 53)).idle(30),
        Connection::udp(pod(1, 2, 5354), ([10, 96, 0, 10], 53)).backend(pod(2, 4, 53)).stage(Stage::Opening),
        Connection::udp(v6(2, 5353), v6(4, 53)),
        Connection::new(Protocol::Sctp, pod(1, 2, 2905), pod(2, 5, 2905)).idle(50),
        Connection::tcp(pod(1, 7, 1), pod(2, 3, 5432)).idle(3500),
    ];
    let stages = [
        Stage::Opening,
        Stage::Answered,
        Stage::HalfClosed(Closer::Client),
        Stage::HalfClosed(Closer::Server),
        Stage::Closed,
        Stage::Reset,
    ];
    all.extend(stages.into_iter().zip(1..).map(|(stage, n)| {
        Connection::tcp(pod(1, 8, 1000 + n), service).backend(pod(2, 3, 8080)).stage(stage).idle(u32::from(n))
    }));
    all
}

/// What is in the maps and is no connection any more, or one that another node counts.
fn others(plane: DataPlane) -> Vec<Connection> {
    let (outside, node_port) = (([203, 0, 113, 9], 50_000), ([172, 18, 0, 1], 30_080));
    let calico = matches!(plane, DataPlane::Calico(_));
    let over = |n: u16, idle| Connection::tcp(pod(1, 8, 2000 + n), pod(2, 3, 8080)).idle(idle);
    let mut others = vec![
        over(1, if calico { 3630 } else { 8100 }),
        over(2, if calico { 30 } else { 90 }).stage(Stage::Opening),
        over(3, 150).stage(Stage::Closed),
        over(4, 60).stage(Stage::Reset),
        Connection::udp(pod(1, 8, 2005), pod(2, 4, 53)).idle(90),
    ];
    if calico {
        let passes = Connection::tcp(outside, node_port).here(Here::Neither);
        others.push(passes.backend(pod(2, 3, 8080)).way(Way::NodePort));
        others.push(passes.backend(pod(2, 4, 8080)).way(Way::Dsr));
    }
    others
}

#[test]
fn every_connection_comes_once_as_it_was_put_in() -> Result {
    for plane in PLANES {
        let maps = Maps::new(plane, 4096)?;
        let (connections, began) = (connections(), Instant::now());
        connections.iter().chain(&others(plane)).try_for_each(|connection| maps.put(connection))?;
        // Nobody writes such an entry.
        match plane {
            DataPlane::Calico(version) => maps.put_bytes(version.map(false), &[0xff; 16], &[0xff; 88])?,
            DataPlane::Cilium(_) => maps.put_bytes("cilium_ct4_global", &[0xff; 14], &[0xff; 56])?,
        }
        let mut read = Read::default();
        let mut tables = dump(plane, &maps);
        let dumped = tables.run(&mut read).expect("maps of ours can be read");
        let evict = |table: &TableStats| table.evicts == (plane != DataPlane::Calico(Version::Three));
        assert!(tables.stats().expect("read").tables.iter().all(evict), "{plane:?}");
        // Clocks tick once a second or less often.
        let longest = u32::try_from(began.elapsed().as_secs()).expect("short") + 2;
        let mut wanted: BTreeMap<_, _> = connections.iter().map(|one| (expected(plane, one), one.idle)).collect();
        assert_eq!(wanted.len(), connections.len());
        for flow in &read.0 {
            let idle = wanted.remove(&row(flow)).unwrap_or_else(|| panic!("{plane:?}: not put in: {flow:?}"));
            let seen = flow.0.idle.expect("known");
            let near = idle.saturating_sub(2)..=idle + longest;
            assert!(near.contains(&seen), "{plane:?}: {seen} s instead of {idle} s: {flow:?}");
        }
        assert!(wanted.is_empty(), "{plane:?}: these did not come: {wanted:#?}");
        assert_eq!((dumped.flows, dumped.refused), (connections.len() as u64, 1), "{plane:?}");
    }
    Ok(())
}

/// Direct server return with Cilium: the node that takes a connection in only remembers where its packets go, and never sees
/// answers. The backend's tracks it.
#[test]
fn a_connection_that_is_answered_directly_counts_on_the_backends_node() -> Result {
    let plane = DataPlane::Cilium(Clock::Seconds);
    let [first, second] = [Maps::new(plane, 1000)?, Maps::new(plane, 1000)?];
    let outside = |port| SocketAddr::from(([203, 0, 113, 9], port));
    let front = |node| SocketAddr::from(([172, 18, 0, node], 30_080));
    // From one socket to the node ports of two nodes; over IPv6; by UDP.
    let connections = [
        Connection::tcp(outside(50_000), front(1)).backend(pod(2, 3, 8080)),
        Connection::tcp(outside(50_000), front(3)).backend(pod(2, 4, 8080)),
        Connection::tcp(v6(0x99, 50_000), v6(0x96, 80)).backend(v6(3, 8080)),
        Connection::udp(outside(50_001), front(1)).backend(pod(2, 4, 53)),
    ]
    .map(|one| one.way(Way::Dsr));
    // Cilium before 1.19: no address, but the number of an interface.
    let before = Connection::tcp(outside(50_002), front(1)).backend(pod(2, 3, 8080)).way(Way::Dsr);
    for one in connections.iter().chain([&before]) {
        first.put(&one.here(Here::Neither))?;
        second.put(&one.here(Here::Backend))?;
    }
    for mut entry in second.entries(&before.here(Here::Backend)) {
        entry.value[..16].fill(0);
        entry.value[40..42].copy_from_slice(&2_u16.to_ne_bytes());
        second.put_bytes(entry.map, &entry.key, &entry.value)?;
    }
    let [mut entrance, mut exit] = [Read::default(), Read::default()];
    for (maps, read) in [(&first, &mut entrance), (&second, &mut exit)] {
        let tables = dump(plane, maps).run(read).expect("maps of ours can be read");
        assert_eq!((tables.flows, tables.refused), (read.0.len() as u64, 0));
    }
    assert!(entrance.0.is_empty(), "counted twice: {entrance:?}");
    let rows: BTreeSet<_> = exit.0.iter().map(row).collect();
    let unnamed = Connection { dialled: before.backend, ..before };
    let wanted = connections.iter().chain([&unnamed]).map(|one| expected(plane, &one.here(Here::Backend)));
    assert_eq!(rows, wanted.collect());
    assert_eq!(exit.0.len(), rows.len());
    Ok(())
}

/// What stays comes once in every reading; what comes and goes, at most once.
#[test]
fn maps_that_change_while_they_are_read() -> Result {
    for plane in [DataPlane::Calico(Version::Four), DataPlane::Cilium(Clock::Seconds)] {
        let maps = Maps::new(plane, 16_384)?;
        let of = |client: u8, n: u16| {
            Connection::tcp(pod(1, client, n), ([10, 96, 0, 1], 80)).backend(pod(1, 3, 8080)).here(Here::Both)
        };
        (1..=2000).try_for_each(|n| maps.put(&of(2, n)))?;
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut rounds = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    (1..=500).try_for_each(|n| maps.put(&of(9, n)))?;
                    (1..=500).try_for_each(|n| maps.remove(&of(9, n)))?;
                    rounds += 1;
                }
                Result::Ok(rounds)
            });
            let mut dump = dump(plane, &maps);
            // Until the maps have changed under several readings.
            for _ in 0..10 {
                let mut read = Read::default();
                dump.run(&mut read).expect("maps of ours can be read");
                let mut ports = BTreeMap::new();
                for (flow, _) in &read.0 {
                    *ports.entry((flow.original.src, flow.original.src_port)).or_insert(0) += 1;
                }
                assert!(ports.values().all(|times| *times == 1), "{plane:?}: one came twice");
                let stayed = ports.keys().filter(|(address, _)| address.ip() == pod(1, 2, 0).ip()).count();
                assert_eq!(stayed, 2000, "{plane:?}");
            }
            done.store(true, Ordering::Relaxed);
            assert!(writer.join().expect("no panic")? > 0, "{plane:?}");
            Result::Ok(())
        })?;
    }
    Ok(())
}

/// The kernel masquerades what leaves the cluster, between the two entries that Calico has of it.
#[test]
fn what_the_kernel_has_too_counts_once() -> Result {
    let lab = Lab::new()?;
    let (node, maps) = (lab.host("node")?, Maps::new(DataPlane::Calico(Version::Four), 64)?);
    let (outside, own) = (SocketAddr::from(([203, 0, 113, 9], 443)), SocketAddr::from(([172, 18, 0, 1], 61_000)));
    let masqueraded = Connection::tcp(pod(1, 2, 40_000), outside).masqueraded_as(own);
    let only_there = Connection::tcp(pod(1, 2, 40_001), ([10, 96, 0, 1], 80)).backend(pod(2, 3, 8080));
    [masqueraded, only_there].iter().try_for_each(|connection| maps.put(connection))?;
    node.seed([Seed::tcp(masqueraded.client, outside).masqueraded_as(own)])?;
    let mut dump = Dump::new(NodeTables::new(Choice { which: Which::Auto, bpf_fs: maps.root() }));
    let mut read = Read::default();
    node.enter(|| dump.run(&mut read)).expect("both can be read");
    let ends: Vec<_> = read.0.iter().map(|(flow, _)| (flow.original.src_port, flow.reply.dst_port)).collect();
    assert_eq!(ends, [(40_000, 61_000), (40_001, 40_001)], "the kernel's entry first, which says more");
    Ok(())
}

#[test]
fn a_map_of_another_size_is_not_read_and_a_newer_one_hides_an_older() -> Result {
    let file_system = BpfFs::new()?;
    let pins = file_system.globals()?;
    let mut dump = Dump::new(NodeTables::new(Choice { which: Which::Calico, bpf_fs: file_system.path() }));
    let mut why = || dump.run(&mut Read::default()).map(drop).map_err(|error| error.to_string());
    assert!(why().expect_err("nothing is there").contains("no connection table of Calico is pinned in "));
    let make = |name, value| {
        let map = khan_bpf::Map::create(khan_bpf::Kind::LruHash, 16, value, 64).expect("this takes root");
        map.pin(pins.join(name)).expect("a file system of ours");
    };
    make("cali_v4_ct3", 88);
    assert_eq!(why(), Ok(()));
    make("cali_v4_ct4", 96);
    assert!(why().expect_err("another size").contains("cali_v4_ct4 has values of 96 bytes; Khan knows 88"));
    Ok(())
}
