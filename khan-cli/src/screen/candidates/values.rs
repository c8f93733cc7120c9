//! Candidates for values.

use super::{Around, Candidate, Candidates, Names, Wanted};
use crate::model::filter::Subject;
use crate::model::filter::quote;
use crate::screen::format;

/// Values with commas between them: the last one is completed, and none is offered twice.
pub(super) fn listed(text: &str, all: impl Iterator<Item = Candidate>) -> Candidates {
    let start = text.rfind(',').map_or(0, |comma| comma + 1);
    let before: Vec<_> = text[..start].split(',').collect();
    Candidates::fitting(start, &text[start..], all.filter(|candidate| !before.contains(&&*candidate.text)))
}

/// Names of the view, each with its connections.
pub(super) fn named(text: &str, subject: Subject, around: &Around<'_>, names: &mut Names) -> Candidates {
    counted(text, names.get(around.view, Wanted::Of(subject)))
}

/// Ports of the view, likewise.
pub(super) fn ports(text: &str, around: &Around<'_>, names: &mut Names) -> Candidates {
    counted(text, names.get(around.view, Wanted::Ports))
}

fn counted(text: &str, names: &[(String, u64)]) -> Candidates {
    listed(text, names.iter().map(|(name, n)| Candidate::new(quote(name), format!("{} conns", format::count(*n)))))
}

/// Words that are known beforehand.
pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Candidate> {
    words.into_iter().map(|word| Candidate::new(word, ""))
}
