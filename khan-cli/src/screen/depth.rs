//! How many colours a terminal has, and the nearest of them.

use ratatui::style::Color;

/// How many colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: attributes only.
    None,
    /// The sixteen palette entries.
    Ansi,
    /// The 256-colour palette.
    Indexed,
    /// 24-bit colours.
    True,
}

impl Depth {
    /// What the environment says, by the conventions of no-color.org and bixense.com/clicolors.
    pub fn detect(color: ColorChoice, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let forced = match color {
            ColorChoice::Never => return Self::None,
            ColorChoice::Always => true,
            ColorChoice::Auto => {
                if set("NO_COLOR") {
                    return Self::None;
                }
                variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0")
            }
        };
        let term = variable("TERM").unwrap_or_default();
        let colorterm = variable("COLORTERM").unwrap_or_default();
        if !forced && (term.is_empty() || term == "dumb" || term.ends_with("-mono") || term == "vt100") {
            Self::None
        } else if colorterm == "truecolor" || colorterm == "24bit" || term.ends_with("-direct") {
            Self::True
        } else if term.contains("256color") {
            Self::Indexed
        } else {
            Self::Ansi
        }
    }
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// As the terminal and the environment say.
    #[default]
    Auto,
    /// Even if the environment says no.
    Always,
    /// Not at all.
    Never,
}

/// The nearest colour that the terminal has; `None` when it has none.
pub(super) fn reduce(colour: Color, depth: Depth) -> Option<Color> {
    match (colour, depth) {
        (_, Depth::None) => None,
        (Color::Rgb(r, g, b), Depth::Indexed) => Some(Color::Indexed(cube(r, g, b))),
        (Color::Rgb(r, g, b), Depth::Ansi) => Some(nearest_ansi(r, g, b)),
        (colour, _) => Some(colour),
    }
}

/// The entry of the 6 x 6 x 6 cube, or of the grey ramp for greys.
fn cube(r: u8, g: u8, b: u8) -> u8 {
    if r == g && g == b {
        return 232 + (u16::from(r).saturating_sub(8) / 10).min(23).to_le_bytes()[0];
    }
    let level = |value: u8| {
        if value < 48 {
            0
        } else if value < 115 {
            1
        } else {
            (value - 35) / 40
        }
    };
    16 + 36 * level(r) + 6 * level(g) + level(b)
}

/// By hue alone: palettes differ too much between terminals for anything finer.
fn nearest_ansi(r: u8, g: u8, b: u8) -> Color {
    let (r, g, b) = (u16::from(r), u16::from(g), u16::from(b));
    let half = r.max(g).max(b) * 2 / 3;
    match (r >= half, g >= half, b >= half) {
        (true, false, false) => Color::Red,
        (true, true, false) => Color::Yellow,
        (false, true, false) => Color::Green,
        (false, true, true) => Color::Cyan,
        (false, false, true) => Color::Blue,
        (true, false, true) => Color::Magenta,
        _ => Color::DarkGray,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn depth_follows_the_environment() {
        let auto = ColorChoice::Auto;
        assert_eq!(Depth::detect(auto, env(&[("TERM", "xterm-256color")])), Depth::Indexed);
        assert_eq!(Depth::detect(auto, env(&[("TERM", "xterm"), ("COLORTERM", "truecolor")])), Depth::True);
        assert_eq!(Depth::detect(auto, env(&[("TERM", "screen")])), Depth::Ansi);
        assert_eq!(Depth::detect(auto, env(&[("TERM", "dumb")])), Depth::None);
        assert_eq!(Depth::detect(auto, env(&[("TERM", "xterm"), ("NO_COLOR", "1")])), Depth::None);
        assert_eq!(Depth::detect(auto, env(&[("TERM", "xterm"), ("NO_COLOR", "")])), Depth::Ansi);
        assert_eq!(Depth::detect(ColorChoice::Always, env(&[("TERM", "dumb"), ("NO_COLOR", "1")])), Depth::Ansi);
        assert_eq!(Depth::detect(ColorChoice::Never, env(&[("COLORTERM", "truecolor")])), Depth::None);
    }

    #[test]
    fn colours_are_reduced_to_what_the_terminal_has() {
        assert_eq!(reduce(Color::Rgb(0xff, 0x87, 0x87), Depth::Indexed), Some(Color::Indexed(210)));
        assert_eq!(reduce(Color::Rgb(0x8a, 0x8a, 0x8a), Depth::Indexed), Some(Color::Indexed(245)));
        assert_eq!(reduce(Color::Rgb(0xb0, 0x00, 0x20), Depth::Ansi), Some(Color::Red));
        assert_eq!(reduce(Color::Red, Depth::Ansi), Some(Color::Red));
    }
}
