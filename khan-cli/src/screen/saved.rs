//! Views that the user has saved under a name: what to set, and perhaps a key that does it.

use super::keys::{Key, ParseKeyError};
use super::setting::Setting;

/// A saved view. What it does not name stays as it is, so that one with only a filter is a saved filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// What it is called.
    pub name: String,
    /// The key that shows it.
    pub key: Option<Key>,
    /// What it sets, in order.
    pub settings: Vec<Setting>,
    /// The same in words.
    pub summary: String,
}

/// Why a saved view cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// One of its values is wrong.
    #[error("{view}: {reason}")]
    Setting {
        /// The view's name.
        view: String,
        /// One sentence.
        reason: String,
    },
    /// Its key is not spelt as keys are.
    #[error("{view}: key: {source}")]
    Key {
        /// The view's name.
        view: String,
        /// What is wrong.
        source: ParseKeyError,
    },
    /// `:view` takes one word.
    #[error("{0:?} is no name for a view: it holds a space")]
    Name(String),
}

impl Saved {
    /// Reads what the configuration says under a name.
    pub fn read(name: &str, entries: &[(String, String)]) -> Result<Self, SavedError> {
        let view = || name.to_owned();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(SavedError::Name(view()));
        }
        let mut saved = Self { name: view(), key: None, settings: Vec::new(), summary: String::new() };
        for (entry, value) in entries {
            if entry == "key" {
                saved.key = Some(value.parse().map_err(|source| SavedError::Key { view: view(), source })?);
                continue;
            }
            let wrong = |reason| SavedError::Setting { view: view(), reason: format!("{entry}: {reason}") };
            saved.settings.push(Setting::parse(entry, value).map_err(wrong)?);
        }
        saved.settings.sort_by_key(Setting::order);
        let words = Setting::NAMES.iter().filter_map(|name| entries.iter().find(|(entry, _)| entry == name));
        let said = |(name, value): &(String, String)| match value.as_str() {
            "" => format!("no {name}"),
            value => format!("{name} {value}"),
        };
        saved.summary = words.map(said).collect::<Vec<_>>().join("  ");
        Ok(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Saved, SavedError> {
        let entries: Vec<_> = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Saved::read("slow", &entries)
    }

    #[test]
    fn a_view_sets_in_order_what_it_names() {
        let saved =
            read(&[("sort-by", "delta"), ("key", "F2"), ("filter", "src:a or dst:b"), ("view", "edges")]).unwrap();
        assert_eq!(saved.settings.iter().map(Setting::order).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(saved.key, Some("F2".parse().unwrap()));
        assert_eq!(saved.summary, "view edges  filter src:a or dst:b  sort-by delta");
    }

    #[test]
    fn what_is_wrong_is_said_with_the_views_name() {
        let error = |entries| read(entries).unwrap_err().to_string();
        assert!(error(&[("filter", "prot:x")]).starts_with("slow: filter: there is no field \"prot\""));
        assert!(error(&[("fliter", "x")]).ends_with("can be set (did you mean filter?)"));
        assert!(error(&[("key", "Hyper-x")]).starts_with("slow: key: no key is called"));
        assert!(Saved::read("two words", &[]).is_err());
    }
}
