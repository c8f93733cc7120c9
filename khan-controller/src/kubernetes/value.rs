//! What fields hold: lists, times, addresses and ranges.

use std::net::IpAddr;
use std::str::FromStr;

use khan_api::{Cidr, Protocol, Timestamp};

use super::error::ObjectError;
use super::field::{Field, Shape};

/// The elements of a list; absent is empty.
pub(super) fn elements<T>(list: Field<Vec<Field<T>>>, name: &'static str) -> Result<Vec<T>, ObjectError>
where
    T: for<'de> Shape<'de>,
{
    let mut elements = Vec::new();
    for element in list.optional(name)?.unwrap_or_default() {
        elements.extend(element.optional(name)?);
    }
    Ok(elements)
}

pub(super) fn time(field: Field<String>, name: &'static str) -> Result<Option<Timestamp>, ObjectError> {
    let text = field.optional(name)?.filter(|text| !text.is_empty());
    text.map(|text| parsed(&text, name, "an RFC 3339 time")).transpose()
}

pub(super) fn address(text: &str, field: &'static str) -> Result<IpAddr, ObjectError> {
    parsed::<IpAddr>(text, field, "an IP address").map(|ip| ip.to_canonical())
}

pub(super) fn range(text: &str, field: &'static str) -> Result<Cidr, ObjectError> {
    let expected = "a CIDR";
    // Khan's own files may name a single address; Kubernetes has no such range.
    if !text.contains('/') {
        return Err(ObjectError::Malformed { field, text: text.into(), expected });
    }
    parsed(text, field, expected).map(Cidr::canonical)
}

pub(super) fn protocol(text: String, field: &'static str) -> Result<Protocol, ObjectError> {
    let known = |protocol: &Protocol| protocol.as_str().eq_ignore_ascii_case(&text);
    let found = Protocol::ALL.into_iter().find(known);
    found.ok_or(ObjectError::Malformed { field, text, expected: "TCP, UDP or SCTP" })
}

/// `expected` finishes the sentence "the field is ..., which is not ...".
pub(super) fn parsed<T: FromStr>(text: &str, field: &'static str, expected: &'static str) -> Result<T, ObjectError> {
    text.parse().map_err(|_| ObjectError::Malformed { field, text: text.into(), expected })
}
