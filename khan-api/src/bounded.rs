//! Lists and maps that a peer cannot make longer than any honest one.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer};

/// A list of at most `MOST` items; a longer one is an error before its rest is read.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(d: D) -> Result<Vec<T>, D::Error> {
    struct Visitor<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> de::Visitor<'de> for Visitor<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST}")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = seq.next_element()? {
                if list.len() == MOST {
                    return Err(de::Error::invalid_length(MOST + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }
    d.deserialize_seq(Visitor::<T, MOST>(PhantomData))
}

/// The first `MOST` items of a list; the rest is skipped as it is read.
pub fn first<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(d: D) -> Result<Vec<T>, D::Error> {
    struct Visitor<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> de::Visitor<'de> for Visitor<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while list.len() < MOST {
                let Some(item) = seq.next_element()? else { return Ok(list) };
                list.push(item);
            }
            while seq.next_element::<de::IgnoredAny>()?.is_some() {}
            Ok(list)
        }
    }
    d.deserialize_seq(Visitor::<T, MOST>(PhantomData))
}

/// A map of at most `MOST` keys, refused like a [`list`] when it is longer.
pub fn map<'de, D, K, V, const MOST: usize>(d: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    struct Visitor<K, V, const MOST: usize>(PhantomData<(K, V)>);
    impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, const MOST: usize> de::Visitor<'de> for Visitor<K, V, MOST> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a map of at most {MOST}")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry()? {
                if map.len() == MOST && !map.contains_key(&key) {
                    return Err(de::Error::invalid_length(MOST + 1, &self));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }
    d.deserialize_map(Visitor::<K, V, MOST>(PhantomData))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_too_long_is_refused_and_what_is_not_is_read() {
        let text = |n: usize| format!(r#"{{"warnings":[{}]}}"#, vec![r#""x""#; n].join(","));
        assert_eq!(serde_json::from_str::<crate::Snapshot>(&text(100)).unwrap().warnings.len(), 100);
        let error = serde_json::from_str::<crate::Snapshot>(&text(101)).unwrap_err().to_string();
        assert!(error.starts_with("invalid length 101, expected a list of at most 100"), "{error}");
        let keys = |n: usize| (0..n).map(|n| format!(r#""{n}":1"#)).collect::<Vec<_>>().join(",");
        let text = |n: usize| format!(r#"{{"table":{{"stat":{{{}}}}}}}"#, keys(n));
        assert_eq!(serde_json::from_str::<crate::Snapshot>(&text(300)).unwrap().table.stat.len(), 300);
        assert!(serde_json::from_str::<crate::Snapshot>(&text(301)).is_err());
    }
}
