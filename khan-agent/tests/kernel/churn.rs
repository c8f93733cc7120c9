//! A dump is not a snapshot: what it counts while the table changes under it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use khan_agent::scan::Scanner;
use khan_agent::table::{OwnershipAges, Settings};
use khan_lab::{Host, Lab, Result, Seed};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute as Attribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Protocol, Status,
    Tuple,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

const STANDING: u32 = 50_000;
/// Creations and deletions a second that a scan has to stand.
const RATE: f64 = 50_000.0;
/// Scans that have to stand it.
const SCANS: u32 = 10;
const BATCH: u16 = 250;
const BUCKETS: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";

fn standing(n: u32) -> Seed {
    let [_, a, b, c] = n.to_be_bytes();
    Seed::tcp(([10, a, b, c], 40_000), ([10, 200, 0, 1], 443)).timeout(3600)
}

/// Requests that make and delete a batch of passing entries, written out beforehand.
struct Batch {
    make: Vec<u8>,
    delete: Vec<u8>,
}

impl Batch {
    fn new(number: u16) -> Self {
        let mut batch = Self { make: Vec::new(), delete: Vec::new() };
        for n in 0..BATCH {
            let [c, d] = n.to_be_bytes();
            let client = (IpAddr::from([192, 168, c, d]), 0x4000 | number);
            let server = (IpAddr::from([10, 200, 0, 2]), 80);
            let original = Attribute::CtaTupleOrig(tuple(client, server));
            append(&mut batch.delete, NLM_F_REQUEST, ConntrackMessage::Delete(vec![original.clone()]));
            let attributes = vec![
                original,
                Attribute::CtaTupleReply(tuple(server, client)),
                Attribute::CtaStatus(Status::Confirmed | Status::SeenReply | Status::Assured),
                Attribute::CtaTimeout(60),
                Attribute::CtaProtoInfo(vec![ProtoInfo::TCP(vec![ProtoInfoTCP::State(3)])]),
            ];
            append(&mut batch.make, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, ConntrackMessage::New(attributes));
        }
        batch
    }
}

fn tuple(src: (IpAddr, u16), dst: (IpAddr, u16)) -> Vec<Tuple> {
    vec![
        Tuple::Ip(vec![IPTuple::SourceAddress(src.0), IPTuple::DestinationAddress(dst.0)]),
        Tuple::Proto(vec![
            ProtoTuple::Protocol(Protocol::Tcp),
            ProtoTuple::SourcePort(src.1),
            ProtoTuple::DestinationPort(dst.1),
        ]),
    ]
}

fn append(batch: &mut Vec<u8>, flags: u16, inner: ConntrackMessage) {
    let header = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
    let mut envelope = NetlinkHeader::default();
    envelope.flags = flags;
    let mut message = NetlinkMessage::new(envelope, NetlinkPayload::from(NetfilterMessage::new(header, inner)));
    message.finalize();
    let at = batch.len();
    batch.resize(at + message.buffer_len(), 0);
    message.serialize(&mut batch[at..]);
}

/// What comes and goes, counted so that bounds follow at any moment.
#[derive(Default)]
struct Churn {
    stop: AtomicBool,
    /// Entries whose creation has begun.
    begun: AtomicU64,
    /// Entries whose deletion is complete.
    ended: AtomicU64,
}

impl Churn {
    fn changes(&self) -> u64 {
        self.begun.load(Ordering::SeqCst) + self.ended.load(Ordering::SeqCst)
    }

