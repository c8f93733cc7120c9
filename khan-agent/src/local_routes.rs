//! In: this network namespace's links and routes, through rtnetlink. Out: which addresses live on this node.
//!
//! An address lives here when it is the node's own, or when the kernel's most specific route to it ends at a pod's
//! interface: whichever network plugin is used, a local pod is reached through a virtual Ethernet pair whose other end is
//! in another network namespace, by a host route of its own (Calico, AWS VPC CNI, Azure, GKE, ptp, Cilium with endpoint
//! routes) or through a bridge that has nothing but such pairs as ports (flannel, kubenet, kube-router), or through the
//! node's internal port of Open vSwitch (Antrea, OVN-Kubernetes). Everything else may live anywhere.
//!
//! Read whole, once a scan: a question per address would cost a flood of strangers as many system calls.

mod request;

use std::collections::{HashMap, HashSet};
use std::io;

use crate::flows::Address;
use crate::flows::netlink::attribute::{self as attr, Attributes};
use crate::flows::netlink::link::{Kernel, Link};

/// More links or routes than any node of a cluster has. A router that knows the whole internet's routes has more, and
/// reading them with each scan would cost more than they tell.
const MOST: usize = 1 << 16;

/// Why routes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LocalRoutesError {
    /// The kernel refused, or was not understood.
    #[error("cannot {what}")]
    Kernel {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// Reading them all would cost more than they tell.
    #[error("there are more than {MOST} links or routes")]
    TooMany,
}

/// The addresses that live on this node, as disjoint ranges in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalRoutes {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl LocalRoutes {
    /// Those of the calling thread's network namespace.
    pub fn read() -> Result<Self, LocalRoutesError> {
        let what = "open a socket to read links and routes";
        let mut kernel = Kernel::open_routes().map_err(|source| LocalRoutesError::Kernel { what, source })?;
        Self::read_from(&mut kernel)
    }

    fn read_from(kernel: &mut impl Link) -> Result<Self, LocalRoutesError> {
        let failed = |what| move |source| LocalRoutesError::Kernel { what, source };
        let links =
            request::dump(kernel, &request::links(), MOST, Interface::parse).map_err(failed("read the links"))?;
        let routes =
            request::dump(kernel, &request::routes(), MOST, Route::parse).map_err(failed("read the routes"))?;
        match (links, routes) {
            (Some(links), Some(routes)) => Ok(Self::of(&links, &routes)),
            _ => Err(LocalRoutesError::TooMany),
        }
    }

    fn of(links: &[Interface], routes: &[Route]) -> Self {
        let exits = Exits::of(links, routes);
        let ranges = |v4: bool| {
            let routes = routes.iter().filter(|route| route.v4 == v4);
            flatten(routes.map(|route| Range { lives_here: exits.lead_to_a_pod(route), ..route.range() }).collect())
        };
        Self { v4: ranges(true), v6: ranges(false) }
    }

    /// Whether the address lives on this node. False where that cannot be told.
    pub fn contain(&self, address: Address) -> bool {
        let (ranges, bits) = match address.v4() {
            Some(bits) => (&self.v4, bits.into()),
            None => (&self.v6, address.bits()),
        };
        let after = ranges.partition_point(|(first, _)| *first <= bits);
        after.checked_sub(1).is_some_and(|at| bits <= ranges[at].1)
    }
}

/// A link, as far as it matters who is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    index: u32,
    kind: Kind,
    /// The bridge that it is a port of; 0 for none.
    master: u32,
    /// Whether the other end is in another network namespace.
    leaves: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `veth`, `netkit`
    Pair,
    Bridge,
    OpenVSwitch,
    /// Holds addresses that are everywhere: IPVS's services, a node-local DNS cache.
    Dummy,
    Other,
}

