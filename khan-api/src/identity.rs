//! Who an address belongs to, and who had it before.

use std::num::NonZeroU32;

use serde::Serialize;

use crate::bounded;
use crate::owner::{Owner, read_flat};
use crate::service::{Dialled, ServiceName};
use crate::text::{Label, Name};
use crate::time::Timestamp;

/// The owner of an address, since when, and who had it before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity<L = Label, N = Name> {
    /// The present owner.
    #[serde(flatten)]
    pub owner: Owner<L, N>,
    /// When the present owner got the address, as far as the controller knows.
    #[serde(serialize_with = "empty_or_time::serialize")]
    pub since: Option<Timestamp>,
    /// Who had the address before, latest first.
    pub previous: Vec<PreviousOwner<L, N>>,
    /// The services that list the address among their endpoints, in whatever condition. Says nothing unless the answer says
    /// [since when](crate::ResolveAnswer::endpoints) endpoints are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceName<L, N>>,
    /// When that list last changed, where it was seen to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services_changed: Option<Timestamp>,
    /// How many connections the present owner can take, as its [annotation](crate::limit::MAX_CONNECTIONS) says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<NonZeroU32>,
    /// Services that lead to a port of the address, where exactly one lists it with that port and has a cluster address: what
    /// clients dialled when the node's table does not show it. Only in answers to [who asks for it](crate::routes::DIALLED).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dialled: Vec<Dialled>,
}

/// Most previous owners of one address that a reader takes, twice as many as the controller remembers.
const MOST_PREVIOUS: usize = 16;
/// Most services of one address that are written, and read; with so many there may be more.
pub const MAX_SERVICES: usize = 32;
/// Most ports of one address of which it is told what was dialled.
pub const MAX_DIALLED: usize = 64;

read_flat!(Identity {
    #[serde(default, with = "empty_or_time")]
    since: Option<Timestamp>,
    #[serde(default, deserialize_with = "bounded::first::<_, _, MOST_PREVIOUS>")]
    previous: Vec<PreviousOwner>,
    #[serde(default, deserialize_with = "bounded::first::<_, _, MAX_SERVICES>")]
    services: Vec<ServiceName>,
    #[serde(default)]
    services_changed: Option<Timestamp>,
    #[serde(default)]
    limit: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "bounded::first::<_, _, MAX_DIALLED>")]
    dialled: Vec<Dialled>,
});

/// Who had an address before its present owner, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreviousOwner<L = Label, N = Name> {
    /// That owner.
    #[serde(flatten)]
    pub owner: Owner<L, N>,
    /// When it got the address.
    #[serde(serialize_with = "empty_or_time::serialize")]
    pub since: Option<Timestamp>,
    /// When it lost the address.
    #[serde(serialize_with = "empty_or_time::serialize")]
    pub until: Option<Timestamp>,
}

read_flat!(PreviousOwner {
    #[serde(default, with = "empty_or_time")]
    since: Option<Timestamp>,
    #[serde(default, with = "empty_or_time")]
    until: Option<Timestamp>,
});

/// A time that is an empty string when it is not known, so that the field is always a string.
mod empty_or_time {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::time::Timestamp;

    #[expect(clippy::ref_option, reason = "serde hands fields by reference")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => time.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        match Option::<Cow<'de, str>>::deserialize(deserializer)?.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{"type":"pod","ns":"shop","app":"web","workload":"web","name":"web-6d4cf56db6-abcde","node":"n1","since":"2026-11-22T10:00:00Z","previous":[]}"#;

    #[test]
    fn the_wire_form_is_the_documented_one() {
        let identity: Identity = serde_json::from_str(POD).unwrap();
        assert_eq!(identity.since, Some("2026-11-22T10:00:00Z".parse().unwrap()));
        assert_eq!(serde_json::to_string(&identity).unwrap(), POD);
    }

    #[test]
    fn a_limit_is_said_where_there_is_one() {
        let text = POD.replace("[]", r#"[],"limit":100"#);
        let identity: Identity = serde_json::from_str(&text).unwrap();
        assert_eq!(identity.limit, NonZeroU32::new(100));
        assert_eq!(serde_json::to_string(&identity).unwrap(), text);
    }

    #[test]
    fn a_previous_owner_is_as_flat_as_the_present_one() {
        let before = r#"{"type":"pod","ns":"shop","app":"","workload":"","name":"web-0","node":"n1","since":"","until":"2026-11-22T09:59:00Z"}"#;
        let text = POD.replace("[]", &format!("[{before}]"));
        let identity: Identity = serde_json::from_str(&text).unwrap();
        assert_eq!((identity.previous[0].owner.name.as_str(), identity.previous[0].since), ("web-0", None));
        assert_eq!(serde_json::to_string(&identity).unwrap(), text);
        let [owner, previous] = [&identity.owner, &identity.previous[0].owner].map(Owner::as_deref);
        let PreviousOwner { since, until, .. } = identity.previous[0];
        let previous = vec![PreviousOwner { owner: previous, since, until }];
        let borrowed = Identity { owner, since: identity.since, previous, ..Identity::default() };
        assert_eq!(serde_json::to_string(&borrowed).unwrap(), text);
    }

    #[test]
    fn services_are_left_out_where_there_are_none() {
        let more =
            r#""previous":[],"services":[{"ns":"shop","name":"web"}],"services_changed":"2026-11-22T10:00:01Z"}"#;
        let text = POD.replace(r#""previous":[]}"#, more);
        let identity: Identity = serde_json::from_str(&text).unwrap();
        assert_eq!(identity.services, [ServiceName { ns: "shop".into(), name: "web".into() }]);
        assert_eq!(serde_json::to_string(&identity).unwrap(), text);
        let many = format!(r#"{{"services":[{}{{"ns":"a","name":"b"}}]}}"#, r#"{"ns":"a","name":"b"},"#.repeat(10_000));
        assert_eq!(serde_json::from_str::<Identity>(&many).unwrap().services.len(), MAX_SERVICES);
    }

    #[test]
    fn missing_and_unknown_fields_do_not_stop_a_reader() {
        let identity: Identity = serde_json::from_str(r#"{"type":"quasar","colour":"blue","since":""}"#).unwrap();
        assert_eq!(identity, Identity::default());
        assert!(serde_json::to_string(&identity).unwrap().contains(r#""since":"""#));
    }

    #[test]
    fn a_reader_takes_no_more_previous_owners_than_it_could_show() {
        let many = format!(r#"{{"name":"web","previous":[{}{{}}]}}"#, r#"{"name":"old"},"#.repeat(100_000));
        let identity: Identity = serde_json::from_str(&many).unwrap();
        assert_eq!((identity.owner.name.as_str(), identity.previous.len()), ("web", MOST_PREVIOUS));
    }
}
