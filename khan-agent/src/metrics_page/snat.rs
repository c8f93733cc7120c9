//! Ports that source translation takes: in, a snapshot; out, `khan_snat_ports` and their limit.

use std::fmt::Write;

use khan_serve::exposition::label;

use crate::snapshot::Snapshot;

const PORTS: &str = "khan_snat_ports";
const PORTS_HELP: &str = "Ports that connections to a destination take of a translated source address, those in TIME_WAIT included. Of \
                          each node the 20 destinations with the most.";
const LIMIT: &str = "khan_snat_ports_limit";
const LIMIT_HELP: &str = "Ports that a translated source address has for each destination (--snat-ports).";
/// The most destinations.
const MOST: usize = 20;

/// Appends both metrics. `node` is that label, written out.
pub(super) fn write(text: &mut String, node: &str, snapshot: &Snapshot) {
    let _ = writeln!(text, "# HELP {PORTS} {PORTS_HELP}\n# TYPE {PORTS} gauge");
    for ports in snapshot.snat.largest.iter().take(MOST) {
        let (src, dst, port) = (ports.src.to_string(), ports.dst.to_string(), ports.port.to_string());
        let _ = write!(text, "{PORTS}{{{node}");
        for (name, value) in
            [("snat_ip", &*src), ("dst_ip", &*dst), ("dst_port", &*port), ("transport", ports.protocol.as_str())]
        {
            text.push(',');
            label(text, name, value);
        }
        let _ = writeln!(text, "}} {}", ports.used);
    }
    let range = snapshot.snat.range;
    let _ = writeln!(text, "# HELP {LIMIT} {LIMIT_HELP}\n# TYPE {LIMIT} gauge\n{LIMIT}{{{node}}} {range}");
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use khan_api::Protocol;
    use khan_api::snapshot::{Snat, SnatPorts};

    use super::*;

    #[test]
    fn the_fullest_are_told_and_no_more() {
        let ports = |n: u8| SnatPorts {
            src: IpAddr::from([172, 18, 0, 1]),
            dst: IpAddr::from([203, 0, 113, n]),
            port: 443,
            protocol: Protocol::Tcp,
            used: 1_000 - u32::from(n),
        };
        let snat = Snat { range: 64_512, largest: (1..=30).map(ports).collect() };
        let mut text = String::new();
        write(&mut text, r#"node="n1""#, &Snapshot { snat, ..Snapshot::default() });
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), MOST + 1);
        assert_eq!(
            lines[0],
            r#"khan_snat_ports{node="n1",snat_ip="172.18.0.1",dst_ip="203.0.113.1",dst_port="443",transport="tcp"} 999"#
        );
        assert_eq!(lines[MOST], r#"khan_snat_ports_limit{node="n1"} 64512"#);
    }
}
