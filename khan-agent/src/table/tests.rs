use std::net::IpAddr;

use khan_api::TcpState;

use super::*;
use crate::flows::{Status, Tcp, Tuple};

fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().unwrap())
}

/// A TCP flow from `client` to `service`, answered by `backend`.
fn flow(client: &str, src_port: u16, service: &str, backend: &str) -> Flow {
    let (client, service, backend) = (address(client), address(service), address(backend));
    Flow {
        original: Tuple { src: client, dst: service, src_port, dst_port: 80 },
        reply: Tuple { src: backend, dst: client, src_port: 8080, dst_port: src_port },
        protocol: 6,
        status: Status(Status::SEEN_REPLY | Status::ASSURED),
        timeout: Some(100),
        tcp: Some(Tcp { state: TcpState::Established, ..Tcp::default() }),
        zone: 0,
        idle: None,
    }
}

/// Whether the dump must begin again.
fn fold(table: &mut Table, datagrams: &[&[Flow]]) -> bool {
    table.begin();
    let mut again = false;
    for datagram in datagrams {
        table.batch();
        for flow in *datagram {
            table.flow(flow);
        }
        again |= table.settle();
    }
    again
}

/// Client, service address, backend and count of every row.
fn rows(table: &Table) -> Vec<([IpAddr; 3], u32)> {
    let v4 = table.v4().iter().map(|c| ([c.client, c.service, c.backend].map(Address::from_v4), c.count));
    let v6 = table.v6().iter().map(|c| ([c.client, c.service, c.backend].map(Address::from_v6), c.count));
    let mut rows: Vec<_> =
        v4.chain(v6).filter(|row| row.1 > 0).map(|(ends, count)| (ends.map(Address::ip), count)).collect();
    rows.sort_unstable();
    rows
}

fn ips(texts: [&str; 3]) -> [IpAddr; 3] {
    texts.map(|text| text.parse().unwrap())
}

#[test]
fn connections_to_one_backend_are_one_row() {
    let mut table = Table::new(Settings::default());
    let flows: Vec<Flow> = (0..50_u16)
        .flat_map(|n| {
            [
                flow("10.1.0.1", 40_000 + n, "10.96.0.1", "10.1.0.2"),
                flow("fd00::1", 40_000 + n, "fd00:96::1", "fd00::2"),
            ]
        })
        .chain([flow("10.1.0.1", 40_000, "10.96.0.1", "10.1.0.3")].map(|mut other| {
            other.original.src_port = 39_999;
            other
        }))
        .collect();
    for _ in 0..2 {
        fold(&mut table, &[&flows]);
        assert_eq!(
            rows(&table),
            [
                (ips(["10.1.0.1", "10.96.0.1", "10.1.0.2"]), 50),
                (ips(["10.1.0.1", "10.96.0.1", "10.1.0.3"]), 1),
                (ips(["fd00::1", "fd00:96::1", "fd00::2"]), 50)
            ]
        );
        assert_eq!(table.counts().connections, 101);
        assert_eq!(table.counts().protocols[6], 101);
    }
}

#[test]
fn what_a_bucket_begun_anew_repeats_counts_once() {
    let mut table = Table::new(Settings::default());
    let flows: Vec<Flow> = (0..100).map(|n| flow("10.1.0.1", 40_000 + n, "10.96.0.1", "10.1.0.2")).collect();
    // The second datagram begins with a new entry of the bucket and those of it that were sent before.
    let again = [&[flow("10.9.9.9", 1, "10.96.0.1", "10.1.0.2")], &flows[97..]].concat();
    fold(&mut table, &[&flows, &again]);
    assert_eq!((table.counts().connections, table.counts().seen_twice), (101, 3));
    // In another dump they are no repetition.
    fold(&mut table, &[&flows]);
    assert_eq!((table.counts().connections, table.counts().seen_twice), (100, 0));
}

#[test]
fn one_connection_in_several_zones_is_one_whatever_their_order() {
    let in_zone = |zone, flow: Flow| Flow { zone, ..flow };
    let nat = flow("10.1.0.1", 40_000, "10.96.0.1", "10.1.0.2");
    let mut plain = flow("10.1.0.1", 40_000, "10.96.0.1", "10.96.0.1");
    plain.reply.src_port = 80;
    let other = flow("10.1.0.1", 40_001, "10.96.0.1", "10.1.0.2");
    let mut flows = vec![in_zone(0, plain), in_zone(5, nat), in_zone(7, plain), in_zone(9, other)];
    for _ in 0..flows.len() {
        flows.rotate_left(1);
        let mut table = Table::new(Settings::default());
        assert!(fold(&mut table, &[&flows]), "zones must be met prepared");
        assert!(!fold(&mut table, &[&flows]));
        assert_eq!(rows(&table), [(ips(["10.1.0.1", "10.96.0.1", "10.1.0.2"]), 2)]);
        assert_eq!((table.counts().connections, table.counts().other_zones), (2, 2));
    }
    let mut only = Table::new(Settings { only_zone: Some(7), ..Settings::default() });
    fold(&mut only, &[&flows]);
    assert_eq!(rows(&only), [(ips(["10.1.0.1", "10.96.0.1", "10.96.0.1"]), 1)]);
}

