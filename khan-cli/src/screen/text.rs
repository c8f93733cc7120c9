//! Fits texts of any origin into cells: cut by display width, every character visible.

use std::borrow::Cow;

use khan_api::text::printable;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells that `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Like [`width`], in the type of ratatui's coordinates.
pub(super) fn cells(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// `text` in at most `cells` cells, ending in `ellipsis` where it was cut.
pub(super) fn fit<'a>(text: &'a str, cells: usize, ellipsis: &str) -> Cow<'a, str> {
    let clean = printable(text);
    if clean.width() <= cells {
        return clean;
    }
    let room = cells.saturating_sub(ellipsis.width());
    let mut cut = prefix(&clean, room).to_owned();
    if ellipsis.width() <= cells {
        cut.push_str(ellipsis);
    }
    Cow::Owned(cut)
}

/// Like [`fit`], but keeps both ends: the beginning of a pod's name says which app, the end which pod.
pub(super) fn fit_middle<'a>(text: &'a str, cells: usize, ellipsis: &str) -> Cow<'a, str> {
    let clean = printable(text);
    if clean.width() <= cells || cells < 8 {
        return fit(text, cells, ellipsis);
    }
    let room = cells - ellipsis.width();
    let tail: String = suffix(&clean, room / 3).to_owned();
    Cow::Owned(format!("{}{ellipsis}{tail}", prefix(&clean, room - tail.width())))
}

fn prefix(text: &str, cells: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > cells
    });
    &text[..end.map_or(text.len(), |(i, _)| i)]
}

fn suffix(text: &str, cells: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > cells
    });
    &text[start.map_or(0, |(i, c)| i + c.len_utf8())..]
}

/// Wraps `text` at words into lines of at most `cells` cells. Longer words are broken, continuation lines keep the indent,
/// and lines that fit stay as they are; an empty one, too.
pub(super) fn wrap(text: &str, cells: usize) -> Vec<String> {
    if text.is_empty() {
        return vec![String::new()];
    }
    let cells = cells.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        if paragraph.width() <= cells {
            lines.push(paragraph.to_owned());
            continue;
        }
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = prefix(&indent, cells / 2).to_owned();
        let lead = line.width();
        for word in paragraph.split_whitespace() {
            let gap = usize::from(line.width() > lead);
            if gap == 1 && line.width() + 1 + word.width() > cells {
                lines.push(std::mem::replace(&mut line, " ".repeat(lead)));
            } else if gap == 1 {
                line.push(' ');
            }
            let mut rest = word;
            while line.width() + rest.width() > cells {
                let head = prefix(rest, cells - line.width());
                if head.is_empty() {
                    break;
                }
                line.push_str(head);
                rest = &rest[head.len()..];
                lines.push(std::mem::replace(&mut line, " ".repeat(lead)));
            }
            line.push_str(rest);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_say_so() {
        assert_eq!(fit("data/postgres-main", 18, "…"), "data/postgres-main");
        assert_eq!(fit("data/postgres-main", 8, "…"), "data/po…");
        assert_eq!(fit("data/postgres-main", 8, ".."), "data/p..");
        assert_eq!(fit("abc", 1, ".."), "");
        assert_eq!(fit_middle("checkout-6d9f7c-x2k4p", 14, "…"), "checkout-…2k4p");
    }

    #[test]
    fn control_characters_are_not_passed_on() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb ");
        assert_eq!(fit("\u{9b}31m", 10, "…"), "\u{fffd}31m");
    }

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(fit("漢字漢字", 5, "…"), "漢字…");
        assert_eq!(width("漢字"), 4);
    }

    #[test]
    fn words_wrap_and_keep_their_indent() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("  one two", 6), ["  one", "  two"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("name   value", 12), ["name   value"]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_asked(text in ".*", cells in 0usize..40) {
            for ellipsis in ["…", ".."] {
                prop_assert!(fit(&text, cells, ellipsis).width() <= cells);
                prop_assert!(fit_middle(&text, cells, ellipsis).width() <= cells);
            }
        }

        #[test]
        fn wrapped_lines_hold(text in "[ -~]*", cells in 2usize..40) {
            prop_assert!(wrap(&text, cells).iter().all(|line| line.width() <= cells));
        }
    }
}