    fn run(&self, node: &Host) {
        let socket = node.enter(|| Socket::new(NETLINK_NETFILTER)).expect("a netlink socket");
        let send = |requests: &[u8]| {
            socket.send_to(requests, &SocketAddr::new(0, 0), 0).expect("the kernel takes a batch");
        };
        let batches: Vec<Batch> = (0..40).map(Batch::new).collect();
        // A few batches stay alive for a while; refusals would be answered, and nobody reads answers.
        let mut alive = VecDeque::new();
        for batch in batches.iter().cycle() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.begun.fetch_add(u64::from(BATCH), Ordering::SeqCst);
            send(&batch.make);
            alive.push_back(batch);
            if alive.len() > 4
                && let Some(oldest) = alive.pop_front()
            {
                send(&oldest.delete);
                self.ended.fetch_add(u64::from(BATCH), Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn nothing_counts_twice_and_nothing_standing_is_missed() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.seed((0..STANDING).map(standing))?;
    let churn = Churn::default();
    let deadline = Instant::now() + Duration::from_mins(2);
    std::thread::scope(|scope| {
        scope.spawn(|| churn.run(&node));
        let scans = node.enter(|| {
            let mut scanner = Scanner::new(Settings::default());
            let mut fast = 0;
            while fast < SCANS {
                let (before, start) = (churn.changes(), Instant::now());
                let ended = churn.ended.load(Ordering::SeqCst);
                let scan = scanner.scan(OwnershipAges::default());
                let begun = churn.begun.load(Ordering::SeqCst);
                // On a busy machine some scans see fewer changes than they should; what they count holds as well.
                let rate = (churn.changes() - before) as f64 / start.elapsed().as_secs_f64();
                fast += u32::from(rate >= RATE);
                println!("{rate:.0} creations and deletions a second");
                if Instant::now() > deadline {
                    return Err(format!("only {fast} scans met {RATE} creations and deletions a second"));
                }
                let Ok(_) = scan else { return Err(format!("{scan:?}")) };
                let table = scanner.table();
                let mut stood: u64 = 0;
                let mut passed: u64 = 0;
                for row in table.v4() {
                    match row.service.to_be_bytes() {
                        [10, 200, 0, 1] if row.count == 1 => stood += 1,
                        [10, 200, 0, 2] => passed += u64::from(row.count),
                        _ => return Err(format!("counted twice: {row:?}")),
                    }
                }
                // Every connection of these has a key of its own but for the client's port.
                if stood != u64::from(STANDING) {
                    return Err(format!("{stood} of {STANDING} standing entries, {:?}", scanner.retries()));
                }
                if passed > begun - ended {
                    return Err(format!("{passed} passing entries, but at most {} were alive", begun - ended));
                }
            }
            Ok(scanner.retries().to_owned())
        });
        churn.stop.store(true, Ordering::SeqCst);
        let retries = scans.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(retries.truncated, 0);
    });
    Ok(())
}

/// Restores the number of buckets, which all network namespaces share.
struct Buckets(u64);

impl Buckets {
    fn set(buckets: u64) {
        std::fs::write(BUCKETS, buckets.to_string()).expect("the number of buckets can be set");
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        // Outside of the first network namespace it could not be changed, and needs no restoring.
        let _ = std::fs::write(BUCKETS, self.0.to_string());
    }
}

/// Whether a netfilter socket in the network namespace of `thread` is in the middle of a dump (`cb_running` in the kernel's
/// `netlink_seq_show`).
fn is_dumping(thread: rustix::thread::Pid) -> bool {
    let sockets = std::fs::read_to_string(format!("/proc/self/task/{}/net/netlink", thread.as_raw_nonzero()));
    sockets.unwrap_or_default().lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some("12") && columns.nth(4) == Some("1")
    })
}

/// Only the machine's own network namespace may resize the table, so elsewhere (a user namespace) this proves nothing and
/// says so.
#[test]
fn a_resize_during_the_dump_is_noticed() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    node.seed((0..STANDING).map(standing))?;
    let usual = Buckets(std::fs::read_to_string(BUCKETS).expect("readable").trim().parse().expect("a number"));
    assert!(
        std::fs::write(BUCKETS, usual.0.to_string()).is_ok(),
        "resizing the table needs root in the machine's first network namespace: run the tests as root"
    );
    let deadline = Instant::now() + Duration::from_mins(2);
    // One resize for each scan, while it dumps. The kernel rounds to whole pages of buckets.
    let (begin, each) = std::sync::mpsc::channel();
    let scanning = &AtomicBool::new(false);
    let retries = std::thread::scope(|scope| {
        scope.spawn(move || {
            for (more, thread) in (1..).zip(each) {
                while scanning.load(Ordering::SeqCst) && !is_dumping(thread) {
                    std::thread::yield_now();
                }
                Buckets::set(usual.0 + 512 * more);
            }
        });
        node.enter(move || {
            let mut scanner = Scanner::new(Settings::default());
            while scanner.retries().resized < 3 && Instant::now() < deadline {
                scanning.store(true, Ordering::SeqCst);
                begin.send(rustix::thread::gettid()).expect("the other thread waits for it");
                let scan = scanner.scan(OwnershipAges::default()).expect("one resize does not spoil every attempt");
                scanning.store(false, Ordering::SeqCst);
                let rows = scanner.table().v4();
                assert!(
                    rows.len() == STANDING as usize && rows.iter().all(|row| row.count == 1),
                    "{} rows of {STANDING} entries, {scan:?}",
                    rows.len()
                );
            }
            *scanner.retries()
        })
    });
    assert!(retries.resized >= 3, "no dump met a resize: {retries:?}");
    Ok(())
}
