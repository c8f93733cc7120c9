//! Tokens to a filter, by recursive descent:
//!
//! ```text
//! filter = choice
//! choice = all { "or" all }
//! all    = one { [ "and" ] one }
//! one    = { "-" | "not" } ( word | "(" choice ")" )
//! ```

use std::iter::Peekable;
use std::vec::IntoIter;

use super::clause::Clause;
use super::lex::{self, Place, Token, Word};
use super::terms::{Term, term};
use super::{Filter, FilterError, GroupTerm, RowTerm};

/// Brackets and "not" that may be nested.
const DEEPEST: usize = 32;
/// Values that all terms together may have, one for each at least.
const VALUES: usize = 2_000;
/// Regular expressions among them: each costs up to a megabyte and is tried on every address.
const PATTERNS: usize = 32;

pub(super) fn parse(text: &str) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    let end = Place { column: text.chars().count(), width: 1 };
    let mut parser = Parser { tokens: lex::tokens(text)?.into_iter().peekable(), end, values: 0, patterns: 0 };
    if parser.tokens.peek().is_none() {
        return Ok(filter);
    }
    let whole = parser.choice(0)?;
    if let Some(Token::Close(place)) = parser.tokens.next() {
        return Err(place.error("this bracket was never opened"));
    }
    for part in if let Clause::All(parts) = whole { parts } else { vec![whole] } {
        let about_rows = part.terms().any(|(leaf, _)| matches!(leaf.term, Term::Row(_)));
        if about_rows {
            filter.rows.push(part.try_map(&mut Leaf::row)?);
        } else {
            filter.groups.push(part.try_map(&mut Leaf::group)?);
        }
    }
    Ok(filter)
}

/// A term and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    term: Term,
    place: Place,
}

impl Leaf {
    fn row(self) -> Result<RowTerm, FilterError> {
        match self.term {
            Term::Row(term) => Ok(term),
            // Connections are chosen before rows are made of them.
            Term::Group(_) => Err(self.place.error(
                "a term about whole rows cannot stand in brackets, or beside \"or\", with terms about connections",
            )),
        }
    }

    fn group(self) -> Result<GroupTerm, FilterError> {
        match self.term {
            Term::Group(term) => Ok(term),
            Term::Row(_) => Err(self.place.error("a term about connections cannot stand here")),
        }
    }
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    /// Where the text ends.
    end: Place,
    values: usize,
    patterns: usize,
}