impl Interface {
    /// From the payload of an `RTM_NEWLINK`.
    fn parse(message: &[u8]) -> Option<Self> {
        const IFLA_MASTER: u16 = 10;
        const IFLA_LINKINFO: u16 = 18;
        const IFLA_INFO_KIND: u16 = 1;
        const IFLA_LINK_NETNSID: u16 = 37;
        // `struct ifinfomsg`: family, padding, type, index, flags, change.
        let (header, attributes) = message.split_first_chunk::<16>()?;
        let index = u32::from_ne_bytes(header[4..8].try_into().ok()?);
        let mut interface = Self { index, kind: Kind::Other, master: 0, leaves: false };
        for (number, payload) in Attributes::new(attributes) {
            match number {
                IFLA_MASTER => interface.master = native(payload)?,
                IFLA_LINK_NETNSID => interface.leaves = true,
                IFLA_LINKINFO => {
                    let kind = Attributes::new(payload).find(|(number, _)| *number == IFLA_INFO_KIND);
                    interface.kind = kind.map_or(Kind::Other, |(_, name)| Kind::named(name));
                }
                _ => {}
            }
        }
        Some(interface)
    }
}

impl Kind {
    fn named(name: &[u8]) -> Self {
        match name.strip_suffix(b"\0").unwrap_or(name) {
            b"veth" | b"netkit" => Self::Pair,
            b"bridge" => Self::Bridge,
            b"openvswitch" => Self::OpenVSwitch,
            b"dummy" => Self::Dummy,
            _ => Self::Other,
        }
    }
}

/// A route of the tables `main` and `local`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    v4: bool,
    destination: u128,
    length: u8,
    /// The address is this node's own.
    own: bool,
    /// Packets go to a router first, or one of several ways.
    onward: bool,
    /// 0 for a route that leads nowhere.
    interface: u32,
    metric: u32,
}

impl Route {
    /// From the payload of an `RTM_NEWROUTE`.
    fn parse(message: &[u8]) -> Option<Self> {
        const AF_INET: u8 = 2;
        const AF_INET6: u8 = 10;
        const RT_TABLE_MAIN: u32 = 254;
        const RT_TABLE_LOCAL: u32 = 255;
        const RTN_LOCAL: u8 = 2;
        const RTN_BROADCAST: u8 = 3;
        const RTN_MULTICAST: u8 = 5;
        const RTM_F_CLONED: u32 = 0x200;
        const RTA_DST: u16 = 1;
        const RTA_OIF: u16 = 4;
        const RTA_GATEWAY: u16 = 5;
        const RTA_PRIORITY: u16 = 6;
        const RTA_MULTIPATH: u16 = 9;
        const RTA_TABLE: u16 = 15;
        const RTA_VIA: u16 = 18;
        // `struct rtmsg`
        let (&[family, length, source, _, table, _, _, kind, flags @ ..], attributes) =
            message.split_first_chunk::<12>()?;
        // A route that depends on the source, or is of one packet, says nothing of where the address is; one to many
        // listeners is to no client.
        let of_one_packet = u32::from_ne_bytes(flags) & RTM_F_CLONED != 0;
        let to_many = (RTN_BROADCAST..=RTN_MULTICAST).contains(&kind);
        if !matches!(family, AF_INET | AF_INET6) || source != 0 || of_one_packet || to_many {
            return None;
        }
        let mut table = u32::from(table);
        let mut route = Self {
            v4: family == AF_INET,
            destination: 0,
            length,
            own: kind == RTN_LOCAL,
            onward: false,
            interface: 0,
            metric: 0,
        };
        for (number, payload) in Attributes::new(attributes) {
            match number {
                RTA_DST if route.v4 => route.destination = attr::be32(payload)?.into(),
                RTA_DST => route.destination = attr::be128(payload)?,
                RTA_OIF => route.interface = native(payload)?,
                RTA_PRIORITY => route.metric = native(payload)?,
                RTA_GATEWAY | RTA_VIA | RTA_MULTIPATH => route.onward = true,
                RTA_TABLE => table = native(payload)?,
                _ => {}
            }
        }
        (matches!(table, RT_TABLE_MAIN | RT_TABLE_LOCAL) && length <= route.bits()).then_some(route)
    }

