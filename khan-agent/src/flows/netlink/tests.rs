//! A scripted link in the kernel's place: everything that can spoil a dump.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::*;
use crate::flows::{Dump, Flow, Retries};

/// What the link does next.
#[derive(Clone, Debug)]
enum Step {
    Datagram(Vec<u8>),
    /// A datagram of which only so many bytes arrive.
    Cut(Vec<u8>, usize),
    /// A datagram longer than the buffer.
    TooLong,
    Error(i32),
}

/// Each attempt opens the link anew, and the script goes on.
#[derive(Debug)]
struct Script(RefCell<State>);

#[derive(Debug)]
struct State {
    steps: VecDeque<Step>,
    sequence: u32,
}

impl Link for &Script {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().sequence = u32::from_ne_bytes(request[8..12].try_into().unwrap());
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        let (mut datagram, len) = match state.steps.pop_front().expect("nothing more was to be received") {
            Step::Datagram(datagram) => (datagram, None),
            Step::Cut(datagram, len) => (datagram, Some(len)),
            Step::TooLong => return Ok(buffer.len() + 1),
            Step::Error(code) => return Err(io::Error::from_raw_os_error(code)),
        };
        // The sequence number of a message is that of the request, unless the script gave it another one.
        let mut at = 0;
        while at < datagram.len() {
            if datagram[at + 8..at + 12] == [0; 4] {
                datagram[at + 8..at + 12].copy_from_slice(&state.sequence.to_ne_bytes());
            }
            at += (u32::from_ne_bytes(datagram[at..at + 4].try_into().unwrap()) as usize).next_multiple_of(4);
        }
        let len = len.unwrap_or(datagram.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

fn made(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes =
        [len.to_ne_bytes().as_slice(), &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], payload].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + payload.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn tuple(kind: u16, host: u8) -> Vec<u8> {
    let ip = attribute(0x8001, &[attribute(1, &[10, 0, 0, host]), attribute(2, &[10, 0, 0, 2])].concat());
    let ports = attribute(0x8002, &[attribute(1, &[17]), attribute(2, &[0, 9]), attribute(3, &[0, 53])].concat());
    attribute(0x8000 | kind, &[ip, ports].concat())
}

fn entry(host: u8) -> Vec<u8> {
    let attributes = [tuple(1, host), tuple(2, host), attribute(7, &[0, 0, 0, 30])].concat();
    made(request::ENTRY, 2, &[&[2, 0, 0, 0][..], &attributes].concat())
}

fn entries(hosts: &[u8]) -> Vec<u8> {
    hosts.iter().flat_map(|host| entry(*host)).collect()
}

fn done() -> Step {
    Step::Datagram(made(message::DONE, 2, &[0; 4]))
}

#[derive(Debug, Default)]
struct Hosts(Vec<u8>);

impl Sink for Hosts {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn batch(&mut self) {}

    fn flow(&mut self, flow: &Flow) {
        self.0.push(flow.original.src.bits().to_be_bytes()[15]);
    }
}

/// Reads what the script holds.
struct Scripted<'a> {
    netlink: Netlink,
    script: &'a Script,
    buckets: std::slice::Iter<'a, u64>,
}

impl Reader for Scripted<'_> {
    fn read(&mut self, sink: &mut impl Sink) -> Result<Dumped, AttemptError> {
        let Self { netlink, script, buckets } = self;
        netlink.read_from(*script, &Timeouts::default(), || buckets.next().copied(), sink)
    }

    fn stats(&mut self) -> Result<Stats, DumpError> {
        unreachable!("only the dump is scripted")
    }
}

fn run(steps: impl IntoIterator<Item = Step>, buckets: &[u64]) -> (Result<Dumped, DumpError>, Vec<u8>, Retries, usize) {
    let script = Script(RefCell::new(State { steps: steps.into_iter().collect(), sequence: 0 }));
    let (buckets, mut hosts) = (buckets.iter(), Hosts::default());
    let mut dump = Dump::new(Scripted { netlink: Netlink::default(), script: &script, buckets });
    let outcome = dump.run(&mut hosts);
    let retries = *dump.retries();
    drop(dump);
    (outcome, hosts.0, retries, script.0.into_inner().steps.len())
}

const ENOBUFS: i32 = 105;
const EINTR: i32 = 4;
const EBUSY: i32 = 16;
const EPERM: i32 = 1;

#[test]
fn a_dump_in_several_datagrams() {
    let steps = [Step::Datagram(entries(&[1, 2])), Step::Datagram(entries(&[3])), done()];
    let (outcome, hosts, retries, _) = run(steps, &[]);
    let dumped = outcome.unwrap();
    assert_eq!((hosts, dumped.flows, dumped.batches, dumped.refused), (vec![1, 2, 3], 3, 3, 0));
    assert_eq!(retries, Retries::default());
}

