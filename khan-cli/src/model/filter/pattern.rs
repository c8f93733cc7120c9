//! Regular expressions, bounded.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

/// Longest expression, in characters.
const LONGEST: usize = 1_000;
/// Brackets that may be nested.
const DEEPEST: u32 = 50;
/// Bytes that a compiled expression may take, and again as much while it is tried.
const LARGEST: usize = 1 << 20;

/// A regular expression in the syntax of Rust's regex crate, which matches in time linear in the text. It fits a text when it
/// fits any part of it: `^` and `$` bind it to the ends.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it fits a part of `text`.
    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = String;

    /// The error is one sentence without the place.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("a regular expression has at most {LONGEST} characters"));
        }
        let built = RegexBuilder::new(text).size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(DEEPEST).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "this regular expression is too large".to_owned(),
            // The lines before quote the expression.
            error => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                format!("no regular expression: {}", reason.trim_start_matches("error: "))
            }
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_bounded() {
        let refused = |text: &str| text.parse::<Pattern>().unwrap_err();
        assert_eq!(refused("(a"), "no regular expression: unclosed group");
        assert_eq!(refused("a{1000}{1000}{1000}"), "this regular expression is too large");
        assert_eq!(refused(&"a".repeat(LONGEST + 1)), "a regular expression has at most 1000 characters");
        assert!(refused(&format!("{}{}", "(".repeat(60), ")".repeat(60))).contains("exceed"));
        assert!(refused("(?<=a)b").contains("look-around"));
    }

    #[test]
    fn any_part_fits() {
        let pattern: Pattern = "^check(out)?$|cart".parse().unwrap();
        assert!(pattern.fits("checkout") && pattern.fits("check") && pattern.fits("my-cart-2"));
        assert!(!pattern.fits("checkouts"));
    }
}