impl Parser {
    fn choice(&mut self, depth: usize) -> Result<Clause<Leaf>, FilterError> {
        let mut parts = vec![self.all(depth)?];
        while let Some(Token::Or(place)) = self.tokens.peek().cloned() {
            self.tokens.next();
            parts.push(self.after(place, "or", depth, Self::all)?);
        }
        Ok(Clause::any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Clause<Leaf>, FilterError> {
        let mut parts = vec![self.one(depth)?];
        loop {
            match self.tokens.peek().cloned() {
                Some(Token::And(place)) => {
                    self.tokens.next();
                    parts.push(self.after(place, "and", depth, Self::one)?);
                }
                None | Some(Token::Or(_) | Token::Close(_)) => return Ok(Clause::all(parts)),
                Some(Token::Word(_) | Token::Open(_) | Token::Not(_)) => parts.push(self.one(depth)?),
            }
        }
    }

    /// What must follow a word that joins or turns round.
    fn after<T>(
        &mut self,
        place: Place,
        word: &str,
        depth: usize,
        read: fn(&mut Self, usize) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        match self.tokens.peek() {
            Some(Token::Word(_) | Token::Open(_) | Token::Not(_)) => read(self, depth),
            _ => Err(place.error(format!("a term is missing after {word:?}"))),
        }
    }

    fn one(&mut self, depth: usize) -> Result<Clause<Leaf>, FilterError> {
        match self.tokens.next() {
            Some(Token::Word(word)) => self.word(&word),
            Some(Token::Open(place) | Token::Not(place)) if depth == DEEPEST => {
                Err(place.error(format!("nested more than {DEEPEST} deep")))
            }
            Some(Token::Not(place)) => Ok(self.after(place, "not", depth + 1, Self::one)?.not()),
            Some(Token::Open(place)) => {
                let unclosed = || place.error("the bracket that opens here is never closed,");
                match self.tokens.peek() {
                    None => return Err(unclosed()),
                    Some(Token::Close(close)) => {
                        let place = Place { width: close.column + 1 - place.column, ..place };
                        return Err(place.error("nothing stands in these brackets"));
                    }
                    Some(_) => {}
                }
                let inner = self.choice(depth + 1)?;
                self.tokens.next().map(|_| inner).ok_or_else(unclosed)
            }
            Some(Token::Or(place)) => Err(place.error("a term is missing before \"or\"")),
            Some(Token::And(place)) => Err(place.error("a term is missing before \"and\"")),
            Some(Token::Close(place)) => Err(place.error("this bracket was never opened")),
            None => Err(self.end.error("a term is missing")),
        }
    }

    fn word(&mut self, word: &Word) -> Result<Clause<Leaf>, FilterError> {
        let is_pattern = word.operator.ends_with('~');
        self.values += word.values.len();
        self.patterns += usize::from(is_pattern);
        if self.values > VALUES {
            return Err(word.place.error(format!("a filter has at most {VALUES} values")));
        }
        if self.patterns > PATTERNS {
            return Err(word.place.error(format!("a filter has at most {PATTERNS} regular expressions")));
        }
        let end = word.place.column + word.place.width;
        let opened = |token: &Token| matches!(token, Token::Open(place) if place.column == end);
        if let (Some(field), Some((last, place))) = (&word.field, word.values.last())
            && last.is_empty()
            && self.tokens.peek().is_some_and(opened)
        {
            let instead = format!("brackets go around whole terms: write ({field}:a or {field}:b), or {field}:a,b");
            return Err(Place { width: 1, ..*place }.error(instead));
        }
        let leaf = Clause::Term(Leaf { term: term(word)?, place: word.place });
        let turned = word.negated != word.operator.starts_with("!~");
        Ok(if turned { leaf.not() } else { leaf })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Compare, Measure};
    use super::*;

    fn filter(text: &str) -> Filter {
        parse(text).unwrap_or_else(|error| panic!("{text}\n{}\n{error}", error.carets()))
    }

    #[test]
    fn the_documented_example_is_read() {
        let filter = filter("src:shop/* dst:postgres port:5432 conns>100 delta>50 state:time_wait");
        assert_eq!(filter.rows.len(), 4);
        assert_eq!(filter.groups[0], Clause::Term(GroupTerm::Number(Measure::Connections, Compare::More, 100_000)));
        assert_eq!(filter.to_string(), "src:app/shop/* dst:postgres port:5432 state:time_wait conns>100 delta>50");
    }

    #[test]
    fn terms_are_read_back() {
        for text in [
            "any:web",
            "-any:ns/kube-system",
            "src:10.0.0.0/8,type/external",
            "port:80,443,8000-8999",
            "proto:udp,tcp",
            "state:open,syn_sent",
            "node:n*",
            "is:previous",
            "is:new",
            "conns>=1500",
            "rate<-2.5",
            "-est!=100",
            "any:\"two words\"",
            "any:fd00::1",
            "row:000000000000000000000000000000ff@src+dst-pod+port",
            "any:a or any:b",
            "(any:a or -any:b any:c) proto:tcp conns>1",
            "-(src:a or dst:b)",
            "conns>1 or is:new",
            "any:a conns>1 (delta>1 or is:new)",
            "src~^check(out|-in)$",
            "-node~^n[(,\\]]\\d",
            "any~\"two words\"",
            "any~a\\)",
            "any:or any:\"(\"",
        ] {
            assert_eq!(filter(text).to_string(), text);
        }
        for bare in ["fd00::1", "dead:beef::/32", "fe::1"] {
            assert_eq!(filter(bare).to_string(), format!("any:{bare}"));
        }
        assert_eq!(filter("!ns:kube-system"), filter("-ns:kube-system"));
        assert_eq!(filter("port>=1024 conns>1.5k"), filter("port:1024-65535 conns>1500"));
        assert!(filter("   ").is_empty());
    }

    #[test]
    fn one_meaning_has_one_form() {
        for (text, expected) in [
            ("a | b || c", "any:a or any:b or any:c"),
            ("a OR b and c", "any:a or any:b any:c"),
            ("(a or b) AND c", "(any:a or any:b) any:c"),
            ("((a))(b)", "any:a any:b"),
            ("(a (b or (c or d)))", "any:a (any:b or any:c or any:d)"),
            ("not a !(b c) -(-d)", "-any:a -(any:b any:c) any:d"),
            ("(src:a conns>5)", "src:a conns>5"),
            ("conns>5 (dst:a or dst:b)", "(dst:a or dst:b) conns>5"),
            ("src!~^a", "-src~^a"),
            ("-src!~^a", "src~^a"),
            ("(src~a(b|c)) d", "src~a(b|c) any:d"),
            ("ns~\"^kube-\" app~x{1,2}", "ns~^kube- app~x{1,2}"),
            ("(1::2)", "any:1::2"),
            ("\"or\" -or", "any:or -any:or"),
        ] {
            assert_eq!(filter(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, column, width, message) in [
            ("dst:web prot:tcp", 8, 8, "there is no field \"prot\""),
            ("port:http", 5, 4, "\"http\" is not a port"),
            ("port:80,x,90", 8, 1, "\"x\" is not a port"),
            ("state:tyme_wait", 6, 9, "\"tyme_wait\" is no state"),
            ("conns:5", 0, 7, "conns is a number"),
            ("conns>many", 6, 4, "\"many\" is not a number"),
            ("src>web", 0, 7, "src is compared by ':', or by ~"),
            ("state~x", 0, 7, "state is compared by ':' and takes no regular"),
            ("web soruce:x", 4, 8, "there is no field \"soruce\" (did you mean src?)"),
            ("dst:a src~(b", 10, 2, "no regular expression: unclosed group"),
            ("(a or b", 0, 1, "the bracket that opens here"),
            ("(", 0, 1, "the bracket that opens here"),
            ("a or b) c", 6, 1, "this bracket was never opened"),
            ("a or", 2, 2, "a term is missing after \"or\""),
            ("or a", 0, 2, "a term is missing before \"or\""),
            ("a (b and) c", 5, 3, "a term is missing after \"and\""),
            ("a -()", 3, 2, "nothing stands in these brackets"),
            ("not", 0, 3, "a term is missing after \"not\""),
            ("src:(a or b)", 4, 1, "write (src:a or src:b), or src:a,b"),
            ("src:a or conns>5", 9, 7, "a term about whole rows cannot stand"),
            ("src:", 4, 1, "a value is missing"),
            ("é dst:\"web", 6, 4, "the quote that opens here"),
            ("ip:hello", 3, 5, "\"hello\" is neither an IP address nor a CIDR"),
            ("port:90-80", 5, 5, "runs backwards"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.column, error.width), (column, width), "{text}\n{}", error.carets());
            assert!(error.message.contains(message), "{}", error.message);
        }
    }

    #[test]
    fn what_costs_is_bounded() {
        let error = |text: &str| parse(text).expect_err("too much").to_string();
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEEPEST)).is_ok());
        assert_eq!(error(&nested(DEEPEST + 1)), "nested more than 32 deep at column 33");
        assert_eq!(error(&format!("{} a", "not ".repeat(DEEPEST + 1))), "nested more than 32 deep at column 129");
        assert!(error(&"a ".repeat(VALUES + 1)).starts_with("a filter has at most 2000 values"));
        assert!(error(&"any~a ".repeat(PATTERNS + 1)).starts_with("a filter has at most 32 regular expressions"));
        // Nothing is kept for what is never used.
        assert!(error(&"(".repeat(100_000)).starts_with("nested more"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_within_its_bounds(text in "(or|and|not|src~|[-!a-z:~<>=,\"/0-9. é*()\\[\\]|\\\\]){0,24}") {
            match parse(&text) {
                Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), Ok(filter)),
                Err(error) => prop_assert!(error.column <= text.chars().count()),
            }
        }
    }
}
