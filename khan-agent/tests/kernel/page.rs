//! A reading of the Prometheus text format that shares nothing with what writes it.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a line.
pub(crate) type Labels = BTreeMap<String, String>;

/// Every line of `metric`: its labels and its value. Panics on what is not the text format, and on a label set that
/// appears twice.
pub(crate) fn lines(page: &str, metric: &str) -> Vec<(Labels, u64)> {
    let (mut lines, mut known) = (Vec::new(), BTreeSet::new());
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some(rest) = line.strip_prefix(metric) else { continue };
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest),
            None if rest.starts_with(' ') => (Labels::new(), rest),
            None => continue,
        };
        let value = rest.trim().parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
        assert!(known.insert(labels.clone()), "twice on one page: {line}");
        lines.push((labels, value));
    }
    lines
}

fn labels(mut text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("name=\"");
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().expect("a closing quote") {
                (at, '"') => break at + 1,
                (_, '\\') => match chars.next().expect("something escaped").1 {
                    'n' => value.push('\n'),
                    other @ ('\\' | '"') => value.push(other),
                    other => panic!("\\{other} is no escape"),
                },
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        text = &rest[end..];
        match text.as_bytes()[0] {
            b',' => text = &text[1..],
            b'}' => return (labels, &text[1..]),
            other => panic!("{:?} after a label", char::from(other)),
        }
    }
}

/// A metric without labels, or one whose labels are given as they stand on the page.
pub(crate) fn number(page: &str, metric: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok())
}
