//! What the tables are filled with, through ctnetlink NEW.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use khan_agent::flows::netlink::sysctl;
use khan_lab::{Host, Lab, LabError, Result, Seed};

/// A mix of entries, made from their number.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    seed: fn(u32, u32) -> Seed,
    /// Entries for each distinct pair.
    per_pair: f64,
}

/// What a node of a cluster holds: connections to services behind destination NAT, direct ones, egress behind a
/// masquerade, a tenth of it DNS. 80,000 pairs at 1,000,000 entries.
pub(crate) const USUAL: Mix = Mix { name: "usual", seed: |n, pairs| usual(n, pairs, v4), per_pair: 12.5 };
/// The same over IPv6.
pub(crate) const SIX: Mix = Mix { name: "IPv6", seed: |n, pairs| usual(n, pairs, v6), per_pair: 12.5 };
/// Every pair differs.
pub(crate) const UNIQUE: Mix = Mix { name: "unique", seed: |n, pairs| usual(n, pairs, v4), per_pair: 1.0 };
/// The same over IPv6.
pub(crate) const UNIQUE_SIX: Mix = Mix { name: "unique IPv6", seed: |n, pairs| usual(n, pairs, v6), per_pair: 1.0 };

/// Why a table of so many entries cannot be made here.
pub(crate) fn fits(entries: u32) -> std::result::Result<(), String> {
    let limit = sysctl::read("nf_conntrack_max").unwrap_or(0);
    if limit >= u64::from(entries) {
        return Ok(());
    }
    Err(format!(
        "a table of {entries} entries does not fit below nf_conntrack_max, which is {limit}: raise it for the time of the \
         run (sysctl net.netfilter.nf_conntrack_max), it counts for the whole machine"
    ))
}

impl Mix {
    /// A namespace whose table holds that many entries.
    pub(crate) fn table(self, lab: &Lab, entries: u32) -> Result<Host> {
        fits(entries).map_err(LabError::Missing)?;
        let host = lab.host("node")?;
        self.fill(&host, entries)?;
        Ok(host)
    }

    /// Adds that many entries.
    pub(crate) fn fill(self, host: &Host, entries: u32) -> Result {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the entries")]
        let pairs = (f64::from(entries) / self.per_pair).ceil() as u32;
        host.seed((0..entries).map(|n| (self.seed)(n, pairs)))?;
        Ok(())
    }
}

fn v4(net: u8, host: u32) -> IpAddr {
    Ipv4Addr::from_bits(u32::from(net) << 24 | host).into()
}

fn v6(net: u8, host: u32) -> IpAddr {
    Ipv6Addr::from_bits(0xfd00_u128 << 112 | u128::from(net) << 64 | u128::from(host)).into()
}

/// The `n`th entry, of the pair `n % pairs`: a client, and one of sixteen things that it talks to.
fn usual(n: u32, pairs: u32, address: fn(u8, u32) -> IpAddr) -> Seed {
    let (pair, round) = (n % pairs, n / pairs);
    let (client, other) = (pair / 16, pair % 16);
    let port = u16::try_from(32_768 + round).unwrap_or_default();
    let client_end = SocketAddr::new(address(10, client), port);
    let service = |port| SocketAddr::new(address(11, other), port);
    let backend = |port| SocketAddr::new(address(12, other * 256 + client % 4), port);
    let seed = match pair % 10 {
        0 => Seed::udp(client_end, service(53)).backend(backend(53)),
        1..=5 => Seed::tcp(client_end, service(443)).backend(backend(8443)),
        6..=7 => {
            let outside = SocketAddr::new(address(100, pair), 443);
            Seed::tcp(client_end, outside).masqueraded_as(SocketAddr::new(address(172, 1), port))
        }
        _ => Seed::tcp(client_end, backend(5432)),
    };
    seed.timeout(86_000)
}
