//! A resolve request's JSON in, piece by piece as it arrives; addresses out. The text itself is never held.

use std::net::IpAddr;

use khan_api::node_port::MAX_NODE_PORTS;
use khan_api::resolve::MAX_ADDRESSES;
use khan_api::{Cursor, NodePort, ResolveRequest};

use super::addresses::Addresses;

/// The longest text that means something: an IPv6 address that ends as IPv4 has 45 characters, a cursor 41.
const LONGEST: usize = 48;
/// A node port takes 34; and some room for spaces and for fields that later versions may add.
const LONGEST_PORT: usize = 256;
/// Fields that later versions may add may nest so deep.
const DEEPEST: u32 = 64;

/// Reads the request whose body arrives in these pieces. Its addresses come back sorted by family, IPv4 first. For tests
/// and fuzzing: the server never holds a request in this form.
pub fn read_request(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<ResolveRequest, ParseError> {
    let mut parser = Parser::new();
    pieces.into_iter().try_for_each(|piece| parser.feed(piece.as_ref()))?;
    let asked = parser.finish()?;
    Ok(ResolveRequest {
        cursor: asked.cursor,
        ips: asked.known.iter().collect(),
        new: asked.new.iter().collect(),
        node_ports: asked.node_ports,
    })
}

/// A request with its limits checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) cursor: Option<Cursor>,
    pub(super) known: Addresses,
    pub(super) new: Addresses,
    pub(super) node_ports: Vec<NodePort>,
}

impl Asked {
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.new.len()
    }

    /// Bytes that this holds.
    pub(super) fn size(&self) -> usize {
        self.known.size() + self.new.size() + self.node_ports.capacity() * size_of::<NodePort>()
    }
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
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
    /// Likewise.
    #[error("more than {MAX_NODE_PORTS} node ports")]
    TooManyPorts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Cursor,
    Ips,
    New,
    NodePorts,
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
    /// After `[`: an address (or a node port) or the end.
    FirstItem(Field),
    Item(Field),
    InItem(Field),
    AfterItem(Field),
    /// Inside a node port, which is read when it is complete.
    InPort(Nesting),
    /// Inside a value that means nothing here.
    Skip(Nesting),
    SkipScalar,
    AfterValue,
    End,
}

/// Where inside a value that is not looked at byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nesting {
    depth: u32,
    text: bool,
    escaped: bool,
}

impl Nesting {
    /// After the first byte of an object or a list.
    const NESTED: Self = Self { depth: 1, text: false, escaped: false };
    /// After the quotation mark of a text.
    const TEXT: Self = Self { depth: 0, text: true, escaped: false };

    /// After one more byte; `None` when that was the last one.
    fn next(self, byte: u8) -> Option<Self> {
        let Self { depth, text, escaped } = self;
        let outside = |depth| if depth == 0 { None } else { Some(Self { depth, text: false, escaped: false }) };
        match byte {
            b'"' if text && !escaped => outside(depth),
            _ if text => Some(Self { depth, text, escaped: byte == b'\\' && !escaped }),
            b'"' => Some(Self { depth, text: true, escaped: false }),
            b'{' | b'[' => outside(depth + 1),
            b'}' | b']' => outside(depth - 1),
            _ => Some(self),
        }
    }
}

/// Reads a request.
#[derive(Debug)]
pub(super) struct Parser {
    asked: Asked,
    seen: [bool; 4],
    state: State,
    text: Vec<u8>,
    position: usize,
}

