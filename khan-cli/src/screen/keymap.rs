//! Keys to actions: the defaults of [`ACTIONS`] with what the configuration changes.

use std::collections::HashMap;

use super::input::{Key, ParseKeyError};
use super::keys::{ACTIONS, Action, Context, Id};

/// Why configured bindings cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No action has this name.
    #[error("no action is called {0:?}; `khan top` lists the names under ?")]
    UnknownAction(String),
    /// A key is not spelt as keys are.
    #[error("the keys of {action}: {source}")]
    BadKey {
        /// The action that is configured.
        action: String,
        /// What is wrong.
        source: ParseKeyError,
    },
    /// Two actions would share a key on one screen.
    #[error("{key} would be both {first} and {second}")]
    Duplicate {
        /// The key.
        key: Key,
        /// The action that has it.
        first: &'static str,
        /// The action that wants it.
        second: &'static str,
    },
}

/// The bindings in force.
#[derive(Debug)]
pub struct Keymap {
    actions: HashMap<(Context, Key), &'static Action>,
    keys: Vec<(&'static Action, Vec<Key>)>,
}

impl Keymap {
    /// The defaults, with the keys of the named actions replaced.
    pub fn new<'a>(overrides: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>) -> Result<Self, KeymapError> {
        let mut keys: Vec<(&'static Action, Vec<Key>)> = ACTIONS.iter().map(|a| (a, a.keys.to_vec())).collect();
        for (name, texts) in overrides {
            let slot = keys.iter_mut().find(|(action, _)| action.name == name);
            let (_, slot) = slot.ok_or_else(|| KeymapError::UnknownAction(name.to_owned()))?;
            let parsed: Result<Vec<Key>, _> = texts.into_iter().map(str::parse).collect();
            *slot = parsed.map_err(|source| KeymapError::BadKey { action: name.to_owned(), source })?;
        }
        let mut actions = HashMap::new();
        for (action, keys) in &keys {
            for (key, context) in keys.iter().flat_map(|key| action.contexts.iter().map(move |c| (*key, *c))) {
                if let Some(first) = actions.insert((context, key), *action) {
                    return Err(KeymapError::Duplicate { key, first: first.name, second: action.name });
                }
            }
        }
        Ok(Self { actions, keys })
    }

    /// What `key` does in `context`.
    pub fn find(&self, context: Context, key: Key) -> Option<Id> {
        self.actions.get(&(context, key)).map(|action| action.id)
    }

    /// The actions of a context with their keys, in the table's order.
    pub fn listed(&self, context: Context) -> impl Iterator<Item = (&'static Action, &[Key])> {
        let here = self.keys.iter().filter(move |(action, _)| action.contexts.contains(&context));
        here.map(|(action, keys)| (*action, keys.as_slice()))
    }

    /// The first key of an action in a context and its hint.
    pub fn first(&self, context: Context, id: Id) -> Option<(Key, &'static str)> {
        let (action, keys) = self.listed(context).find(|(action, _)| action.id == id)?;
        Some((*keys.first()?, action.hint))
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new([]).expect("the table of actions has no duplicates: a test says so")
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::footer;
    use super::*;

    #[test]
    fn the_table_binds_no_key_twice_and_leaves_reserved_keys_alone() {
        let map = Keymap::new([]).unwrap();
        for reserved in "sqabwtn".chars() {
            for context in Context::ALL {
                assert_eq!(map.find(context, Key::ctrl(reserved)), None, "Ctrl-{reserved}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_every_hint_is_bound() {
        let map = Keymap::default();
        for (i, action) in ACTIONS.iter().enumerate() {
            assert!(ACTIONS[..i].iter().all(|other| other.name != action.name), "{}", action.name);
            // Two columns of help fit 80 cells.
            assert!((1..=21).contains(&action.help.len()), "{}: {}", action.name, action.help);
            assert!(!action.contexts.is_empty());
        }
        for context in Context::ALL {
            for (ids, _) in footer(context) {
                assert!(ids.iter().all(|id| map.first(context, *id).is_some()), "{context:?} {ids:?}");
                assert!(!map.first(context, ids[0]).unwrap().1.is_empty(), "{context:?} {ids:?}");
            }
        }
    }

    #[test]
    fn escape_never_quits_and_every_screen_can_be_left() {
        let map = Keymap::default();
        for context in Context::ALL {
            assert_eq!(map.find(context, "Esc".parse().unwrap()), Some(Id::Back));
            assert_eq!(map.find(context, Key::char('q')), Some(Id::Quit));
            assert_eq!(map.find(context, Key::ctrl('c')), Some(Id::Interrupt));
            assert_eq!(map.find(context, Key::char('?')), Some(Id::Help));
        }
    }

    #[test]
    fn configured_keys_replace_the_defaults() {
        let map = Keymap::new([("pause", vec!["F5", "Ctrl-p"])]).unwrap();
        assert_eq!(map.find(Context::Table, "F5".parse().unwrap()), Some(Id::Pause));
        assert_eq!(map.find(Context::Table, Key::char('p')), None);
    }

    #[test]
    fn what_cannot_be_bound_is_named() {
        let error = |name, keys| Keymap::new([(name, keys)]).unwrap_err().to_string();
        assert_eq!(error("pause", vec!["q"]), "q would be both pause and quit");
        assert!(error("warp", vec!["x"]).contains("\"warp\""));
        assert!(error("pause", vec!["Hyper-x"]).starts_with("the keys of pause: no key is called"));
    }
}
