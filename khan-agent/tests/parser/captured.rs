//! Dumps that a kernel wrote: the ones kept beside this file, named by the kernel's version, and one of the kernel that
//! this runs on.

use std::fs;
use std::path::PathBuf;

use khan_agent::flows::netlink::link::{Kernel, Link};
use khan_agent::flows::netlink::{parse, request};
use khan_api::TcpState;
use khan_lab::seed::Closer;
use khan_lab::{Lab, Result, Seed, traffic};

use crate::oracle;
use crate::script::{Kept, entries, run};

/// Set to a path, writes this kernel's dump there.
const WRITE: &str = "KHAN_WRITE_DUMP";
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr` and the errno that ends a dump.
const DONE: usize = 20;

/// How many entries a dump has, which both readers must understand alike.
fn agree(datagrams: &[&[u8]]) -> usize {
    let mut kept = Kept::default();
    let dumped = run(datagrams, &mut kept).expect("a whole dump");
    assert_eq!(dumped.refused, 0);
    let entries = entries(datagrams);
    assert_eq!(kept.0.len(), entries.len());
    for (flow, attributes) in kept.0.iter().zip(&entries) {
        assert_eq!(Some(*flow), oracle::flow(attributes), "{attributes:02x?}");
        assert_eq!(Ok(*flow), parse::general(attributes));
    }
    kept.0.len()
}

fn corpus() -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parser/corpus");
    let files = fs::read_dir(folder).expect("the corpus is a folder beside this file");
    let paths = files.map(|file| file.expect("an entry of the folder").path());
    paths.map(|path| (path.clone(), fs::read(path).expect("a file of the corpus")))
}

#[test]
fn the_corpus_is_read_alike() {
    let entries: usize = corpus().map(|(_, bytes)| agree(&[&bytes])).sum();
    assert!(entries >= 20, "the corpus holds {entries} entries");
}

/// Cut anywhere, a dump is an error.
#[test]
fn no_cut_is_taken_for_an_end() {
    for (path, bytes) in corpus() {
        for len in 0..bytes.len() {
            let mut kept = Kept::default();
            assert!(run(&[&bytes[..len]], &mut kept).is_err(), "{len} bytes of {}", path.display());
        }
    }
}

#[test]
fn this_kernels_entries_are_read_alike() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.sysctl("net.netfilter.nf_conntrack_acct", "1")?;
    node.sysctl("net.netfilter.nf_conntrack_timestamp", "1")?;
    node.track()?;
    let server = traffic::TcpServer::start(&node, "127.0.0.1:0".parse().expect("an address"))?;
    let held = traffic::hold_tcp(&node, server.address(), 3)?;
    let seeds = seeds();
    let made = seeds.len();
    node.seed(seeds)?;
    let datagrams = node.enter(record).expect("a dump");
    if let Some(path) = std::env::var_os(WRITE).map(PathBuf::from) {
        fs::write(&path, datagrams.concat()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let datagrams: Vec<&[u8]> = datagrams.iter().map(Vec::as_slice).collect();
    assert_eq!(agree(&datagrams), made + held.len());
    Ok(())
}

/// Each state, protocol, family, NAT and zone once.
fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = TcpState::ALL
        .into_iter()
        .filter(|state| *state != TcpState::None)
        .zip(1..)
        .map(|(state, n)| Seed::tcp(([10, 1, 0, 1], 1000 + n), ([10, 2, 0, 1], 80)).state(state))
        .collect();
    seeds.extend([
        Seed::udp(([10, 1, 0, 1], 2000), ([10, 96, 0, 10], 53)).backend(([10, 2, 0, 7], 53)),
        Seed::udp(([10, 1, 0, 1], 2001), ([10, 96, 0, 10], 53)).unreplied(),
        Seed::tcp(([10, 1, 0, 1], 2002), ([203, 0, 113, 1], 443)).masqueraded_as(([10, 9, 0, 1], 2002)),
        Seed::tcp(([10, 1, 0, 1], 2003), ([10, 2, 0, 1], 80)).zone(7),
        Seed::tcp(([10, 1, 0, 1], 2004), ([10, 2, 0, 1], 80)).state(TcpState::CloseWait).closed_first(Closer::Server),
        Seed::tcp((v6(1), 2005), (v6(2), 80)).backend((v6(3), 8080)),
        Seed::udp((v6(1), 2006), (v6(2), 53)).zone(9),
        Seed::new(khan_api::Protocol::Sctp, ([10, 1, 0, 1], 2007), ([10, 2, 0, 1], 132)),
        Seed { mark: 0xdead_beef, ..Seed::tcp(([10, 1, 0, 1], 2008), ([10, 2, 0, 1], 80)) },
    ]);
    seeds
}

fn v6(host: u16) -> std::net::Ipv6Addr {
    std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host)
}

/// The datagrams of the first dump of this thread's network namespace.
fn record() -> std::io::Result<Vec<Vec<u8>>> {
    let (mut link, mut buffer, mut datagrams) = (Kernel::open()?, vec![0; 64 * 1024], Vec::new());
    link.send(&request::dump(1))?;
    loop {
        let len = link.receive(&mut buffer)?;
        datagrams.push(buffer[..len].to_vec());
        if len >= DONE && buffer[len - DONE + 4..][..2] == NLMSG_DONE.to_ne_bytes() {
            return Ok(datagrams);
        }
    }
}