impl Parser {
    pub(super) fn new() -> Self {
        let (asked, text) = (Asked::default(), Vec::with_capacity(LONGEST));
        Self { asked, seen: [false; 4], state: State::Begin, text, position: 0 }
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
            (State::Skip(nesting), _) => match nesting.next(byte) {
                Some(Nesting { depth, .. }) if depth > DEEPEST => return expected("less nesting"),
                Some(nesting) => State::Skip(nesting),
                None => State::AfterValue,
            },
            (State::InPort(_), _) if self.text.len() == LONGEST_PORT => return expected("a shorter node port"),
            (State::InPort(nesting), _) => {
                self.text.push(byte);
                match nesting.next(byte) {
                    Some(nesting) => State::InPort(nesting),
                    None => return self.port_ends(),
                }
            }
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
            (State::Value(field @ (Field::Ips | Field::New | Field::NodePorts)), b'[') => State::FirstItem(field),
            (State::Value(Field::NodePorts), _) => return expected("a list of node ports"),
            (State::Value(Field::Ips | Field::New), _) => return expected("a list of addresses"),
            (State::Value(Field::Other), b'"') => State::Skip(Nesting::TEXT),
            (State::Value(Field::Other), b'{' | b'[') => State::Skip(Nesting::NESTED),
            (State::Value(Field::Other), b',' | b'}' | b']' | b':') => return expected("a value"),
            (State::Value(Field::Other), _) => State::SkipScalar,
            (State::FirstItem(_) | State::AfterItem(_), b']') => State::AfterValue,
            (State::FirstItem(Field::NodePorts) | State::Item(Field::NodePorts), b'{') => {
                self.text_begins(State::InPort(Nesting::NESTED));
                self.text.push(byte);
                State::InPort(Nesting::NESTED)
            }
            (State::FirstItem(Field::NodePorts) | State::Item(Field::NodePorts), _) => return expected("a node port"),
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
                    "node_ports" => (Field::NodePorts, "node_ports"),
                    _ => return Ok(State::Colon(Field::Other)),
                };
                if std::mem::replace(&mut self.seen[field as usize], true) {
                    return Err(ParseError::Twice(name));
                }
                Ok(State::Colon(field))
            }
        }
    }

    fn port_ends(&mut self) -> Result<State, ParseError> {
        let port = serde_json::from_slice(&self.text)
            .map_err(|_| self.bad(&"not a node port such as {\"port\":30080,\"protocol\":\"tcp\"}"))?;
        if self.asked.node_ports.len() == MAX_NODE_PORTS {
            return Err(ParseError::TooManyPorts);
        }
        self.asked.node_ports.push(port);
        Ok(State::AfterItem(Field::NodePorts))
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

    use khan_api::Protocol;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Asked, ParseError> {
        let mut parser = Parser::new();
        pieces.into_iter().try_for_each(|piece| parser.feed(piece.as_ref()))?;
        parser.finish()
    }

    /// As serde reads it; the order of addresses is lost.
    fn flat(asked: &Asked) -> ResolveRequest {
        let list = |addresses: &Addresses| (0..addresses.len()).filter_map(|n| addresses.get(n)).collect();
        let (ips, new) = (list(&asked.known), list(&asked.new));
        sorted(ResolveRequest { cursor: asked.cursor, ips, new, node_ports: asked.node_ports.clone() })
    }

    fn sorted(mut request: ResolveRequest) -> ResolveRequest {
        request.ips.sort_unstable();
        request.new.sort_unstable();
        request
    }

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_ipv6_mapped().into()),
        ]
    }

    fn node_port() -> impl Strategy<Value = NodePort> {
        (any::<u16>(), prop::sample::select(Protocol::ALL.to_vec()))
            .prop_map(|(port, protocol)| NodePort { port, protocol })
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
            node_ports in prop::collection::vec(node_port(), 0..20),
            port_extra in prop::collection::btree_map("[a-z\\PC]{0,20}", "\\PC{0,10}", 0..2),
            extra in prop::collection::btree_map("[a-z\\PC]{0,60}", other(), 0..3),
            pretty: bool,
            size in 1_usize..40,
        ) {
            let cursor = cursor.map(|(epoch, revision)| Cursor { epoch, revision });
            let mut request = json!(extra);
            request["cursor"] = json!(cursor);
            request["ips"] = json!(ips);
            request["new"] = json!(new);
            request["node_ports"] = json!(node_ports);
            for port in request["node_ports"].as_array_mut().unwrap() {
                for (key, value) in &port_extra {
                    port[format!("x{key}")] = json!(value);
                }
            }
            let text = if pretty { format!("{request:#}") } else { request.to_string() };
            let expected: ResolveRequest = serde_json::from_str(&text).unwrap();
            let asked = read(text.as_bytes().chunks(size)).unwrap();
            prop_assert_eq!(flat(&asked), sorted(expected));
        }

        /// Nothing that serde refuses is taken for addresses, and nothing panics.
        #[test]
        fn refuses_what_is_cut_or_spoiled(
            ips in prop::collection::vec(ip(), 1..4), port in node_port(), at in any::<prop::sample::Index>(), byte: u8, cut: bool,
        ) {
            let text = json!({"cursor": "1-2", "ips": ips, "new": [], "node_ports": [port]}).to_string();
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(asked) = read([&bytes]) {
                // A field's name may have been spoiled, which makes it another field; otherwise serde agrees.
                if let Ok(expected) = serde_json::from_slice::<ResolveRequest>(&bytes) {
                    prop_assert_eq!(flat(&asked), sorted(expected));
                } else {
                    prop_assert!(flat(&asked).ips.iter().all(|ip| ips.contains(ip)) || byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
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
            (r#"{"ips":[],"node_ports":30080}"#, "expected a list of node ports at byte 24"),
            (r#"{"ips":[],"node_ports":[30080]}"#, "expected a node port at byte 25"),
            (r#"{"ips":[],"node_ports":[{"port":65536,"protocol":"tcp"}]}"#, "not a node port such as"),
            (r#"{"ips":[],"node_ports":[{"port":1,"protocol":"icmp"}]}"#, "not a node port such as"),
            (r#"{"ips":[],"node_ports":[{"port":1"#, "EOF at byte 33"),
        ] {
            let error = read([text]).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert_eq!(read([deep]), Err(ParseError::Expected("less nesting", 70)));
        let deep = format!("{{\"node_ports\":[{}", "{\"x\":".repeat(100_000));
        assert_eq!(read([deep]), Err(ParseError::Expected("a shorter node port", 272)));
        let many = format!(r#"{{"ips":[],"node_ports":[{}]}}"#, vec![r#"{"port":1,"protocol":"tcp"}"#; 4097].join(","));
        assert_eq!(read([many]), Err(ParseError::TooManyPorts));
        let long = format!("{{\"ips\":[\"{}", "1".repeat(1_000_000));
        assert!(read([long]).unwrap_err().to_string().contains("invalid IP address"));
    }
}
