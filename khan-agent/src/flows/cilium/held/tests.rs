//! Entries of every kind, and the connections they are of.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn entry(client: u32, client_port: u16, server: u32, notes: u8, index: u16) -> Entry<u32> {
    Entry { client, server, client_port, port: 80, index, protocol: 6, notes, idle: client }
}

const SERVICE: u8 = Entry::<u32>::SERVICE;
const BEGUN: u8 = Entry::<u32>::BEGUN;
const REPLIED: u8 = Entry::<u32>::REPLIED;

/// Client, its port, and server.
type Ends = (u32, u16, u32);
/// Notes and idle time of a connection, and what was dialled.
type Found = (u8, u32, Option<u32>);

/// All connections in as many walks as it takes: what came of each, which must be once, and the walks.
fn walks(entries: &[Entry<u32>], most: usize) -> (BTreeMap<Ends, Found>, u32) {
    let (mut held, mut found, mut walks) = (Held::with_room(0x1234_5678_9abc_def1, most), BTreeMap::new(), 0);
    loop {
        walks += 1;
        for entry in entries {
            assert!(held.add(*entry));
            assert!(held.entries.len() <= most);
        }
        let again = held.connections(|one, dialled| {
            let ends = (one.client, one.client_port, one.server);
            let before = found.insert(ends, (one.notes, one.idle, dialled.map(|(address, _)| address)));
            if before.is_none() { Ok(()) } else { Err(ends) }
        });
        if !again.expect("each comes once") {
            return (found, walks);
        }
    }
}

#[test]
fn a_connection_is_one_in_one_walk_and_in_many() {
    let mut entries = Vec::new();
    for n in 0..3000_u16 {
        let (client, port) = (u32::from(n % 500), 30_000 + n / 500);
        entries.extend([
            entry(client, port, 7, BEGUN, 3),
            entry(client, port, 7, REPLIED, 0),
            entry(client, port, 99, SERVICE, 3),
        ]);
    }
    assert!(Held::<u32>::new(1).most >= 1_000_000, "a million take one walk");
    // What was dialled takes no room.
    for (most, least) in [(6000, 1), (5999, 2), (500, 12), (60, 100)] {
        let (found, walks) = walks(&entries, most);
        let alike = |((client, ..), found): (&Ends, &Found)| *found == (BEGUN | REPLIED, *client, Some(99));
        assert!(found.len() == 3000 && found.iter().all(alike), "{most}");
        assert!((least..40 * least).contains(&walks), "{walks} walks with room for {most}");
        assert!(least > 1 || walks == 1);
    }
}

#[test]
fn the_service_with_the_connections_number_is_what_was_dialled() {
    let entries = [
        // A socket that asks three servers, two of them through services.
        entry(1, 5000, 99, SERVICE, 4),
        entry(1, 5000, 12, BEGUN, 4),
        entry(1, 5000, 98, SERVICE, 9),
        entry(1, 5000, 11, BEGUN, 9),
        entry(1, 5000, 13, BEGUN, 0),
        // A service alone is no connection, and one whose own entry was evicted is known by its number.
        entry(2, 5000, 99, SERVICE, 4),
        entry(3, 5000, 12, BEGUN, 9),
        entry(3, 5000, 14, BEGUN, 5),
        // The number stood for another address once.
        entry(4, 5000, 97, SERVICE, 4),
        entry(4, 5000, 12, BEGUN, 4),
    ];
    let (found, _) = walks(&entries, 100);
    let found: Vec<_> =
        found.into_iter().map(|((client, _, server), (.., dialled))| (client, server, dialled)).collect();
    assert_eq!(
        found,
        [(1, 11, Some(98)), (1, 12, Some(99)), (1, 13, None), (3, 12, Some(98)), (3, 14, None), (4, 12, Some(97))]
    );
}

#[test]
fn what_a_direct_answer_comes_from_is_what_was_dialled() {
    let mut held = Held::new(1);
    for (port, front) in [(5000, (99, 30_080)), (5001, (98, 30_080)), (5002, (99, 30_080))] {
        let entry = held.directly(entry(1, port, 12, BEGUN, 0), front);
        assert!(held.add(entry) && held.add(self::entry(1, port, 12, REPLIED, 0)));
    }
    // Cilium's numbers are others.
    assert!(held.add(entry(1, 5000, 97, SERVICE, 1)));
    let mut found = Vec::new();
    let again = held.connections(|one, dialled| {
        found.push((one.client_port, one.notes & REPLIED, dialled));
        Ok::<(), ()>(())
    });
    assert_eq!(again, Ok(false));
    let [near, far] = [99, 98].map(|front| Some((front, 30_080)));
    assert_eq!(found, [(5000, REPLIED, near), (5001, REPLIED, far), (5002, REPLIED, near)]);
}

proptest! {
    /// The same as joining by looking at every entry for each connection.
    #[test]
    fn any_entries_are_joined_as_the_plainest_way_would(
        keys in proptest::collection::vec((0..4_u32, 0..2_u16, 0..4_u32, 0..3_u8, 0..3_u16, 0..40_u32), 0..60),
        most in 6_usize..60,
    ) {
        let mut seen = std::collections::HashSet::new();
        let mut entries = Vec::new();
        for (client, port, server, role, index, idle) in keys {
            // A map has each key once; a socket is never larger than the room.
            if seen.insert((client, port, server, role)) {
                let (notes, index) = [(SERVICE, index), (BEGUN, index), (REPLIED, 0)][usize::from(role)];
                entries.push(Entry { idle, ..entry(client, 4000 + port, server, notes, index) });
            }
        }
        let service = |one: &&Entry<u32>, index: u16| one.notes == SERVICE && one.index == index;
        let mut want = BTreeMap::new();
        for one in entries.iter().filter(|one| one.notes != SERVICE) {
            let same = entries.iter().filter(|other| {
                other.notes != SERVICE && other.same_socket(one) && other.server == one.server
            });
            let notes = same.clone().fold(0, |notes, other| notes | other.notes);
            let index = same.clone().map(|other| other.index).max().unwrap_or(0);
            let usual = entries.iter().find(|other| service(other, index)).map(|other| other.server);
            let own = entries.iter().filter(|other| service(other, index) && other.same_socket(one));
            let other = own.map(|other| other.server).filter(|server| Some(*server) != usual).min();
            let dialled = if index == 0 { None } else { other.or(usual) };
            let idle = same.map(|other| other.idle).min().unwrap_or(0);
            want.insert((one.client, one.client_port, one.server), (notes, idle, dialled));
        }
        // A socket's entries: at most four of each kind.
        prop_assert_eq!(walks(&entries, most.max(12)).0, want);
    }
}

#[test]
fn a_socket_that_does_not_fit_is_refused_in_part() {
    let (mut held, mut refused, mut came) = (Held::with_room(1, 10), 0, 0);
    loop {
        refused += (0..100).filter(|n| !held.add(entry(1, 5000, 10 + *n, BEGUN, 0))).count();
        let again = held.connections(|_, _| {
            came += 1;
            Ok::<(), ()>(())
        });
        if !again.unwrap() {
            break;
        }
    }
    assert_eq!((came, refused), (10, 90));
}
