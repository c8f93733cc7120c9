//! A key and a value, and how their fields are put in.

use std::net::{IpAddr, SocketAddr};

/// One entry of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the map's pin.
    pub map: &'static str,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

/// Puts `field` at this place.
pub(super) fn put(bytes: &mut [u8], at: usize, field: impl AsRef<[u8]>) {
    let field = field.as_ref();
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The address's bytes, in network order.
pub(super) fn octets(address: SocketAddr) -> Vec<u8> {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
