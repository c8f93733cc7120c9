//! Against the kernel's own maps: made, pinned in a private BPF file system, read while they change.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use khan_bpf::{Buffers, Info, Kind, Map, Walked};
use khan_lab::BpfFs;

const KINDS: [Kind; 2] = [Kind::Hash, Kind::LruHash];

fn key(n: u32) -> [u8; 14] {
    let mut key = [7; 14];
    key[..4].copy_from_slice(&n.to_be_bytes());
    key
}

fn value(n: u32) -> [u8; 56] {
    let mut value = [0; 56];
    value[52..].copy_from_slice(&n.to_be_bytes());
    value
}

/// A map of Cilium's sizes with the entries `0..entries`.
fn map(kind: Kind, max: u32, entries: u32) -> Map {
    let map = Map::create(kind, 14, 56, max).expect("making eBPF maps takes root");
    (0..entries).for_each(|n| map.update(&key(n), &value(n)).unwrap());
    map
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// How often each key came.
fn walk(map: &Map, buffers: &mut Buffers) -> (BTreeMap<u32, u32>, Walked) {
    let mut seen = BTreeMap::new();
    let walked = map.walk(buffers, |key, value| {
        assert_eq!(key[..4], value[52..], "the value of this key");
        *seen.entry(number(&key[..4])).or_default() += 1;
        ControlFlow::Continue(())
    });
    (seen, walked.unwrap())
}

#[test]
fn a_walk_yields_every_entry_once() {
    for kind in KINDS {
        for entries in [0, 1, 5_000, 50_000] {
            let map = map(kind, 2 * entries.max(1), entries);
            let (seen, walked) = walk(&map, &mut Buffers::default());
            assert_eq!(walked.entries, u64::from(entries), "{kind:?}");
            assert!(seen.keys().copied().eq(0..entries) && seen.values().all(|times| *times == 1), "{kind:?}");
        }
    }
}

#[test]
fn buckets_may_be_larger_than_the_buffers() {
    for kind in KINDS {
        // Nearly as many entries as buckets: some share one. Not as many: each processor that has inserted into an LRU map keeps
        // 128 free places to itself (`LOCAL_FREE_TARGET`), so that the map evicts before it is full.
        let map = map(kind, 8192, 6000);
        let (seen, walked) = walk(&map, &mut Buffers::with_room(1));
        assert_eq!((seen.len() as u64, walked.entries), (6000, 6000), "{kind:?}");
        assert!(walked.batches > 100, "small buffers stay small: {walked:?}");
    }
    // Buffers grown for one map serve another with other sizes.
    let (small, large) = (map(Kind::Hash, 64, 64), Map::create(Kind::Hash, 40, 128, 64).unwrap());
    (0..64).for_each(|n: u8| large.update(&[n; 40], &[n; 128]).unwrap());
    let mut buffers = Buffers::with_room(8);
    for _ in 0..2 {
        assert_eq!(walk(&small, &mut buffers).0.len(), 64);
        let walked = large.walk(&mut buffers, |key, value| {
            assert!(key.iter().chain(value).all(|byte| *byte == key[0]));
            ControlFlow::Continue(())
        });
        assert_eq!(walked.unwrap().entries, 64);
    }
}

#[test]
fn a_walk_can_be_left() {
    let (map, mut taken) = (map(Kind::Hash, 5_000, 5_000), 0);
    map.walk(&mut Buffers::default(), |_, _| {
        taken += 1;
        if taken == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(taken, 3);
}

#[test]
fn nothing_comes_twice_while_the_map_changes() {
    const STAY: u32 = 2_000;
    for (kind, max) in [(Kind::Hash, 1 << 16), (Kind::LruHash, 4_096)] {
        let (map, rounds, ended) = (map(kind, max, STAY), AtomicU32::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                // Added, removed and added again; an LRU map, which is too small for them, evicts as well.
                while !ended.load(Ordering::Relaxed) {
                    for n in STAY..STAY + 8_000 {
                        map.update(&key(n), &value(n)).unwrap();
                        if n % 3 == 0 {
                            map.delete(&key(n)).unwrap();
                        }
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
            // Small batches, so that much changes between them.
            let (mut buffers, mut walks, mut twice, mut missed) = (Buffers::with_room(16), 0, 0, 0);
            while walks < 20 || rounds.load(Ordering::Relaxed) < 20 {
                let (seen, _) = walk(&map, &mut buffers);
                twice += seen.values().filter(|times| **times > 1).count();
                missed += STAY as usize - seen.range(..STAY).count();
                walks += 1;
            }
            ended.store(true, Ordering::Relaxed);
            assert_eq!(twice, 0, "{kind:?}");
            assert!(kind == Kind::LruHash || missed == 0, "what stays is seen");
        });
    }
}

#[test]
fn single_entries_are_looked_up_and_removed() {
    let map = map(Kind::LruHash, 64, 10);
    let mut found = [0; 56];
    assert!(map.lookup(&key(3), &mut found).unwrap());
    assert_eq!(found, value(3));
    assert!(map.delete(&key(3)).unwrap() && !map.delete(&key(3)).unwrap());
    assert!(!map.lookup(&key(3), &mut found).unwrap());
    for (key, value) in [(&key(1)[1..], &mut found[..]), (&key(1)[..], &mut [0; 57])] {
        assert_eq!(map.lookup(key, value).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(map.update(key, value).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(map.delete(&[0; 15]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn pins_are_opened_for_reading_only() {
    let system = BpfFs::new().unwrap();
    let path = system.globals().unwrap().join("cilium_ct4_global");
    map(Kind::LruHash, 1_000, 500).pin(&path).unwrap();
    let pinned = Map::open(&path).unwrap();
    assert_eq!(pinned.info(), Info { kind: Kind::LruHash, key_size: 14, value_size: 56, max_entries: 1_000 });
    assert_eq!(walk(&pinned, &mut Buffers::default()).1.entries, 500);
    assert_eq!(pinned.update(&key(1), &value(1)).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(pinned.delete(&key(1)).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn what_cannot_be_read_says_why() {
    let system = BpfFs::new().unwrap();
    let folder = system.globals().unwrap();
    assert_eq!(Map::open(folder.join("absent")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Map::open(&folder).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(
        Map::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(Map::open("a\0b").unwrap_err().kind(), ErrorKind::InvalidInput);
    // BPF_MAP_TYPE_PERCPU_HASH: a value of each CPU, so more than a value's size.
    let path = folder.join("per_cpu");
    Map::create(Kind::Other(5), 14, 56, 10).unwrap().pin(&path).unwrap();
    let map = Map::open(&path).unwrap();
    assert_eq!(map.info().kind, Kind::Other(5));
    let walked = map.walk(&mut Buffers::default(), |_, _| ControlFlow::Continue(()));
    for error in [walked.unwrap_err(), map.lookup(&key(1), &mut value(1)).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "maps of type 5 are not read: only hash (1) and LRU hash (9) are");
    }
}
