//! What `conntrack -L -o xml` says: a reading of the kernel's table that shares no code with Khan's.

use std::net::IpAddr;

use roxmltree::{Document, Node};

use crate::{LabError, Result};

/// Addresses and ports of one direction; ports are 0 where the protocol has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Source port.
    pub src_port: u16,
    /// Destination address.
    pub dst: IpAddr,
    /// Destination port.
    pub dst_port: u16,
}

impl Tuple {
    /// From two socket addresses.
    pub fn new(src: impl Into<std::net::SocketAddr>, dst: impl Into<std::net::SocketAddr>) -> Self {
        let (src, dst) = (src.into(), dst.into());
        Self { src: src.ip(), src_port: src.port(), dst: dst.ip(), dst_port: dst.port() }
    }

    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { src: self.dst, src_port: self.dst_port, dst: self.src, dst_port: self.src_port }
    }
}

/// One entry of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the transport protocol.
    pub protocol: u8,
    /// Its name as conntrack-tools print it; `unknown` where they know none.
    pub protocol_name: String,
    /// Original direction.
    pub orig: Tuple,
    /// Reply direction.
    pub reply: Tuple,
    /// `ESTABLISHED`, ...; only protocols with states have one.
    pub state: Option<String>,
    /// Seconds left; absent for offloaded entries.
    pub timeout: Option<u32>,
    /// Connection mark.
    pub mark: u32,
    /// Conntrack zone; 0 is the default zone.
    pub zone: u16,
    /// Traffic in both directions was seen and the entry is not dropped early.
    pub assured: bool,
    /// No packet of the reply direction was seen.
    pub unreplied: bool,
    /// Packets of the reply direction, where the kernel counts them.
    pub reply_packets: Option<u64>,
}

/// Reads conntrack-tools' XML.
pub fn parse(xml: &str) -> Result<Vec<Entry>> {
    // An empty table gives no document at all.
    if xml.trim().is_empty() {
        return Ok(Vec::new());
    }
    let document =
        Document::parse(xml).map_err(|error| LabError::Malformed(format!("conntrack -L -o xml: {error}")))?;
    document.descendants().filter(|node| node.has_tag_name("flow")).map(flow).collect()
}

fn flow(flow: Node<'_, '_>) -> Result<Entry> {
    let meta = |direction: &str| {
        flow.children()
            .find(|node| node.attribute("direction") == Some(direction))
            .ok_or_else(|| malformed(flow, &format!("no part about the {direction} direction")))
    };
    let (orig, reply, rest) = (meta("original")?, meta("reply")?, meta("independent")?);
    let layer4 = child(orig, "layer4").ok_or_else(|| malformed(flow, "no layer4"))?;
    let number = layer4.attribute("protonum").and_then(|text| text.parse().ok());
    Ok(Entry {
        protocol: number.ok_or_else(|| malformed(flow, "no protonum"))?,
        protocol_name: layer4.attribute("protoname").unwrap_or_default().to_owned(),
        orig: tuple(orig)?,
        reply: tuple(reply)?,
        state: child(rest, "state").and_then(|node| node.text()).map(str::to_owned),
        timeout: optional_number(rest, "timeout")?,
        mark: optional_number(rest, "mark")?.unwrap_or(0),
        zone: optional_number(rest, "zone")?.unwrap_or(0),
        assured: child(rest, "assured").is_some(),
        unreplied: child(rest, "unreplied").is_some(),
        reply_packets: match child(reply, "counters") {
            Some(counters) => optional_number(counters, "packets")?,
            None => None,
        },
    })
}

fn tuple(direction: Node<'_, '_>) -> Result<Tuple> {
    let address = |name: &str| {
        let text = child(direction, "layer3").and_then(|layer3| child(layer3, name)).and_then(|node| node.text());
        text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(direction, &format!("no {name} address")))
    };
    let port = |name: &str| match child(direction, "layer4") {
        Some(layer4) => Ok(optional_number(layer4, name)?.unwrap_or(0)),
        None => Ok(0),
    };
    Ok(Tuple { src: address("src")?, src_port: port("sport")?, dst: address("dst")?, dst_port: port("dport")? })
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|node| node.has_tag_name(name))
}

fn optional_number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Result<Option<T>> {
    let Some(text) = child(node, name).and_then(|node| node.text()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| malformed(node, &format!("{name} is {text}")))
}

fn malformed(node: Node<'_, '_>, problem: &str) -> LabError {
    LabError::Malformed(format!("conntrack -L -o xml: {problem} in {}", &node.document().input_text()[node.range()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONED: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<conntrack>
<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>1.2.3.4</src><dst>5.6.7.8</dst></layer3><layer4 protonum="6" protoname="tcp"><sport>1</sport><dport>2</dport></layer4></meta><meta direction="reply"><layer3 protonum="2" protoname="ipv4"><src>9.9.9.9</src><dst>1.2.3.4</dst></layer3><layer4 protonum="6" protoname="tcp"><sport>3</sport><dport>1</dport></layer4></meta><meta direction="independent"><state>ESTABLISHED</state><timeout>100</timeout><mark>0</mark><zone>5</zone><use>1</use><id>2917956988</id><unreplied/></meta></flow>
<flow><meta direction="original"><layer3 protonum="10" protoname="ipv6"><src>::1</src><dst>::1</dst></layer3><layer4 protonum="17" protoname="udp"><sport>32898</sport><dport>7000</dport></layer4></meta><meta direction="reply"><layer3 protonum="10" protoname="ipv6"><src>::1</src><dst>::1</dst></layer3><layer4 protonum="17" protoname="udp"><sport>7000</sport><dport>32898</dport></layer4></meta><meta direction="independent"><timeout>29</timeout><mark>7</mark><use>1</use><assured/></meta></flow>
</conntrack>"#;

    #[test]
    fn reads_what_conntrack_prints() {
        let entries = parse(ZONED).unwrap();
        assert_eq!(entries.len(), 2);
        let tcp = &entries[0];
        assert_eq!((tcp.protocol, tcp.zone, tcp.timeout), (6, 5, Some(100)));
        assert_eq!((tcp.assured, tcp.unreplied, tcp.state.as_deref()), (false, true, Some("ESTABLISHED")));
        assert_eq!(tcp.reply, Tuple::new(([9, 9, 9, 9], 3), ([1, 2, 3, 4], 1)));
        let udp = &entries[1];
        assert_eq!((udp.protocol_name.as_str(), udp.state.as_deref(), udp.mark, udp.zone), ("udp", None, 7, 0));
        assert_eq!(udp.reply, udp.orig.reversed());
        assert_eq!((udp.assured, udp.unreplied), (true, false));
    }

    #[test]
    fn what_is_not_an_entry_is_an_error() {
        assert_eq!(parse(" \n").unwrap(), []);
        assert!(parse("<conntrack><flow/></conntrack>").unwrap_err().to_string().contains("original"));
        assert!(parse(&ZONED.replace("<src>1.2.3.4<", "<src>1.2.3<")).is_err());
        assert!(parse("<conntrack>").is_err());
    }
}