#[test]
fn what_spoils_an_attempt_is_counted_and_leaves_nothing_behind() {
    let interrupted = made(request::ENTRY, 2 | message::DUMP_INTERRUPTED, &entry(9)[16..]);
    let whole = entries(&[1, 2]);
    for (spoiler, count) in [
        (Step::Error(ENOBUFS), Retries { overflow: 1, ..Retries::default() }),
        (Step::Datagram(made(message::OVERRUN, 0, &[])), Retries { overflow: 1, ..Retries::default() }),
        (Step::Error(EINTR), Retries { interrupted: 1, ..Retries::default() }),
        (
            Step::Datagram(made(message::ERROR, 0, &(-EBUSY).to_ne_bytes())),
            Retries { interrupted: 1, ..Retries::default() },
        ),
        (
            Step::Datagram(made(message::DONE, 2, &(-EINTR).to_ne_bytes())),
            Retries { interrupted: 1, ..Retries::default() },
        ),
        (Step::Datagram(interrupted), Retries { inconsistent: 1, ..Retries::default() }),
        (
            Step::Datagram(made(message::DONE, 2 | message::DUMP_INTERRUPTED, &[0; 4])),
            Retries { inconsistent: 1, ..Retries::default() },
        ),
        (Step::TooLong, Retries { truncated: 1, ..Retries::default() }),
        (Step::Cut(whole.clone(), whole.len() - 5), Retries { truncated: 1, ..Retries::default() }),
        (Step::Cut(whole.clone(), 7), Retries { truncated: 1, ..Retries::default() }),
        (Step::Cut(whole.clone(), 0), Retries { truncated: 1, ..Retries::default() }),
    ] {
        let steps = [Step::Datagram(entries(&[7, 8])), spoiler.clone(), Step::Datagram(whole.clone()), done()];
        let (outcome, hosts, retries, _) = run(steps, &[]);
        assert_eq!((outcome.unwrap().flows, hosts, retries), (2, vec![1, 2], count), "{spoiler:?}");
    }
}

#[test]
fn attempts_are_bounded_and_a_failure_publishes_nothing() {
    let (outcome, hosts, retries, left) =
        run((0..20).flat_map(|_| [Step::Datagram(entries(&[1])), Step::Error(ENOBUFS)]), &[]);
    assert!(matches!(outcome, Err(DumpError::Spoiled { attempts: 5, last: Spoiled::Overflow })), "{outcome:?}");
    assert_eq!((hosts, retries.overflow, left), (vec![], 5, 30));
}

#[test]
fn a_resize_is_noticed_even_when_it_is_undone() {
    // Before, after each datagram: larger after the first one, as before after the second.
    let steps =
        [Step::Datagram(entries(&[1])), Step::Datagram(entries(&[1, 2])), Step::Datagram(entries(&[3])), done()];
    let (outcome, hosts, retries, _) = run(steps, &[512, 1024, 512, 512, 512, 512, 512]);
    assert_eq!((hosts, retries.resized), (vec![1, 2, 3], 1), "{outcome:?}");
    assert_eq!(outcome.unwrap().buckets, 512);
}

#[test]
fn a_refusal_is_final_and_names_the_capability() {
    let refusal = Step::Datagram(made(message::ERROR, 0, &(-EPERM).to_ne_bytes()));
    let (outcome, hosts, ..) = run([Step::Datagram(entries(&[1])), refusal], &[]);
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    assert!(hosts.is_empty(), "what came before the error is forgotten");
}

#[test]
fn what_another_request_left_behind_is_passed_by() {
    let mut stale = entries(&[9]);
    stale[8..12].copy_from_slice(&77_u32.to_ne_bytes());
    let (outcome, hosts, ..) = run([Step::Datagram(stale), Step::Datagram(entries(&[1])), done()], &[]);
    assert_eq!((outcome.unwrap().flows, hosts), (1, vec![1]));
}

#[test]
fn one_odd_entry_spoils_itself_and_no_other() {
    let mut odd = entry(5);
    // The length of the first attribute: longer than the message.
    odd[20..22].copy_from_slice(&9999_u16.to_ne_bytes());
    let datagram = [entry(1), odd, entry(2)].concat();
    let (outcome, hosts, ..) = run([Step::Datagram(datagram), done()], &[]);
    let dumped = outcome.unwrap();
    assert_eq!((hosts, dumped.flows, dumped.refused), (vec![1, 2], 2, 1));
}
