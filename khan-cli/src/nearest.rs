//! The word that a misspelt one may mean.

/// Words less alike than this are two words, in the measure of Jaro and Winkler, which is 1 for equal ones.
const ALIKE: f64 = 0.75;

/// The one of `known` that `word` is most like, whatever its case, if it is like any.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let likeness = known.into_iter().map(|known| (strsim::jaro_winkler(&word, known), known));
    let (likeness, known) = likeness.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > ALIKE).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["source", "destination", "conns"];
        assert_eq!(nearest("Soruce", known), Some("source"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
