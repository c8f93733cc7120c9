//! Which node's pod range holds an address, and a small set of prefixes that covers everything the cluster uses.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use khan_api::Cidr;

/// More prefixes than this are made coarser until they are fewer.
pub(super) const MOST_PREFIXES: usize = 2048;

#[derive(Debug, Default)]
pub(super) struct Ranges {
    // The nodes (by slot) that have this pod range; more than one only while a node replaces another.
    pods: HashMap<Cidr, Vec<u32>>,
    // How many pod ranges have this length.
    lengths: BTreeMap<(bool, u8), usize>,
    // How many known addresses lie in this block.
    blocks: HashMap<Cidr, u32>,
    // How many ServiceCIDR objects have this range.
    services: HashMap<Cidr, usize>,
    // Where there is no such object: what cluster addresses of services were ever seen, by their neighbourhood. A deleted
    // service's is the cluster's still.
    seen_services: HashMap<Cidr, Cidr>,
    named: Vec<Cidr>,
    // Made when somebody asks.
    covering: Mutex<Option<Covering>>,
}

#[derive(Clone, Debug)]
struct Covering {
    ranges: Arc<[Cidr]>,
    // A JSON array.
    text: Arc<str>,
}

impl Ranges {
    pub(super) fn add_pods(&mut self, range: Cidr, slot: u32) {
        let nodes = self.pods.entry(range).or_default();
        nodes.push(slot);
        if nodes.len() == 1 {
            *self.lengths.entry(length_key(range)).or_default() += 1;
            self.stale();
        }
    }

