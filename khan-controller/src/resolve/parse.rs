//! A resolve request's JSON in, piece by piece as it arrives; addresses out. The text itself is never held.

use std::net::IpAddr;

use khan_api::Cursor;
use khan_api::resolve::MAX_ADDRESSES;

use super::addresses::Addresses;

/// The longest text that means something: an IPv6 address that ends as IPv4 has 45 characters, a cursor 41.
const LONGEST: usize = 48;
/// Fields that later versions may add may nest so deep.
const DEEPEST: u32 = 64;

/// A request with its limits checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) cursor: Option<Cursor>,
    pub(super) known: Addresses,
    pub(super) new: Addresses,
}

impl Asked {
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.new.len()
    }

    /// Bytes that this holds.
    pub(super) fn size(&self) -> usize {
        self.known.size() + self.new.size()
    }
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    /// Not JSON of this shape.
    #[error("expected {0} at byte {1}")]
    Expected(&'static str, usize),
    /// A text is no address, no cursor, or is too long to be one.
    #[error("{0} at byte {1}")]
    Value(String, usize),
    /// A field that must be there is not.
    #[error("missing field `{0}`")]
    Missing(&'static str),
    /// A field stands there twice.
    #[error("duplicate field `{0}`")]
    Twice(&'static str),
    /// It ends too early.
    #[error("EOF at byte {0}: the request is cut off")]
    Cut(usize),
    /// More than anybody may ask.
    #[error("more than {MAX_ADDRESSES} addresses; ask in several requests with the same cursor")]
    TooMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Cursor,
    Ips,
    New,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Begin,
    /// After `{`: a key or the end.
    First,
    /// After a comma.
    Key,
    InKey,
    /// After a backslash in a key, which then is none of ours.
    InKeyEscaped,
    Colon(Field),
    Value(Field),
    InCursor,
    Null(usize),
    /// After `[`: an address or the end.
    FirstItem(Field),
    Item(Field),
    InItem(Field),
    AfterItem(Field),
    /// Inside a value that means nothing here.
    Skip {
        depth: u32,
        text: bool,
        escaped: bool,
    },
    SkipScalar,
    AfterValue,
    End,
}

/// Reads a request.
#[derive(Debug)]
pub(super) struct Parser {
    asked: Asked,
    seen: [bool; 3],
    state: State,
    text: Vec<u8>,
    position: usize,
}

impl Parser {
    pub(super) fn new() -> Self {
        let (asked, text) = (Asked::default(), Vec::with_capacity(LONGEST));
        Self { asked, seen: [false; 3], state: State::Begin, text, position: 0 }
    }

    /// Bytes that this holds.
    pub(super) fn size(&self) -> usize {
        self.asked.size()
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        for byte in bytes {
            self.position += 1;
            self.state = self.next(*byte)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Asked, ParseError> {
        if self.state != State::End {
            return Err(ParseError::Cut(self.position));
        }
        if self.seen[Field::Ips as usize] { Ok(self.asked) } else { Err(ParseError::Missing("ips")) }
    }

    fn next(&mut self, byte: u8) -> Result<State, ParseError> {
        let expected = |what| Err(ParseError::Expected(what, self.position));
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        Ok(match (self.state, byte) {
            (State::InKey | State::InCursor | State::InItem(_), b'"') => return self.text_ends(),
            (State::InKeyEscaped, _) => State::InKey,
            (State::InKey | State::InCursor | State::InItem(_), _) => {
                // An escape spells nothing that could not be written without.
                if self.text.len() == LONGEST && self.state != State::InKey {
                    return Err(self.bad(&self.what_text_is()));
                }
                if self.text.len() < LONGEST {
                    self.text.push(byte);
                }
                if self.state == State::InKey && byte == b'\\' { State::InKeyEscaped } else { self.state }
            }
            (State::Skip { depth, text: true, escaped }, _) => match byte {
                b'"' if !escaped && depth == 0 => State::AfterValue,
                b'"' if !escaped => State::Skip { depth, text: false, escaped: false },
                _ => State::Skip { depth, text: true, escaped: byte == b'\\' && !escaped },
            },
            (State::Skip { depth, .. }, _) => match byte {
                b'"' => State::Skip { depth, text: true, escaped: false },
                b'{' | b'[' if depth == DEEPEST => return expected("less nesting"),
                b'{' | b'[' => State::Skip { depth: depth + 1, text: false, escaped: false },
                b'}' | b']' if depth == 1 => State::AfterValue,
                b'}' | b']' => State::Skip { depth: depth - 1, text: false, escaped: false },
                _ => self.state,
            },
            (State::SkipScalar | State::AfterValue, b',') => State::Key,
            (State::SkipScalar | State::AfterValue, b'}') => State::End,
            (State::SkipScalar, _) => {
                if space {
                    State::AfterValue
                } else {
                    State::SkipScalar
                }
            }
            (State::Null(n), _) if b"null".get(n) == Some(&byte) => {
                if n == 3 {
                    State::AfterValue
                } else {
                    State::Null(n + 1)
                }
            }
            (State::Null(_), _) => return expected("a cursor or null"),
            (state, _) if space => state,
            (State::Begin, b'{') => State::First,
            (State::Begin, _) => return expected("an object"),
            (State::First, b'}') => State::End,
            (State::First | State::Key, b'"') => self.text_begins(State::InKey),
            (State::First | State::Key, _) => return expected("a field's name"),
            (State::Colon(field), b':') => State::Value(field),
            (State::Colon(_), _) => return expected("a colon"),
            (State::Value(Field::Cursor), b'"') => self.text_begins(State::InCursor),
            (State::Value(Field::Cursor), b'n') => State::Null(1),
            (State::Value(Field::Cursor), _) => return expected("a cursor or null"),
            (State::Value(field @ (Field::Ips | Field::New)), b'[') => State::FirstItem(field),
            (State::Value(Field::Ips | Field::New), _) => return expected("a list of addresses"),
            (State::Value(Field::Other), b'"') => State::Skip { depth: 0, text: true, escaped: false },
            (State::Value(Field::Other), b'{' | b'[') => State::Skip { depth: 1, text: false, escaped: false },
            (State::Value(Field::Other), b',' | b'}' | b']' | b':') => return expected("a value"),
            (State::Value(Field::Other), _) => State::SkipScalar,
            (State::FirstItem(_) | State::AfterItem(_), b']') => State::AfterValue,
            (State::FirstItem(field) | State::Item(field), b'"') => self.text_begins(State::InItem(field)),
            (State::FirstItem(_) | State::Item(_), _) => return expected("an address"),
            (State::AfterItem(field), b',') => State::Item(field),
            (State::AfterItem(_), _) => return expected("a comma or the end of the list"),
            (State::AfterValue, _) => return expected("a comma or the end of the object"),
            (State::End, _) => return expected("nothing more"),
        })
    }

    fn text_begins(&mut self, state: State) -> State {
        self.text.clear();
        state
    }

    fn text_ends(&mut self) -> Result<State, ParseError> {
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        match self.state {
            State::InItem(field) => {
                let ip: IpAddr = text.parse().map_err(|error: std::net::AddrParseError| self.bad(&error))?;
                if self.asked.len() == MAX_ADDRESSES {
                    return Err(ParseError::TooMany);
                }
                let list = if field == Field::Ips { &mut self.asked.known } else { &mut self.asked.new };
                list.push(ip);
                Ok(State::AfterItem(field))
            }
            State::InCursor => {
                let cursor = text.parse().map_err(|error: khan_api::resolve::ParseCursorError| self.bad(&error))?;
                self.asked.cursor = Some(cursor);
                Ok(State::AfterValue)
            }
            _ => {
                let (field, name) = match text {
                    "cursor" => (Field::Cursor, "cursor"),
                    "ips" => (Field::Ips, "ips"),
                    "new" => (Field::New, "new"),
                    _ => return Ok(State::Colon(Field::Other)),
                };
                if std::mem::replace(&mut self.seen[field as usize], true) {
                    return Err(ParseError::Twice(name));
                }
                Ok(State::Colon(field))
            }
        }
    }

    fn what_text_is(&self) -> &'static str {
        if self.state == State::InCursor { "not a cursor" } else { "invalid IP address syntax" }
    }

    fn bad(&self, what: &impl ToString) -> ParseError {
        ParseError::Value(what.to_string(), self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use khan_api::ResolveRequest;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Asked, ParseError> {
        let mut parser = Parser::new();
        pieces.into_iter().try_for_each(|piece| parser.feed(piece.as_ref()))?;
        parser.finish()
    }

    fn flat(asked: &Asked) -> (Option<Cursor>, Vec<IpAddr>, Vec<IpAddr>) {
        let list = |addresses: &Addresses| (0..addresses.len()).filter_map(|n| addresses.get(n)).collect();
        (asked.cursor, list(&asked.known), list(&asked.new))
    }

    fn sorted(
        (cursor, mut ips, mut new): (Option<Cursor>, Vec<IpAddr>, Vec<IpAddr>),
    ) -> (Option<Cursor>, Vec<IpAddr>, Vec<IpAddr>) {
        ips.sort_unstable();
        new.sort_unstable();
        (cursor, ips, new)
    }

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_ipv6_mapped().into()),
        ]
    }

    fn other() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// Whatever serde reads is read alike, however it is cut into pieces, with fields of a later version or without.
        #[test]
        fn reads_as_serde_does(
            cursor in proptest::option::of((any::<u64>(), any::<u64>())),
            ips in prop::collection::vec(ip(), 0..20),
            new in prop::collection::vec(ip(), 0..20),
            extra in prop::collection::btree_map("[a-z\\PC]{0,60}", other(), 0..3),
            pretty: bool,
            size in 1_usize..40,
        ) {
            let cursor = cursor.map(|(epoch, revision)| Cursor { epoch, revision });
            let mut request = json!(extra);
            request["cursor"] = json!(cursor);
            request["ips"] = json!(ips);
            request["new"] = json!(new);
            let text = if pretty { format!("{request:#}") } else { request.to_string() };
            let expected: ResolveRequest = serde_json::from_str(&text).unwrap();
            let asked = read(text.as_bytes().chunks(size)).unwrap();
            prop_assert_eq!(sorted(flat(&asked)), sorted((expected.cursor, expected.ips, expected.new)));
        }

        /// Nothing that serde refuses is taken for addresses, and nothing panics.
        #[test]
        fn refuses_what_is_cut_or_spoiled(
            ips in prop::collection::vec(ip(), 1..4), at in any::<prop::sample::Index>(), byte: u8, cut: bool,
        ) {
            let text = json!({"cursor": "1-2", "ips": ips, "new": []}).to_string();
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(asked) = read([&bytes]) {
                // A field's name may have been spoiled, which makes it another field; otherwise serde agrees.
                if let Ok(expected) = serde_json::from_slice::<ResolveRequest>(&bytes) {
                    prop_assert_eq!(sorted(flat(&asked)), sorted((expected.cursor, expected.ips, expected.new)));
                } else {
                    prop_assert!(flat(&asked).1.iter().all(|ip| ips.contains(ip)) || byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
                }
            }
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, told) in [
            ("", "EOF at byte 0"),
            ("[]", "expected an object at byte 1"),
            ("{}", "missing field `ips`"),
            (r#"{"ips":["10.0.0.300"]}"#, "invalid IP address syntax at byte 20"),
            (r#"{"ips":[7]}"#, "expected an address at byte 9"),
            (r#"{"ips":[],"ips":[]}"#, "duplicate field `ips`"),
            (r#"{"ips":[]"#, "EOF at byte 9"),
            (r#"{"ips":[]}x"#, "expected nothing more at byte 11"),
            (r#"{"cursor":"yesterday","ips":[]}"#, "not a cursor of the form"),
            (r#"{"cursor":nil,"ips":[]}"#, "expected a cursor or null"),
        ] {
            let error = read([text]).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert_eq!(read([deep]), Err(ParseError::Expected("less nesting", 70)));
        let long = format!("{{\"ips\":[\"{}", "1".repeat(1_000_000));
        assert!(read([long]).unwrap_err().to_string().contains("invalid IP address"));
    }
}
