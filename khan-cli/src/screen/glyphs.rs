//! The characters that the screen draws with: one set for UTF-8 terminals, one for all others.
//!
//! Every glyph is one cell wide and none is an emoji. Block and box characters are East-Asian *ambiguous*: a CJK
//! terminal may draw them two cells wide, which `--ascii` avoids.

/// A set of glyphs.
#[derive(Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// A horizontal rule.
    pub rule: &'static str,
    /// Stands between the parts of a title, spaces included.
    pub separator: &'static str,
    /// Bars of growing height.
    pub ramp: [char; 8],
    /// A missing sample.
    pub missing: char,
    /// Where one stands on a line.
    pub cursor: &'static str,
    /// Where a text was cut.
    pub ellipsis: &'static str,
    /// A tick on the chart's vertical axis.
    pub axis_tick: &'static str,
    /// The corner under the chart's vertical axis.
    pub axis_corner: &'static str,
    /// Columns have scrolled away at the left.
    pub more_left: &'static str,
    /// There are more columns at the right.
    pub more_right: &'static str,
    /// Whether the set is plain ASCII.
    pub ascii: bool,
}

/// For terminals that display UTF-8.
pub static UTF8: Glyphs = Glyphs {
    rule: "─",
    separator: " │ ",
    ramp: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
    missing: '·',
    cursor: "█",
    ellipsis: "…",
    axis_tick: "┤",
    axis_corner: "└",
    more_left: "‹",
    more_right: "›",
    ascii: false,
};

/// For every terminal.
pub static ASCII: Glyphs = Glyphs {
    rule: "-",
    separator: " | ",
    ramp: ['_', '.', '-', '=', '+', '*', '#', '@'],
    missing: '?',
    cursor: "#",
    ellipsis: "..",
    axis_tick: "|",
    axis_corner: "+",
    more_left: "<",
    more_right: ">",
    ascii: true,
};

impl Glyphs {
    /// The set for a terminal in this environment: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is not empty
    /// decides, as in the C library.
    pub fn detect(ascii: bool, variable: impl Fn(&str) -> Option<String>) -> &'static Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if utf8 && !ascii { &UTF8 } else { &ASCII }
    }

    /// The bar for `value` on a scale from zero to `max`.
    pub fn bar(&self, value: u128, max: u128) -> char {
        let top = self.ramp.len() as u128 - 1;
        let step = (value.min(max) * top + max / 2).checked_div(max).unwrap_or(0);
        self.ramp[usize::try_from(step).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(Glyphs::detect(false, env(&[("LANG", "de_DE.UTF-8")])), &UTF8);
        assert_eq!(Glyphs::detect(false, env(&[("LANG", "C.utf8")])), &UTF8);
        assert_eq!(Glyphs::detect(false, env(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])), &ASCII);
        assert_eq!(Glyphs::detect(false, env(&[("LC_ALL", ""), ("LC_CTYPE", "en_US.UTF-8")])), &UTF8);
        assert_eq!(Glyphs::detect(false, env(&[])), &ASCII);
        assert_eq!(Glyphs::detect(true, env(&[("LANG", "C.UTF-8")])), &ASCII);
    }

    #[test]
    fn bars_span_the_scale() {
        assert_eq!([0, 50, 100, 900].map(|n| UTF8.bar(n, 100)), ['▁', '▅', '█', '█']);
        assert_eq!(UTF8.bar(7, 0), '▁');
        assert_eq!(ASCII.bar(100, 100), '@');
        assert_eq!(UTF8.bar(u128::from(u64::MAX) * 64, u128::from(u64::MAX) * 64), '█');
    }

    #[test]
    fn every_glyph_is_one_cell_and_ascii_is_ascii() {
        for set in [&UTF8, &ASCII] {
            assert!(set.ramp.into_iter().all(|c| c.to_string().width() == 1));
            assert_eq!(set.rule.width(), 1);
            assert_eq!(set.axis_tick.width(), 1);
            assert_eq!(set.cursor.width(), 1);
            assert_eq!(set.more_left.width() + set.more_right.width(), 2);
        }
        assert!(ASCII.ramp.iter().all(char::is_ascii) && ASCII.ellipsis.is_ascii() && ASCII.separator.is_ascii());
    }
}