    pub(super) fn remove_pods(&mut self, range: Cidr, slot: u32) {
        let Some(nodes) = self.pods.get_mut(&range) else { return };
        nodes.retain(|node| *node != slot);
        if nodes.is_empty() {
            self.pods.remove(&range);
            let key = length_key(range);
            if let Some(count) = self.lengths.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&key);
                }
            }
            self.stale();
        }
    }

    /// The slots of the nodes whose pod range holds `ip`, of the longest range that does.
    pub(super) fn nodes(&self, ip: IpAddr) -> &[u32] {
        let ip = ip.to_canonical();
        let lengths = self.lengths.range((ip.is_ipv6(), 0)..=(ip.is_ipv6(), 128)).rev();
        lengths
            .filter_map(|((_, length), _)| Cidr::new(ip, *length))
            .find_map(|range| self.pods.get(&range))
            .map_or(&[], Vec::as_slice)
    }

    /// A known address; with `pods` a pod has it or had it, and where one is there may be others.
    fn add_address(&mut self, ip: IpAddr, pods: bool) {
        let count = self.blocks.entry(block(ip, pods)).or_default();
        *count += 1;
        if *count == 1 {
            self.stale();
        }
    }

    fn remove_address(&mut self, ip: IpAddr, pods: bool) {
        let block = block(ip, pods);
        if let Some(count) = self.blocks.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                self.blocks.remove(&block);
                self.stale();
            }
        }
    }

    /// An address becomes known, a pod's, or nobody's; `None` is one that is not known.
    pub(super) fn recount(&mut self, ip: IpAddr, before: Option<bool>, after: Option<bool>) {
        if before != after {
            if let Some(pods) = after {
                self.add_address(ip, pods);
            }
            if let Some(pods) = before {
                self.remove_address(ip, pods);
            }
        }
    }

    /// The range of a `ServiceCIDR`.
    pub(super) fn add_services(&mut self, range: Cidr) {
        *self.services.entry(range).or_default() += 1;
        self.stale();
    }

    pub(super) fn remove_services(&mut self, range: Cidr) {
        if let Some(count) = self.services.get_mut(&range) {
            *count -= 1;
            if *count == 0 {
                self.services.remove(&range);
            }
            self.stale();
        }
    }

    /// A service's cluster address. Unless `ServiceCIDR`s say more, all between those that were seen is taken for the
    /// cluster's, as long as the process lives.
    pub(super) fn add_service(&mut self, ip: IpAddr) {
        let single = Cidr::from(ip);
        let neighbourhood = single.shortened(if ip.is_ipv4() { 12 } else { 108 });
        let span = self.seen_services.entry(neighbourhood).or_insert(single);
        let mut wider = *span;
        while !wider.contains(ip) {
            wider = wider.supernet().unwrap_or(neighbourhood);
        }
        // The first of a neighbourhood is its own span, and covered as an address.
        if wider != *span {
            *span = wider;
            self.stale();
        }
    }

    pub(super) fn replace_named(&mut self, named: Vec<Cidr>) {
        self.named = named;
        self.stale();
    }

    /// A JSON array of CIDRs.
    pub(super) fn covering(&self) -> Arc<str> {
        self.made().text
    }

    /// Whether one of them holds `ip`.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.made().ranges.iter().any(|range| range.contains(ip))
    }

    fn made(&self) -> Covering {
        let mut covering = self.covering.lock().unwrap_or_else(PoisonError::into_inner);
        let made = covering.get_or_insert_with(|| {
            let mut all: Vec<Cidr> = self.pods.keys().chain(self.blocks.keys()).chain(&self.named).copied().collect();
            if self.services.is_empty() {
                all.extend(self.seen_services.values());
            } else {
                all.extend(self.services.keys());
            }
            let ranges = cover(all);
            let texts: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            Covering { ranges: ranges.into(), text: serde_json::to_string(&texts).expect("texts are JSON").into() }
        });
        made.clone()
    }

    fn stale(&mut self) {
        *self.covering.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn length_key(range: Cidr) -> (bool, u8) {
    (range.network().is_ipv6(), range.length())
}

/// The block that a known address is counted in: a neighbourhood where a pod has it and no stranger can have the rest,
/// otherwise the address itself. So the hosts between nodes stay outside, and agents do not ask for the internet's addresses
/// next to a load balancer's.
fn block(ip: IpAddr, pods: bool) -> Cidr {
    let length = match ip {
        _ if !pods => return ip.into(),
        IpAddr::V4(ip) if is_private(ip) => 24,
        IpAddr::V4(_) => 32,
        IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() => 112,
        IpAddr::V6(_) => 120,
    };
    Cidr::from(ip).shortened(length)
}

fn is_private(ip: Ipv4Addr) -> bool {
    // RFC 6598: carriers' shared addresses, which clouds give to pods.
    let shared = matches!(ip.octets(), [100, 64..=127, ..]);
    ip.is_private() || ip.is_link_local() || ip.is_loopback() || shared
}

/// Merges neighbours; while there are still too many, shortens the longest.
fn cover(ranges: Vec<Cidr>) -> Vec<Cidr> {
    let mut ranges = Cidr::aggregate(ranges);
    let (mut v4, mut v6) = (32, 128);
    while ranges.len() > MOST_PREFIXES && (v4 > 8 || v6 > 16) {
        let count_v4 = ranges.iter().filter(|range| range.network().is_ipv4()).count();
        // The family that has more of them gives.
        if (count_v4 * 2 >= ranges.len() && v4 > 8) || v6 <= 16 {
            v4 -= 2;
        } else {
            v6 -= 8;
        }
        let shorter = |range: Cidr| range.shortened(if range.network().is_ipv4() { v4 } else { v6 });
        ranges = Cidr::aggregate(ranges.into_iter().map(shorter).collect());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn neighbours_merge_and_strangers_stay_out() {
        let mut ranges = Ranges::default();
        for third in 0..4 {
            ranges.add_pods(net(&format!("10.244.{third}.0/24")), third);
        }
        ranges.add_address("10.96.0.1".parse().unwrap(), true);
        ranges.add_address("203.0.113.7".parse().unwrap(), true);
        ranges.add_address("fd00::1".parse().unwrap(), true);
        let text = ranges.covering();
        assert_eq!(&*text, r#"["10.96.0.0/24","10.244.0.0/22","203.0.113.7/32","fd00::/112"]"#);
        ranges.remove_address("203.0.113.7".parse().unwrap(), true);
        assert!(!ranges.covering().contains("203"));
    }

    #[test]
    fn two_nodes_do_not_make_their_subnet_the_clusters() {
        let mut ranges = Ranges::default();
        for node in ["172.18.0.2", "172.18.0.7"] {
            ranges.add_address(node.parse().unwrap(), false);
        }
        assert_eq!(&*ranges.covering(), r#"["172.18.0.2/32","172.18.0.7/32"]"#);
    }

    #[test]
    fn what_lies_between_services_stays_the_clusters() {
        let mut ranges = Ranges::default();
        for service in ["10.96.0.1", "10.96.200.9", "172.20.0.10", "fd00:96::1", "fd00:96::a"] {
            ranges.add_service(service.parse().unwrap());
        }
        let covered = |ip: &str| ranges.contains(ip.parse().unwrap());
        for ip in ["10.96.0.1", "10.96.55.5", "10.96.200.9", "172.20.0.10", "fd00:96::7"] {
            assert!(covered(ip), "{ip}");
        }
        for ip in ["10.95.0.1", "10.97.0.1", "172.20.0.11", "fd00:97::1"] {
            assert!(!covered(ip), "{ip}");
        }
    }

    #[test]
    fn service_cidrs_say_more_than_the_services_that_were_seen() {
        let mut ranges = Ranges::default();
        for service in ["10.96.0.1", "10.96.200.9"] {
            ranges.add_service(service.parse().unwrap());
        }
        assert_eq!(&*ranges.covering(), r#"["10.96.0.0/16"]"#);
        for range in ["10.96.0.0/12", "fd00:96::/112", "10.96.0.0/12"] {
            ranges.add_services(net(range));
        }
        assert_eq!(&*ranges.covering(), r#"["10.96.0.0/12","fd00:96::/112"]"#);
        let holds = |ranges: &Ranges, ip: &str| ranges.contains(ip.parse().unwrap());
        assert!(holds(&ranges, "10.111.0.1") && holds(&ranges, "::ffff:10.111.0.1") && !holds(&ranges, "10.112.0.1"));
        ranges.remove_services(net("10.96.0.0/12"));
        assert!(holds(&ranges, "10.111.0.1"), "another object has it still");
        ranges.remove_services(net("10.96.0.0/12"));
        ranges.remove_services(net("fd00:96::/112"));
        assert_eq!(&*ranges.covering(), r#"["10.96.0.0/16"]"#);
    }

    #[test]
    fn never_more_than_the_bound_and_never_less_than_everything() {
        let scattered: Vec<Cidr> = (0..20_000_u32)
            .map(|i| Cidr::from(IpAddr::V4((0x0b00_0000 + i * 7919).into())))
            .chain(
                (0..20_000_u128)
                    .map(|i| Cidr::from(IpAddr::V6(((0x2001 << 112) | ((i * 7919) << 64)).into())).shortened(64)),
            )
            .collect();
        let covering = cover(scattered.clone());
        assert!(covering.len() <= MOST_PREFIXES, "{}", covering.len());
        for range in scattered {
            assert!(covering.iter().any(|cover| cover.covers(range)), "{range}");
        }
    }

    #[test]
    fn the_longest_pod_range_names_the_node() {
        let mut ranges = Ranges::default();
        ranges.add_pods(net("10.244.0.0/16"), 1);
        ranges.add_pods(net("10.244.3.0/24"), 2);
        ranges.add_pods(net("10.244.3.7/32"), 3);
        assert_eq!(ranges.nodes("10.244.3.7".parse().unwrap()), [3]);
        assert_eq!(ranges.nodes("10.244.3.8".parse().unwrap()), [2]);
        assert_eq!(ranges.nodes("10.244.4.8".parse().unwrap()), [1]);
        assert_eq!(ranges.nodes("10.245.4.8".parse().unwrap()), [0_u32; 0]);
        ranges.remove_pods(net("10.244.3.0/24"), 2);
        assert_eq!(ranges.nodes("10.244.3.8".parse().unwrap()), [1]);
    }
}
