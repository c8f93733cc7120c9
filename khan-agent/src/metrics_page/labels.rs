//! Labels as text, each written once and shared by all lines that carry it.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

use khan_api::snapshot::Side;
use khan_serve::exposition::label;

use super::ExtraLabel;
use crate::identities::Endpoint;
use crate::snapshot::Row;

/// Fragments of lines, by number, in one buffer. Equal texts have one number, so that lines whose fragments have different
/// numbers are different series, whatever the fragments were made of.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    text: String,
    ends: Vec<u32>,
    /// By the text's hash, until [`shrink`](Fragments::shrink).
    numbers: HashMap<u64, u32>,
    hasher: RandomState,
}

impl Fragments {
    /// The number of what `write` writes.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut String)) -> u32 {
        let start = self.text.len();
        write(&mut self.text);
        let mut hash = self.hasher.hash_one(&self.text[start..]);
        while let Some(known) = self.numbers.get(&hash).copied() {
            if *self.get(known) == self.text[start..] {
                self.text.truncate(start);
                return known;
            }
            // Two texts with one hash: the later one has the next free place.
            hash = hash.wrapping_add(1);
        }
        #[expect(clippy::cast_possible_truncation, reason = "4 GiB of labels do not fit any page")]
        let (number, end) = (self.ends.len() as u32, self.text.len() as u32);
        self.ends.push(end);
        self.numbers.insert(hash, number);
        number
    }

    /// A fragment's text.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.text[start as usize..self.ends[number] as usize]
    }

    /// Bytes that are held.
    pub(super) fn memory(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    /// Gives back what is needed only to add.
    pub(super) fn shrink(&mut self) {
        self.numbers = HashMap::new();
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// The labels of one end: `src_type="...",src_ip="...",...`, with a comma behind.
pub(super) fn endpoint(text: &mut String, end: End, endpoint: &Endpoint, workload: bool) {
    let names = end.names();
    let ip = endpoint.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let owner = &endpoint.owner;
    let other = endpoint.ip.is_none() && owner.app == crate::snapshot::OTHER;
    let kind = if other { "" } else { owner.kind.as_str() };
    for (name, value) in names.iter().zip([kind, &ip, &owner.ns, &owner.app, &owner.name]) {
        label(text, name, value);
        text.push(',');
    }
    if workload {
        label(text, names[5], &owner.workload);
        text.push(',');
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

impl End {
    const fn names(self) -> [&'static str; 6] {
        match self {
            Self::Source => ["src_type", "src_ip", "src_ns", "src_app", "src_name", "src_workload"],
            Self::Destination => ["dst_type", "dst_ip", "dst_ns", "dst_app", "dst_name", "dst_workload"],
        }
    }
}

/// `side="..."` and the extra labels of a row, without a comma behind.
pub(super) fn tail(
    text: &mut String,
    side: Side,
    extras: &[ExtraLabel],
    row: Option<(&Row, &[Endpoint])>,
    backend: bool,
) {
    label(text, "side", side.as_str());
    for extra in extras.iter().filter(|extra| **extra != ExtraLabel::Workload) {
        let name = extra.as_str();
        text.push(',');
        let Some((row, endpoints)) = row else {
            label(text, name, "");
            continue;
        };
        match extra {
            ExtraLabel::DstPort => {
                let _ = write!(text, "{name}=\"{}\"", if backend { row.backend_port } else { row.port });
            }
            ExtraLabel::Zone => {
                let _ = write!(text, "{name}=\"{}\"", row.zone);
            }
            ExtraLabel::Transport => label(text, name, row.class.protocol().as_str()),
            ExtraLabel::State => label(text, name, row.class.state().as_str()),
            ExtraLabel::Service => label(text, name, &short(&endpoints[row.dst as usize])),
            ExtraLabel::Backend => label(text, name, &short(&endpoints[row.backend as usize])),
            ExtraLabel::Workload => {}
        }
    }
}

/// `NAMESPACE/NAME`, or the name, or the address.
fn short(endpoint: &Endpoint) -> String {
    match (endpoint.owner.ns.as_str(), endpoint.owner.name.as_str()) {
        (_, "") => endpoint.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        ("", name) => name.to_owned(),
        (ns, name) => format!("{ns}/{name}"),
    }
}
