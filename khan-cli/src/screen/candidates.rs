//! What may follow while a line is typed: commands, fields, and the names that there are. The line and the state flow in,
//! candidates flow out; nothing is drawn and nothing is changed here.

mod values;
mod filter;
mod command;

use crate::model::View;
use crate::model::filter::Subject;
use crate::model::names::{names, ports};

use super::columns::orders;
use super::keys::Context;
use super::prompt::Purpose;
use super::saved::Saved;
use super::tab::Tab;
use crate::model::GroupBy;

/// Candidates that are kept at most.
const MOST: usize = 200;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it puts in place of the word.
    pub text: String,
    /// What that means, or how much there is of it.
    pub meaning: String,
}

/// What may take the place of the word before the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Where the word begins, in bytes of the line.
    pub start: usize,
    /// In the order in which Tab goes through them.
    pub list: Vec<Candidate>,
    /// The one that stands in the line now.
    pub chosen: Option<usize>,
}

/// What candidates are found in.
#[derive(Debug)]
pub struct Around<'a> {
    /// The data.
    pub view: &'a View,
    /// Contexts that can be chosen.
    pub contexts: &'a [String],
    /// Views that are saved.
    pub views: &'a [Saved],
    /// Where the line was opened.
    pub context: Context,
    /// The view shown.
    pub tab: Tab,
    /// What makes a row in it.
    pub group_by: GroupBy,
}

#[cfg(test)]
impl<'a> Around<'a> {
    /// The list of edges.
    const fn edges(view: &'a View, contexts: &'a [String], views: &'a [Saved]) -> Self {
        Self { view, contexts, views, context: Context::Table, tab: Tab::Edges, group_by: GroupBy::EDGES }
    }
}

/// Names that have been collected of a view: one takes a look at every row.
#[derive(Debug, Default)]
pub struct Names {
    of: Option<(u64, Wanted)>,
    list: Vec<(String, u64)>,
}

/// Which names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Of(Subject),
    Ports,
}

impl Names {
    fn get(&mut self, view: &View, wanted: Wanted) -> &[(String, u64)] {
        if self.of != Some((view.id, wanted)) {
            self.of = Some((view.id, wanted));
            self.list = match wanted {
                Wanted::Of(subject) => names(view, subject),
                Wanted::Ports => ports(view),
            };
        }
        &self.list
    }
}

impl Candidates {
    /// What may take the place of the last word of `head`, the line as far as the cursor.
    pub fn of(purpose: Purpose, head: &str, around: &Around<'_>, names: &mut Names) -> Self {
        match purpose {
            Purpose::Filter => filter::candidates(head, around, names),
            Purpose::Command => command::candidates(head, around, names),
            Purpose::Search | Purpose::Export => Self::default(),
        }
    }

    /// Those that begin with `word`, then those that hold it, in their order; in any case.
    fn fitting(start: usize, word: &str, all: impl Iterator<Item = Candidate>) -> Self {
        let word = word.to_lowercase();
        let (mut list, mut within) = (Vec::new(), Vec::new());
        for candidate in all {
            let text = candidate.text.to_lowercase();
            if text.trim_end() == word {
                // Nothing is left to complete.
            } else if text.starts_with(&word) {
                list.push(candidate);
            } else if text.contains(&word) {
                within.push(candidate);
            }
        }
        list.extend(within);
        list.truncate(MOST);
        Self { start, list, chosen: None }
    }

    /// The same further on in a line, of which these were the candidates from `by` on.
    fn shifted(self, by: usize) -> Self {
        Self { start: self.start + by, ..self }
    }

    /// What all of them begin with that begin with `word`, where that is more than `word`.
    pub fn common(&self, word: &str) -> Option<&str> {
        let mut begin = self.list.iter().map(|candidate| &*candidate.text).filter(|text| text.starts_with(word));
        let first = begin.next()?;
        let same = |a: &str, b: &str| a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b).map(|((i, _), _)| i);
        let common = begin.fold(first, |common, text| {
            let end = same(common, text).unwrap_or_else(|| common.len().min(text.len()));
            &common[..end]
        });
        (common.len() > word.len()).then_some(common)
    }

    /// The one after the one chosen, or before it.
    pub fn beside(&self, step: isize) -> Option<usize> {
        let last = self.list.len().checked_sub(1)?;
        Some(match (self.chosen, step) {
            (None, 0..) => 0,
            (None, _) => last,
            (Some(at), 0..) => {
                if at == last {
                    0
                } else {
                    at + 1
                }
            }
            (Some(at), _) => at.checked_sub(1).unwrap_or(last),
        })
    }
}

impl Candidate {
    fn new(text: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { text: text.into(), meaning: meaning.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(texts: &[&str], word: &str) -> Candidates {
        Candidates::fitting(0, word, texts.iter().map(|text| Candidate::new(*text, "")))
    }

    #[test]
    fn what_begins_so_comes_first() {
        let found = candidates(&["shop/cart", "cart", "redis", "Cart-2"], "car");
        assert_eq!(found.list.iter().map(|one| &*one.text).collect::<Vec<_>>(), ["cart", "Cart-2", "shop/cart"]);
        assert!(candidates(&["src:"], "src:").list.is_empty());
    }

    #[test]
    fn a_word_grows_as_far_as_it_is_certain() {
        assert_eq!(candidates(&["shop/cart", "shop/checkout"], "s").common("s"), Some("shop/c"));
        assert_eq!(candidates(&["shop/cart", "shop/checkout"], "shop/c").common("shop/c"), None);
        assert_eq!(candidates(&["shop/cart", "my-shop/checkout"], "shop").common("shop"), Some("shop/cart"));
        assert_eq!(candidates(&["é1", "é2"], "").common(""), Some("é"));
    }

    #[test]
    fn tab_goes_round() {
        let mut found = candidates(&["a", "b"], "");
        let mut seen = Vec::new();
        for step in [1, 1, 1, -1, -1] {
            found.chosen = found.beside(step);
            seen.push(found.chosen.unwrap());
        }
        assert_eq!(seen, [0, 1, 0, 1, 0]);
        assert_eq!(candidates(&[], "").beside(1), None);
    }
}
