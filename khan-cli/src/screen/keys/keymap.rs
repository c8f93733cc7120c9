//! Keys to actions: the defaults of [`BINDINGS`] with what the configuration changes.

use std::collections::HashMap;

use super::{Action, BINDINGS, Binding, Context, Key, ParseKeyError};

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
        first: String,
        /// The action that wants it.
        second: String,
    },
}

impl KeymapError {
    fn duplicate(key: Key, first: &str, second: &str) -> Self {
        Self::Duplicate { key, first: first.to_owned(), second: second.to_owned() }
    }
}

/// The bindings in force.
#[derive(Debug)]
pub struct Keymap {
    /// What a key does in a context.
    actions: HashMap<(Context, Key), Action>,
    /// The table with the keys in force.
    bindings: Vec<(&'static Binding, Vec<Key>)>,
}

impl Keymap {
    /// The defaults, with the keys of the named actions replaced.
    pub fn new<'a>(overrides: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>) -> Result<Self, KeymapError> {
        let mut bindings: Vec<_> = BINDINGS.iter().map(|binding| (binding, binding.keys.to_vec())).collect();
        for (name, texts) in overrides {
            let slot = bindings.iter_mut().find(|(binding, _)| binding.name == name);
            let (_, slot) = slot.ok_or_else(|| KeymapError::UnknownAction(name.to_owned()))?;
            let parsed: Result<Vec<Key>, _> = texts.into_iter().map(str::parse).collect();
            *slot = parsed.map_err(|source| KeymapError::BadKey { action: name.to_owned(), source })?;
        }
        let mut owners: HashMap<(Context, Key), &Binding> = HashMap::new();
        for (binding, keys) in &bindings {
            for (key, context) in keys.iter().flat_map(|key| binding.contexts.iter().map(move |c| (*key, *c))) {
                if let Some(first) = owners.insert((context, key), binding) {
                    return Err(KeymapError::duplicate(key, first.name, binding.name));
                }
            }
        }
        let actions = owners.into_iter().map(|(place, binding)| (place, binding.action)).collect();
        Ok(Self { actions, bindings })
    }

    /// Gives saved views the keys that they have, in lists of rows.
    pub fn with_views(mut self, views: &[(&str, Option<Key>)]) -> Result<Self, KeymapError> {
        for (at, (view, key)) in views.iter().enumerate() {
            let Some(key) = *key else { continue };
            for context in [Context::Table, Context::Problems, Context::Leaks] {
                if let Some(first) = self.actions.insert((context, key), Action::Saved(at)) {
                    let first = match first {
                        Action::Saved(at) => views[at].0,
                        action => self.listed(context).find(|(b, _)| b.action == action).map_or("", |(b, _)| b.name),
                    };
                    return Err(KeymapError::duplicate(key, first, &format!("the view {view}")));
                }
            }
        }
        Ok(self)
    }

    /// What `key` does in `context`.
    pub fn find(&self, context: Context, key: Key) -> Option<Action> {
        self.actions.get(&(context, key)).copied()
    }

    /// The bindings of a context with the keys in force, in the table's order.
    pub fn listed(&self, context: Context) -> impl Iterator<Item = (&'static Binding, &[Key])> {
        let here = self.bindings.iter().filter(move |(binding, _)| binding.contexts.contains(&context));
        here.map(|(binding, keys)| (*binding, keys.as_slice()))
    }

    /// The first key of an action in a context and its hint.
    pub fn first(&self, context: Context, action: Action) -> Option<(Key, &'static str)> {
        let (binding, keys) = self.listed(context).find(|(binding, _)| binding.action == action)?;
        Some((*keys.first()?, binding.hint))
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new([]).expect("the table has no duplicates: a test says so")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::keys::footer;

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
        for (i, binding) in BINDINGS.iter().enumerate() {
            assert!(BINDINGS[..i].iter().all(|other| other.name != binding.name), "{}", binding.name);
            // Two columns of help fit 80 cells.
            assert!((1..=21).contains(&binding.help.len()), "{}: {}", binding.name, binding.help);
            assert!(!binding.contexts.is_empty());
        }
        for context in Context::ALL {
            for (actions, _) in footer(context) {
                assert!(actions.iter().all(|action| map.first(context, *action).is_some()), "{context:?} {actions:?}");
                assert!(!map.first(context, actions[0]).unwrap().1.is_empty(), "{context:?} {actions:?}");
            }
        }
    }

    #[test]
    fn escape_never_quits_and_every_screen_can_be_left() {
        let map = Keymap::default();
        for context in Context::ALL {
            assert_eq!(map.find(context, "Esc".parse().unwrap()), Some(Action::Back));
            assert_eq!(map.find(context, Key::char('q')), Some(Action::Quit));
            assert_eq!(map.find(context, Key::ctrl('c')), Some(Action::Interrupt));
            assert_eq!(map.find(context, Key::char('?')), Some(Action::Help));
        }
    }

    #[test]
    fn configured_keys_replace_the_defaults() {
        let map = Keymap::new([("pause", vec!["F5", "Ctrl-p"])]).unwrap();
        assert_eq!(map.find(Context::Table, "F5".parse().unwrap()), Some(Action::Pause));
        assert_eq!(map.find(Context::Table, Key::char('p')), None);
    }

    #[test]
    fn saved_views_have_keys_that_nothing_else_has() {
        let views = |keys: [&str; 2]| {
            let keys = keys.map(|key| key.parse().ok());
            Keymap::default().with_views(&[("slow", keys[0]), ("pay", keys[1])]).map_err(|error| error.to_string())
        };
        let map = views(["F2", ""]).unwrap();
        assert_eq!(map.find(Context::Leaks, "F2".parse().unwrap()), Some(Action::Saved(0)));
        assert_eq!(map.find(Context::Drill, "F2".parse().unwrap()), None);
        assert_eq!(views(["F2", "p"]).unwrap_err(), "p would be both pause and the view pay");
        assert_eq!(views(["F2", "F2"]).unwrap_err(), "F2 would be both slow and the view pay");
    }

    #[test]
    fn what_cannot_be_bound_is_named() {
        let error = |name, keys| Keymap::new([(name, keys)]).unwrap_err().to_string();
        assert_eq!(error("pause", vec!["q"]), "q would be both pause and quit");
        assert!(error("warp", vec!["x"]).contains("\"warp\""));
        assert!(error("pause", vec!["Hyper-x"]).starts_with("the keys of pause: no key is called"));
    }
}
