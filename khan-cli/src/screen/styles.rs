//! What the terminal can show, and the styles of every role on the screens.
//!
//! Colour is decoration: each state also has a word or a sign, and the selection is drawn with [`Modifier::REVERSED`],
//! so that a terminal without colours loses nothing.

use ratatui::style::{Color, Modifier, Style};

use super::depth::{Depth, reduce};

/// `--theme`, and what `T` cycles through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's own sixteen colours.
    #[default]
    Ansi,
    /// For light backgrounds.
    Light,
    /// For dark backgrounds.
    Dark,
    /// Colours that colour-blind people can distinguish (Okabe and Ito), on any background.
    Cvd,
    /// No colours.
    Mono,
}

impl Theme {
    /// Every theme, in the order that `T` goes through.
    pub const ALL: [Self; 5] = [Self::Ansi, Self::Light, Self::Dark, Self::Cvd, Self::Mono];

    /// As `--theme` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ansi => "ansi",
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Cvd => "cvd",
            Self::Mono => "mono",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Ansi => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Cvd,
            Self::Cvd => Self::Mono,
            Self::Mono => Self::Ansi,
        }
    }

    const fn colours(self) -> Colours {
        match self {
            Self::Ansi | Self::Mono => {
                Colours { accent: Color::Cyan, good: Color::Green, warn: Color::Yellow, bad: Color::Red, dim: None }
            }
            Self::Light => Colours {
                accent: Color::Rgb(0x00, 0x5f, 0x87),
                good: Color::Rgb(0x1b, 0x6e, 0x1b),
                warn: Color::Rgb(0x8a, 0x5a, 0x00),
                bad: Color::Rgb(0xb0, 0x00, 0x20),
                dim: Some(Color::Rgb(0x6c, 0x6c, 0x6c)),
            },
            Self::Dark => Colours {
                accent: Color::Rgb(0x5f, 0xd7, 0xff),
                good: Color::Rgb(0x87, 0xd7, 0x87),
                warn: Color::Rgb(0xff, 0xd7, 0x5f),
                bad: Color::Rgb(0xff, 0x87, 0x87),
                dim: Some(Color::Rgb(0x8a, 0x8a, 0x8a)),
            },
            // Only those of the eight that hold 3:1 on white and on black.
            Self::Cvd => Colours {
                accent: Color::Rgb(0x00, 0x9e, 0x73),
                good: Color::Rgb(0x00, 0x72, 0xb2),
                warn: Color::Rgb(0xcc, 0x79, 0xa7),
                bad: Color::Rgb(0xd5, 0x5e, 0x00),
                dim: None,
            },
        }
    }
}

#[derive(Clone, Copy)]
struct Colours {
    accent: Color,
    good: Color,
    warn: Color,
    bad: Color,
    /// For what is secondary; without one the attribute DIM does it.
    dim: Option<Color>,
}

/// One style per role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Styles {
    /// Ordinary text.
    pub text: Style,
    /// Program name, names of views, totals.
    pub strong: Style,
    /// Rules, units, what is there only for completeness; rows of stale data.
    pub dim: Style,
    /// Column heads.
    pub head: Style,
    /// The head of the column that sorts.
    pub head_sorted: Style,
    /// The row under the cursor.
    pub selected: Style,
    /// Keys in the footer and in help; the active view.
    pub accent: Style,
    /// LIVE; shrinking counts.
    pub good: Style,
    /// Growing counts; RISING, WATCH, UNK, partial answers.
    pub warn: Style,
    /// Errors, LIKELY, LIMIT.
    pub bad: Style,
}

impl Styles {
    /// A theme on a terminal.
    pub fn new(theme: Theme, depth: Depth) -> Self {
        let depth = if theme == Theme::Mono { Depth::None } else { depth };
        let colours = theme.colours();
        let plain = Style::new();
        let paint = |colour: Color| reduce(colour, depth).map_or(plain, |colour| plain.fg(colour));
        Self {
            text: plain,
            strong: plain.add_modifier(Modifier::BOLD),
            dim: match colours.dim.and_then(|colour| reduce(colour, depth)) {
                Some(colour) => plain.fg(colour),
                None => plain.add_modifier(Modifier::DIM),
            },
            head: plain.add_modifier(Modifier::BOLD),
            head_sorted: paint(colours.accent).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            // One bar without gaps: reversed, every colour of the row would become a patch of its own, and so would what
            // is bold where the terminal brightens it.
            selected: plain
                .fg(Color::Reset)
                .remove_modifier(Modifier::DIM | Modifier::BOLD | Modifier::UNDERLINED)
                .add_modifier(Modifier::REVERSED),
            accent: paint(colours.accent).add_modifier(Modifier::BOLD),
            good: paint(colours.good),
            warn: paint(colours.warn),
            bad: paint(colours.bad).add_modifier(Modifier::BOLD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_style_has_one_and_the_selection_stays_visible() {
        for theme in Theme::ALL {
            let styles = Styles::new(theme, Depth::None);
            let all = [styles.dim, styles.head_sorted, styles.accent, styles.good, styles.warn, styles.bad];
            assert!(all.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
            assert!(styles.selected.add_modifier.contains(Modifier::REVERSED));
        }
        assert_eq!(Styles::new(Theme::Mono, Depth::True), Styles::new(Theme::Ansi, Depth::None));
    }

    #[test]
    fn the_background_is_never_touched() {
        for theme in Theme::ALL {
            let s = Styles::new(theme, Depth::True);
            let all = [s.text, s.strong, s.dim, s.head, s.head_sorted, s.selected, s.accent, s.good, s.warn, s.bad];
            assert!(all.iter().all(|style| style.bg.is_none()));
        }
    }

    /// WCAG 2.1 relative luminance.
    fn luminance(colour: Color) -> f64 {
        let Color::Rgb(r, g, b) = colour else { panic!("{colour:?} has no fixed luminance") };
        let linear = |value: u8| {
            let s = f64::from(value) / 255.0;
            if s <= 0.04045 { s / 12.92 } else { ((s + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    #[test]
    fn fixed_colours_stand_out_three_to_one() {
        let (black, white) = (Color::Rgb(0, 0, 0), Color::Rgb(255, 255, 255));
        let contrast = |a: Color, b: Color| {
            let (a, b) = (luminance(a), luminance(b));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        let cases: [(Theme, &[Color]); 3] =
            [(Theme::Light, &[white]), (Theme::Dark, &[black]), (Theme::Cvd, &[white, black])];
        for (theme, backgrounds) in cases {
            let c = theme.colours();
            for colour in [Some(c.accent), Some(c.good), Some(c.warn), Some(c.bad), c.dim].into_iter().flatten() {
                for background in backgrounds {
                    let ratio = contrast(colour, *background);
                    assert!(ratio >= 3.0, "{theme:?} {colour:?} on {background:?}: {ratio:.2}");
                }
            }
        }
    }
}