    const fn bits(&self) -> u8 {
        if self.v4 { 32 } else { 128 }
    }

    const fn is_of_one_address(&self) -> bool {
        self.length == self.bits()
    }

    fn range(&self) -> Range {
        let hosts = 1u128.checked_shl((self.bits() - self.length).into()).map_or(u128::MAX, |size| size - 1);
        let first = self.destination & !hosts;
        // The kernel looks into the table of its own addresses first, and takes the lowest metric.
        let rank = (self.own, u32::MAX - self.metric);
        Range { first, last: first | hosts, rank, lives_here: false }
    }
}

fn native(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_ne_bytes)
}

/// Which links lead to pods of this node.
#[derive(Debug)]
struct Exits {
    kinds: HashMap<u32, Kind>,
    pods: HashSet<u32>,
}

impl Exits {
    fn of(links: &[Interface], routes: &[Route]) -> Self {
        // The node's way to others, and to everything: no pod's, even where the node is itself a container behind a pair.
        let onward = |index: u32, default: bool| {
            routes.iter().any(|route| route.onward && route.interface == index && (!default || route.length == 0))
        };
        let pair = |link: &Interface| link.kind == Kind::Pair && link.leaves;
        let ports = |bridge: u32| links.iter().filter(move |link| link.master == bridge);
        let leads_to_a_pod = |link: &&Interface| match link.kind {
            Kind::Pair => pair(link) && !onward(link.index, false),
            // A port that is no pod's leads out of the node: an uplink, a tunnel.
            Kind::Bridge => ports(link.index).all(pair) && !onward(link.index, false),
            // Here other nodes' pods are behind the same port, by way of a gateway.
            Kind::OpenVSwitch => !onward(link.index, true),
            Kind::Dummy | Kind::Other => false,
        };
        let pods = links.iter().filter(leads_to_a_pod).map(|link| link.index).collect();
        Self { kinds: links.iter().map(|link| (link.index, link.kind)).collect(), pods }
    }

    fn lead_to_a_pod(&self, route: &Route) -> bool {
        let kind = self.kinds.get(&route.interface).copied();
        if route.own {
            return kind != Some(Kind::Dummy);
        }
        let whole = route.is_of_one_address() || matches!(kind, Some(Kind::Bridge | Kind::OpenVSwitch));
        !route.onward && whole && route.length > 0 && self.pods.contains(&route.interface)
    }
}

/// What a route says of the addresses that no narrower one covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    first: u128,
    last: u128,
    rank: (bool, u32),
    lives_here: bool,
}

/// Disjoint ranges of the addresses whose narrowest range lives here. Ranges are prefixes: they nest or are apart.
fn flatten(mut ranges: Vec<Range>) -> Vec<(u128, u128)> {
    // What nests comes behind what it nests in, and what the kernel prefers behind what is as wide.
    ranges.sort_unstable_by_key(|range| (range.first, std::cmp::Reverse(range.last), range.rank, range.lives_here));
    let (mut here, mut open) = (Vec::new(), Vec::<Range>::new());
    // Everything below this is told already.
    let mut next = 0_u128;
    let mut tell = |range: &Range, next: u128, last: u128| {
        if range.lives_here && next <= last {
            here.push((next, last));
        }
    };
    for range in ranges {
        while let Some(wider) = open.pop_if(|wider| wider.last < range.first) {
            tell(&wider, next.max(wider.first), wider.last);
            next = wider.last.saturating_add(1);
        }
        if let (Some(wider), Some(before)) = (open.last(), range.first.checked_sub(1)) {
            tell(wider, next.max(wider.first), before);
        }
        next = range.first;
        open.push(range);
    }
    while let Some(range) = open.pop() {
        tell(&range, next.max(range.first), range.last);
        let Some(after) = range.last.checked_add(1) else { break };
        next = after;
    }
    here
}

#[cfg(test)]
mod tests;
