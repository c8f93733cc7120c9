//! Whether the terminal's background is light or dark, as the terminal itself says (OSC 11).
//!
//! The wait for its answer is bounded, and a second question that practically every terminal answers (DA1) ends it early
//! where the first one is not understood. What is typed meanwhile is kept; an answer that comes too late is swallowed.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::KeyCode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::screen::keys::Key;
use crate::screen::styles::Theme;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long after the question a late answer is still recognised as one.
const LATE: Duration = Duration::from_secs(30);
/// Keys that a late answer may consist of: `]11;rgba:` and four times four digits with their separators.
const LENGTH: usize = 40;

/// What came back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The theme that suits the background; `None` when the terminal did not say.
    pub theme: Option<Theme>,
    /// What was typed while it was waited for.
    pub typed: Vec<Key>,
    /// Whether every question was answered: nothing is to come any more.
    pub complete: bool,
}

/// Asks the terminal at stdin and stdout, which must be in raw mode and read by nobody else.
pub(crate) fn ask() -> io::Result<Answer> {
    let mut out = io::stdout();
    // Neither question moves the cursor or draws anything.
    out.write_all(b"\x1b]11;?\x1b\\\x1b[c")?;
    out.flush()?;
    let (start, stdin) = (Instant::now(), io::stdin());
    let mut bytes = Vec::new();
    while let Some(left) = PATIENCE.checked_sub(start.elapsed()) {
        let wait = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let ready = match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&wait)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut buffer = [0; 256];
        let read = if ready > 0 { rustix::io::read(&stdin, &mut buffer)? } else { 0 };
        bytes.extend_from_slice(&buffer[..read]);
        if read == 0 || read_answer(&bytes).complete {
            break;
        }
    }
    Ok(read_answer(&bytes))
}

/// Takes the answers out of what the terminal sent; the rest was typed.
fn read_answer(mut bytes: &[u8]) -> Answer {
    let mut answer = Answer::default();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        if let Some(colour) = bytes.strip_prefix(b"]11;").filter(|_| *first == 0x1b) {
            let end = colour.iter().position(|byte| matches!(byte, 0x07 | 0x1b)).unwrap_or(colour.len());
            answer.theme = std::str::from_utf8(&colour[..end]).ok().and_then(theme);
            let after = &colour[end..];
            bytes = after.strip_prefix(b"\x1b\\").or(after.strip_prefix(b"\x07")).unwrap_or(after);
        } else if let Some(attributes) = bytes.strip_prefix(b"[?").filter(|_| *first == 0x1b) {
            let end = attributes.iter().position(u8::is_ascii_alphabetic);
            answer.complete |= end.is_some_and(|end| attributes[end] == b'c');
            bytes = end.map_or(&[], |end| &attributes[end + 1..]);
        } else {
            answer.typed.extend(key(*first));
        }
    }
    answer
}

/// A key of one byte; others are not worth the trouble in a tenth of a second.
fn key(byte: u8) -> Option<Key> {
    match byte {
        b'\r' => Some(Key::code(KeyCode::Enter)),
        b'\t' => Some(Key::code(KeyCode::Tab)),
        0x01..=0x1a => Some(Key::ctrl(char::from(byte - 1 + b'a'))),
        b' '..=b'~' => Some(Key::char(byte.into())),
        _ => None,
    }
}

/// `rgb:ffff/ffff/ffff`, with one to four digits each, to the theme for such a background.
fn theme(colour: &str) -> Option<Theme> {
    let (_, channels) = colour.split_once(':').filter(|(space, _)| matches!(*space, "rgb" | "rgba"))?;
    let share = |digits: &str| {
        let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
        Some(f64::from(u32::from_str_radix(digits, 16).ok()?) / f64::from(most))
    };
    let mut shares = channels.split('/').map(share);
    let (r, g, b) = (shares.next()??, shares.next()??, shares.next()??);
    // Rec. 709 weights; half of full brightness parts the two well.
    let brightness = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    Some(if brightness > 0.5 { Theme::Light } else { Theme::Dark })
}

/// Recognises an answer that comes after the wait, when whoever reads keys takes it for keys.
#[derive(Debug)]
pub(crate) struct Latecomer {
    until: Instant,
    /// Keys that may still belong to it, once it has begun.
    left: Option<usize>,
}

impl Latecomer {
    /// Watches for an answer to a question asked now.
    pub(crate) fn expect(now: Instant) -> Self {
        Self { until: now + LATE, left: None }
    }

    /// Whether `key` is a part of the answer.
    pub(crate) fn takes(&mut self, key: Key, now: Instant) -> bool {
        let alt = |c| Key { alt: true, ..Key::char(c) };
        match self.left {
            None if key == alt(']') && now < self.until => self.left = Some(LENGTH),
            None => return false,
            Some(_) if key == alt('\\') || key == Key::ctrl('g') || key == Key::code(KeyCode::Esc) => self.left = None,
            Some(left) => {
                self.left = left.checked_sub(1);
                return key.typed().is_some_and(|c| c.is_ascii_hexdigit() || ";:/rgba".contains(c));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_out_of_what_was_typed() {
        let light = read_answer(b"\x1b]11;rgb:ffff/fdfd/f0f0\x1b\\\x1b[?62;22c");
        assert_eq!(light, Answer { theme: Some(Theme::Light), typed: Vec::new(), complete: true });
        let dark = read_answer(b"2\x1b]11;rgba:1a/1b/26/ff\x07q\x1b[?1;2c\r");
        let typed = vec![Key::char('2'), Key::char('q'), Key::code(KeyCode::Enter)];
        assert_eq!(dark, Answer { theme: Some(Theme::Dark), typed, complete: true });
        assert_eq!(read_answer(b"\x1b[?6c"), Answer { complete: true, ..Answer::default() });
        assert_eq!(read_answer(b"\x03").typed, [Key::ctrl('c')]);
    }

    #[test]
    fn half_an_answer_and_nonsense_are_no_colour() {
        for bytes in
            [&b"\x1b]11;rgb:ff"[..], b"\x1b]11;", b"\x1b]11;blue\x07", b"\x1b]11;rgb://\x07", b"\x1b[?", b"\xff\x1b"]
        {
            let answer = read_answer(bytes);
            assert_eq!((answer.theme, answer.complete), (None, false), "{bytes:?}");
        }
        assert_eq!(theme("rgb:0/0/0"), Some(Theme::Dark));
        assert_eq!(theme("rgb:123456789/0/0"), None);
    }

    #[test]
    fn a_late_answer_is_swallowed_and_nothing_else() {
        let now = Instant::now();
        let mut late = Latecomer::expect(now);
        let alt = |c| Key { alt: true, ..Key::char(c) };
        assert!(!late.takes(Key::char('1'), now));
        let answer: Vec<_> = "11;rgb:ffff/ffff/ffff".chars().map(Key::char).collect();
        assert!(late.takes(alt(']'), now) && answer.iter().all(|key| late.takes(*key, now)));
        assert!(late.takes(alt('\\'), now));
        assert!(!late.takes(Key::char('1'), now));
        assert!(!late.takes(alt(']'), now + LATE));
        // An answer that is cut off holds no more keys back than it could have.
        assert!(late.takes(alt(']'), now) && !late.takes(Key::char('q'), now));
    }
}
