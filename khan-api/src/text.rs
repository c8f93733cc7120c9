//! Text that somebody else wrote: names, reasons, warnings. It becomes bounded and printable when it is decoded, so nothing
//! that shows it, copies it or logs it has to think of terminals.
//!
//! A peer's text can move the cursor, set a window's title, fill a clipboard, turn a line around or hide a letter.
//! Characters that do so are replaced, in sight, by U+FFFD; line breaks and tabs become spaces.

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Write};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A label's value or a namespace: Kubernetes allows 63 bytes (RFC 1123 label).
pub type Label = Text<63>;
/// An object's name: Kubernetes allows 253 bytes (RFC 1123 subdomain).
pub type Name = Text<253>;
/// A reason, a warning, a URL.
pub type Sentence = Text<1024>;

/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// A text of at most `MOST` bytes, every character of which can be seen.
///
/// ```
/// use khan_api::Label;
/// assert_eq!(Label::from("web"), "web");
/// assert_eq!(Label::from("\u{1b}]0;pwned\u{7}"), "\u{fffd}]0;pwned\u{fffd}");
/// assert_eq!(Label::from("x".repeat(1000)).len(), 63);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MOST: usize>(Box<str>);

/// Whether a terminal shows `c` in its place: no control character, no line separator, nothing that changes the direction
/// of what follows, and nothing invisible that would make two different names look the same.
pub const fn is_printable(c: char) -> bool {
    !matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels, Mongolian selectors.
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero-width characters and marks of direction, separators of lines and paragraphs, embeddings and overrides.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated format characters.
        | '\u{2060}'..='\u{206f}'
        // Hangul filler, variation selectors, byte order mark, half-width filler, annotations.
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        // Shorthand and musical format characters, tags and further variation selectors.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is shown in place of `c`.
const fn shown(c: char) -> char {
    match c {
        '\t' | '\n' | '\x0b' | '\x0c' | '\r' => ' ',
        c if is_printable(c) => c,
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// Every byte is a printable ASCII character, as nearly always.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// `text` on one line, with every character in sight.
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { text.chars().map(shown).collect::<String>().into() }
}

/// As [`printable`], but line breaks stay: for what Khan itself lays out in lines.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_printable(c)) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if c == '\n' { c } else { shown(c) }).collect::<String>().into()
}

/// A URL without user and password.
///
/// ```
/// assert_eq!(khan_api::text::without_userinfo("http://me:secret@khan:14719/x"), "http://khan:14719/x");
/// ```
pub fn without_userinfo(url: &str) -> Cow<'_, str> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.find(['?', '#']).unwrap_or(url.len()).max(start);
    // A password with an unescaped slash in it is still a password: what lies before the last @ goes.
    let Some(at) = url[start..end].rfind('@') else { return Cow::Borrowed(url) };
    format!("{}{}", &url[..start], &url[start + at + 1..]).into()
}

/// Writes what is in sight, and not more than so many bytes.
struct Bounded {
    text: String,
    most: usize,
    full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for c in part.chars().map(shown) {
            if self.text.len() + c.len_utf8() > self.most {
                self.full = true;
                // Nothing more is wanted of whoever writes.
                return Err(fmt::Error);
            }
            self.text.push(c);
        }
        Ok(())
    }
}

impl<const MOST: usize> Text<MOST> {
    /// What `shown` displays, without holding all of it when that is long.
    pub fn of(shown: impl fmt::Display) -> Self {
        Self::write(format_args!("{shown}"))
    }