#[test]
fn a_flow_picked_up_the_wrong_way_round_is_turned() {
    let liberal = Some(Tcp { state: TcpState::Established, flags_original: 0x0a, flags_reply: 0x0a });
    let straight = |src_port, dst_port, tcp| {
        let mut flow = flow("10.1.0.1", src_port, "10.1.0.2", "10.1.0.2");
        (flow.original.dst_port, flow.reply.src_port, flow.tcp) = (dst_port, dst_port, tcp);
        flow
    };
    let mut table = Table::new(Settings::default());
    let handshake = Some(Tcp { state: TcpState::Established, ..Tcp::default() });
    for (flow, turned) in [
        (straight(5432, 45_000, liberal), true),
        (straight(45_000, 5432, liberal), false),
        // A server on a high port, and one whose handshake was seen.
        (straight(50_000, 40_000, liberal), false),
        (straight(5432, 45_000, handshake), false),
    ] {
        fold(&mut table, &[&[flow]]);
        let ends = if turned { ["10.1.0.2", "10.1.0.1", "10.1.0.1"] } else { ["10.1.0.1", "10.1.0.2", "10.1.0.2"] };
        assert_eq!((rows(&table), table.counts().turned), (vec![(ips(ends), 1)], u64::from(turned)), "{flow:?}");
        let port = if turned { flow.original.src_port } else { flow.original.dst_port };
        assert_eq!((table.v4()[0].port, table.v4()[0].backend_port), (port, port));
    }
}

#[test]
fn what_is_older_than_the_owner_of_its_address_counts_apart() {
    let idle = |seconds: u32, n| Flow { idle: Some(seconds), ..flow("10.1.0.1", n, "10.96.0.1", "10.1.0.2") };
    let flows = [idle(5, 1), idle(50, 2), idle(51, 3), idle(500, 4)];
    let ages = |ages: &[(&str, u32)]| OwnershipAges::new(ages.iter().map(|(ip, age)| (address(ip), *age)).collect());
    let gone = |table: &Table| -> Vec<_> { table.v4().iter().map(|row| (row.class.gone(), row.count)).collect() };

    let mut table = Table::new(Settings { idle_threshold: 5000, ..Settings::default() });
    table.prepare(OwnershipAges::default());
    fold(&mut table, &[&flows]);
    assert!(gone(&table).iter().all(|(gone, _)| *gone == [false; 3]));
    // The owner became known after the dump: too young for some, old enough for all, somebody else's.
    let young = ages(&[("10.1.0.1", 50), ("10.1.0.2", 400)]);
    assert!(table.outdated(&young));
    assert!(!table.outdated(&ages(&[("10.1.0.1", 500)])));
    assert!(!table.outdated(&ages(&[("10.1.0.9", 1)])));

    table.prepare(young.clone());
    fold(&mut table, &[&flows]);
    let mut rows = gone(&table);
    rows.sort_unstable();
    let both = [true, false, true];
    assert_eq!(rows, [([false; 3], 2), ([true, false, false], 1), (both, 1)]);
    assert!(!table.outdated(&young));
}

/// Entries of the pairs `0..pairs`, from a client and to a service that `ends` make of the pair's number.
fn pairs(pairs: u32, ends: impl Fn(u32) -> [Address; 2]) -> Vec<Flow> {
    let pair = |n| {
        let mut flow = flow("10.1.0.1", 1000, "10.96.0.1", "10.1.0.2");
        [flow.original.src, flow.original.dst] = ends(n);
        flow.reply.src = flow.original.dst;
        flow
    };
    (0..pairs).map(pair).collect()
}

/// A pair of many connections that differ in the client's port.
fn large(client: &str, connections: u16) -> Vec<Flow> {
    (1..=connections).map(|n| flow(client, n, "10.96.0.9", "10.1.0.9")).collect()
}

fn datagrams(flows: &[Flow]) -> Vec<&[Flow]> {
    flows.chunks(50).collect()
}

fn count_of(table: &Table, client: &str) -> u32 {
    rows(table).iter().find(|row| row.0[0] == client.parse::<IpAddr>().unwrap()).map_or(0, |row| row.1)
}

#[test]
fn rows_are_bounded_and_their_sum_is_exact() {
    let four = |n: u32| [0x1400_0000 + n, 0x1500_0000 + n.wrapping_mul(7919) % 60_000].map(Address::from_v4);
    let six = |n: u32| [1 + u128::from(n), (1 << 90) + u128::from(n)].map(Address::from_v6);
    let mut table = Table::new(Settings { most_rows: 1000, ..Settings::default() });
    for flows in [pairs(60_000, four), pairs(60_000, six), [pairs(30_000, four), pairs(30_000, six)].concat()] {
        fold(&mut table, &datagrams(&flows));
        let held = table.v4().len() + table.v6().len();
        assert!(held <= 1000 + 50, "{held} rows");
        let (v4, v6) = (table.v4().iter().map(|row| row.count), table.v6().iter().map(|row| row.count));
        assert_eq!(v4.chain(v6).sum::<u32>(), 60_000);
        assert!(table.summed() >= 60_000 - 1050, "{} in sums", table.summed());
        assert!(table.lost() <= 32 * 60_000 / 3 / 1000, "{} lost", table.lost());
        table.remember();
    }
    fold(&mut table, &datagrams(&pairs(900, four)));
    assert_eq!((table.v4().len(), table.lost(), table.summed()), (900, 0, 0));
}

