//! Virtual Ethernet pairs between hosts.

use std::fmt::Write;
use std::net::IpAddr;

use crate::{Host, Result};

/// One end of a pair: interface `name` on `host` with `addresses`, each with its prefix length.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The host of this end.
    pub host: &'a Host,
    /// Interface name, at most 15 bytes.
    pub name: &'a str,
    /// `10.0.0.1/24`, `fd00::1/64`, ...
    pub addresses: &'a [&'a str],
}

/// Makes a veth pair with both ends up and every address usable at once.
pub fn link(a: Link<'_>, b: Link<'_>) -> Result {
    a.host.run(["ip", "link", "add", a.name, "type", "veth", "peer", "name", b.name, "netns", b.host.path()])?;
    for end in [a, b] {
        let mut batch = String::new();
        for address in end.addresses {
            // Duplicate address detection would make an IPv6 address wait for a second.
            let is_v6 = address.split('/').next().is_some_and(|ip| matches!(ip.parse(), Ok(IpAddr::V6(_))));
            let nodad = if is_v6 { " nodad" } else { "" };
            writeln!(batch, "address add {address} dev {}{nodad}", end.name).expect("writing to a String");
        }
        writeln!(batch, "link set {} up", end.name).expect("writing to a String");
        end.host.run_with_input(["ip", "-batch", "-"], &batch)?;
    }
    Ok(())
}