    fn write(text: fmt::Arguments<'_>) -> Self {
        let mut bounded = Bounded { text: String::new(), most: MOST, full: false };
        // Fails when it is full, and where a Display fails its text ends.
        let _ = bounded.write_fmt(text);
        let Bounded { mut text, full, .. } = bounded;
        if full {
            while text.len() + CUT.len_utf8() > MOST && text.pop().is_some() {}
            text.push(CUT);
        }
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> From<&str> for Text<MOST> {
    fn from(text: &str) -> Self {
        if text.len() <= MOST && is_plain(text) { Self(text.into()) } else { Self::of(text) }
    }
}

impl<const MOST: usize> From<String> for Text<MOST> {
    fn from(text: String) -> Self {
        if text.len() <= MOST && is_plain(&text) { Self(text.into()) } else { Self::of(text) }
    }
}

impl<const MOST: usize> From<&String> for Text<MOST> {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl<const MOST: usize> From<Cow<'_, str>> for Text<MOST> {
    fn from(text: Cow<'_, str>) -> Self {
        (*text).into()
    }
}

impl<const MOST: usize> From<Text<MOST>> for String {
    fn from(text: Text<MOST>) -> Self {
        text.0.into()
    }
}

impl<const MOST: usize> From<&Text<MOST>> for String {
    fn from(text: &Text<MOST>) -> Self {
        text.as_str().to_owned()
    }
}

impl<const MOST: usize> From<Text<MOST>> for Box<str> {
    fn from(text: Text<MOST>) -> Self {
        text.0
    }
}

impl<const MOST: usize> From<Text<MOST>> for std::sync::Arc<str> {
    fn from(text: Text<MOST>) -> Self {
        text.0.into()
    }
}

impl<const MOST: usize> Deref for Text<MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> AsRef<str> for Text<MOST> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl<const MOST: usize> Borrow<str> for Text<MOST> {
    fn borrow(&self) -> &str {
        self
    }
}

impl<const MOST: usize> PartialEq<str> for Text<MOST> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl<const MOST: usize> PartialEq<&str> for Text<MOST> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl<const MOST: usize> PartialEq<String> for Text<MOST> {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl<const MOST: usize> PartialEq<Text<MOST>> for str {
    fn eq(&self, other: &Text<MOST>) -> bool {
        *self == **other
    }
}

impl<const MOST: usize> PartialEq<Text<MOST>> for &str {
    fn eq(&self, other: &Text<MOST>) -> bool {
        **self == **other
    }
}

impl<const MOST: usize> PartialEq<Text<MOST>> for String {
    fn eq(&self, other: &Text<MOST>) -> bool {
        **self == **other
    }
}

impl<const MOST: usize> fmt::Display for Text<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<const MOST: usize> fmt::Debug for Text<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<const MOST: usize> Serialize for Text<MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MOST: usize>;
        impl<const MOST: usize> de::Visitor<'_> for Visitor<MOST> {
            type Value = Text<MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<MOST>, E> {
                Ok(text.into())
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Text<MOST>, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A URL that may be shown, published and recorded: without user and password, whoever wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Sentence")]
pub struct ShownUrl(Sentence);

impl From<Sentence> for ShownUrl {
    fn from(url: Sentence) -> Self {
        Self(without_userinfo(&url).into())
    }
}

impl From<&str> for ShownUrl {
    fn from(url: &str) -> Self {
        Self(without_userinfo(url).into())
    }
}

impl From<String> for ShownUrl {
    fn from(url: String) -> Self {
        url.as_str().into()
    }
}

impl From<&ShownUrl> for String {
    fn from(url: &ShownUrl) -> Self {
        url.to_string()
    }
}

impl Deref for ShownUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for ShownUrl {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_replaced_in_sight() {
        for (text, shown) in [
            ("web-6d4cf56db6-abcde", "web-6d4cf56db6-abcde"),
            ("café 北京", "café 北京"),
            ("\x1b]52;c;cm0gLXJmIC8=\x07", "\u{fffd}]52;c;cm0gLXJmIC8=\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("ab\u{202e}dc\u{2069}", "ab\u{fffd}dc\u{fffd}"),
            ("a\u{200b}b\u{feff}c\u{2028}d\u{e0041}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
            ("two\r\nlines\tand more", "two  lines and more"),
        ] {
            assert_eq!(Name::from(text), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(Text::<8>::from("12345678"), "12345678");
        assert_eq!(Text::<8>::from("123456789"), "12345…");
        assert_eq!(Text::<8>::from("éééééé"), "éé…");
        assert_eq!(Text::<8>::of(format_args!("{}{}", "1234", "\x1b6789")), "1234…");
    }

    #[test]
    fn a_key_of_a_map_is_found_by_its_text() {
        let map: std::collections::BTreeMap<Label, u64> = serde_json::from_str(r#"{"tcp":1,"u\u001bdp":2}"#).unwrap();
        assert_eq!((map.get("tcp"), map.get("u\u{fffd}dp")), (Some(&1), Some(&2)));
        assert_eq!(serde_json::to_string(&map).unwrap(), "{\"tcp\":1,\"u\u{fffd}dp\":2}");
    }

    #[test]
    fn user_and_password_are_in_no_url_that_is_shown() {
        for (url, shown) in [
            ("http://u:p@khan:1/x", "http://khan:1/x"),
            ("https://token@khan", "https://khan"),
            ("u:p@khan:1", "khan:1"),
            ("http://u:p/q@r@khan/x", "http://khan/x"),
            ("http://khan:1/x?mail=a@b", "http://khan:1/x?mail=a@b"),
        ] {
            assert_eq!(ShownUrl::from(url), shown);
        }
        let read: ShownUrl = serde_json::from_str(r#""http://u:p@khan:1""#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#""http://khan:1""#);
    }

    proptest! {
        #[test]
        fn any_text_is_bounded_and_in_sight(text in proptest::collection::vec(any::<char>(), 0..200)) {
            let text: String = text.into_iter().collect();
            let made = Text::<40>::from(&text);
            prop_assert!(made.len() <= 40 && made.chars().all(is_printable), "{made:?}");
            prop_assert_eq!(Text::<40>::from(made.as_str()), made);
            prop_assert!(printable(&text).chars().all(is_printable));
            prop_assert!(printable_lines(&text).chars().all(|c| c == '\n' || is_printable(c)));
        }
    }
}