/// Wherever a pair stands in the dump, and whatever comes before, between and after it.
#[test]
fn a_large_pair_keeps_its_row_in_any_order() {
    let flood = pairs(60_000, |n| [0x1400_0000 + n, 0x1500_0000 + n].map(Address::from_v4));
    let large = large("10.9.9.9", 800);
    let spread: Vec<Flow> =
        flood.chunks(75).zip(large.chunks(1)).flat_map(|(flood, large)| [flood, large].concat()).collect();
    for (name, flows) in
        [("first", [&large[..], &flood].concat()), ("last", [&flood[..], &large].concat()), ("spread", spread)]
    {
        let mut table = Table::new(Settings { most_rows: 1000, ..Settings::default() });
        fold(&mut table, &datagrams(&flows));
        let (count, lost) = (count_of(&table, "10.9.9.9"), table.lost());
        assert!(lost < 200, "{lost} lost");
        assert!((800 - lost..=800).contains(&count), "{name}: {count} of 800, and {lost} lost");
        table.remember();
        fold(&mut table, &datagrams(&flows));
        assert_eq!(count_of(&table, "10.9.9.9"), 800, "{name}: known from the scan before");
    }
}

#[test]
fn what_many_share_stays_in_their_sum() {
    let clients = |table: &Table, many: [bool; 2]| -> u32 {
        table.v4().iter().filter(|row| row.class.many() == many).map(|row| row.count).sum()
    };
    let mut table = Table::new(Settings { most_rows: 1000, ..Settings::default() });
    let scan = pairs(20_000, |n| [0x0a01_0001, 0x1500_0000 + n].map(Address::from_v4));
    fold(&mut table, &datagrams(&scan));
    assert!(clients(&table, [false, true]) > 18_000, "one client, many servers");
    assert_eq!(clients(&table, [true, true]), 0);
    let flood = pairs(20_000, |n| [0x1400_0000 + n, 0x0a01_0001].map(Address::from_v4));
    fold(&mut table, &datagrams(&flood));
    assert!(clients(&table, [true, false]) > 18_000, "many clients, one server");
    assert!(table.v4().iter().any(|row| row.class.many() == [true, false] && row.service == 0x0a01_0001));
}

#[test]
fn clients_of_different_homes_are_summed_apart() {
    let mut table = Table::new(Settings { most_rows: 1000, ..Settings::default() });
    table.set_homes(Homes::new(|client, _| u32::from(client.bits() & 1 == 1)));
    let flows = pairs(20_000, |n| [0x1400_0000 + n, 0x1500_0000 + n].map(Address::from_v4));
    fold(&mut table, &datagrams(&flows));
    let mut of = [0; 2];
    for row in table.v4() {
        let home = if row.class.many()[0] { row.client } else { row.client & 1 };
        of[home as usize] += row.count;
    }
    assert_eq!(of, [10_000; 2]);
}

/// Entries in zones are followed to the rows and sums into which theirs went.
#[test]
fn twins_in_other_zones_are_found_after_rows_were_given_up() {
    let plain = pairs(20_000, |n| [0x1400_0000 + n, 0x1500_0000 + n].map(Address::from_v4));
    let mut flows = plain.clone();
    flows.extend(plain.iter().map(|flow| {
        // With NAT, so that it speaks for the connection instead of the first.
        let mut better = Flow { zone: 5, ..*flow };
        better.reply.src = address("10.1.0.7");
        better
    }));
    let mut table = Table::new(Settings { most_rows: 1000, ..Settings::default() });
    assert!(fold(&mut table, &datagrams(&flows)), "zones must be met prepared");
    assert!(!fold(&mut table, &datagrams(&flows)));
    assert_eq!(table.v4().iter().map(|row| row.count).sum::<u32>(), 20_000);
    assert_eq!((table.counts().connections, table.counts().other_zones), (20_000, 20_000));
}

#[test]
fn memory_comes_back_after_a_peak() {
    let mut table = Table::new(Settings::default());
    let peak: Vec<Flow> = (0..40_000_u32)
        .map(|n| {
            let mut flow = flow("10.1.0.1", 1000, "10.96.0.1", "10.1.0.2");
            flow.original.src = Address::from_v4(0x0a00_0000 + n);
            flow
        })
        .collect();
    let few = &peak[..10];
    fold(&mut table, &[&peak]);
    assert_eq!(table.v4().len(), 40_000);
    let held = table.v4.memory();
    for _ in 0..3 {
        fold(&mut table, &[few]);
        table.clear();
    }
    assert!(table.v4.memory() * 8 < held, "{} of {held} bytes are still held", table.v4.memory());
}
