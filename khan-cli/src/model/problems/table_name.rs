//! What the name of a connection table tells of it. Prometheus knows no more of a map than its name.

use std::net::IpAddr;

use khan_api::{Protocol, TableStats};

/// What becomes of connections when a table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// The kernel gives up entries that it may, and else drops new connections; it counts both.
    Counted,
    /// An LRU map evicts the entries used longest ago, and nothing counts them: Cilium's, and Calico's since 3.31 (`_ct4`).
    Evicts,
    /// A plain hash map takes no new entry: Calico's before 3.31 (`_ct3`).
    Refuses,
}

/// What the table of this name does when it is full.
pub(super) fn when_full(name: &str) -> WhenFull {
    match name {
        TableStats::KERNEL => WhenFull::Counted,
        calico if calico.starts_with("cali_") && calico.ends_with("_ct3") => WhenFull::Refuses,
        _ => WhenFull::Evicts,
    }
}

/// Whether the table of this name may hold connections of this transport and this client, as far as these are known.
pub(super) fn may_hold(name: &str, protocol: Option<Protocol>, client: Option<IpAddr>) -> bool {
    let family = |number: &str| client.is_none_or(|ip| number.starts_with(if ip.is_ipv6() { '6' } else { '4' }));
    if let Some(calico) = name.strip_prefix("cali_v") {
        return family(calico);
    }
    let Some(cilium) = name.strip_prefix("cilium_ct") else { return true };
    match cilium.strip_prefix("_any") {
        Some(any) => protocol != Some(Protocol::Tcp) && family(any),
        None => protocol.is_none_or(|protocol| protocol == Protocol::Tcp) && family(cilium),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_for_some_transports_of_one_family() {
        let [v4, v6] = ["10.0.0.1", "fd00::1"].map(|ip| ip.parse::<IpAddr>().ok());
        let all = [(Protocol::Tcp, v4), (Protocol::Udp, v4), (Protocol::Tcp, v6), (Protocol::Sctp, v6)];
        for (name, expected) in [
            ("nf_conntrack", [true, true, true, true]),
            ("cilium_ct4_global", [true, false, false, false]),
            ("cilium_ct_any4_global", [false, true, false, false]),
            ("cilium_ct6_global", [false, false, true, false]),
            ("cilium_ct_any6_global", [false, false, false, true]),
            ("cali_v4_ct4", [true, true, false, false]),
            ("cali_v6_ct3", [false, false, true, true]),
        ] {
            assert_eq!(all.map(|(protocol, client)| may_hold(name, Some(protocol), client)), expected, "{name}");
        }
        assert!(may_hold("cilium_ct6_global", None, None), "as Prometheus tells");
    }
}
