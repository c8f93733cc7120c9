//! Text to tokens, each with its place.

use super::FilterError;

/// Where something stands, in characters of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) column: usize,
    pub(super) width: usize,
}

impl Place {
    pub(super) fn error(self, message: impl Into<String>) -> FilterError {
        FilterError { message: message.into(), column: self.column, width: self.width.max(1) }
    }
}

/// What a filter is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Open(Place),
    Close(Place),
    Or(Place),
    And(Place),
    Not(Place),
}

/// One term as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) negated: bool,
    /// The text before the operator; `None` when there is no operator.
    pub(super) field: Option<String>,
    /// `:`, a comparison, `~` or `!~`.
    pub(super) operator: String,
    /// What stands after it, without quotes: split at commas outside quotes, an expression whole.
    pub(super) values: Vec<(String, Place)>,
    pub(super) place: Place,
}

const OPERATORS: [&str; 9] = [">=", "<=", "!=", "!~", ":", ">", "<", "=", "~"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut tokens = Vec::new();
    while at < chars.len() {
        let here = Place { column: at, width: 1 };
        let token = match chars[at] {
            c if c.is_whitespace() => None,
            '(' => Some(Token::Open(here)),
            ')' => Some(Token::Close(here)),
            '-' | '!' if chars.get(at + 1) == Some(&'(') => Some(Token::Not(here)),
            _ => {
                tokens.push(joint(word(&chars, &mut at)?));
                continue;
            }
        };
        tokens.extend(token);
        at += 1;
    }
    Ok(tokens)
}

/// A word that joins terms. In quotes, or with a minus, it is a text like any other.
fn joint(word: Word) -> Token {
    let [(text, place)] = &word.values[..] else { return Token::Word(word) };
    if word.field.is_some() || word.negated || text.chars().count() != place.width {
        return Token::Word(word);
    }
    match &*text.to_ascii_lowercase() {
        "or" | "|" | "||" => Token::Or(word.place),
        "and" | "&" | "&&" => Token::And(word.place),
        "not" => Token::Not(word.place),
        _ => Token::Word(word),
    }
}

fn word(chars: &[char], at: &mut usize) -> Result<Word, FilterError> {
    let column = *at;
    let negated = matches!(chars[*at], '-' | '!');
    if negated {
        *at += 1;
    }
    let field_start = *at;
    let name_end = (*at..chars.len()).find(|i| !chars[*i].is_ascii_alphabetic()).unwrap_or(chars.len());
    let operator = OPERATORS.into_iter().find(|operator| {
        name_end > field_start && operator.chars().enumerate().all(|(i, c)| chars.get(name_end + i) == Some(&c))
    });
    // A bare IPv6 address has colons behind letters, too.
    let operator = operator.filter(|_| !is_address(&chars[field_start..]));
    let field = operator.map(|operator| {
        *at = name_end + operator.len();
        chars[field_start..name_end].iter().collect::<String>()
    });
    let operator = operator.unwrap_or_default().to_owned();
    let values = if operator.ends_with('~') { vec![value(chars, at, End::OfPattern)?] } else { values(chars, at)? };
    Ok(Word { negated, field, operator, values, place: Place { column, width: *at - column } })
}

fn is_address(chars: &[char]) -> bool {
    let text: String = chars.iter().take_while(|c| !c.is_whitespace() && !matches!(c, ',' | '(' | ')')).collect();
    text.contains(':') && text.parse::<khan_api::Cidr>().is_ok()
}

fn values(chars: &[char], at: &mut usize) -> Result<Vec<(String, Place)>, FilterError> {
    let mut values = vec![value(chars, at, End::AtComma)?];
    while chars.get(*at) == Some(&',') {
        *at += 1;
        values.push(value(chars, at, End::AtComma)?);
    }
    Ok(values)
}

/// What ends a value besides a space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A comma, or a bracket.
    AtComma,
    /// A bracket that the expression itself has not opened. What follows a backslash ends nothing.
    OfPattern,
}

fn value(chars: &[char], at: &mut usize, end: End) -> Result<(String, Place), FilterError> {
    let (mut value, column) = (String::new(), *at);
    let pattern = end == End::OfPattern;
    let (mut groups, mut classes) = (0_usize, 0_usize);
    while let Some(c) = chars.get(*at).copied() {
        match c {
            '"' => {
                quoted(chars, at, &mut value)?;
                continue;
            }
            '\\' if pattern && *at + 1 < chars.len() => {
                value.push(c);
                *at += 1;
            }
            _ if c.is_whitespace() => break,
            ',' if !pattern => break,
            '[' if pattern => classes += 1,
            ']' if pattern => classes = classes.saturating_sub(1),
            '(' if pattern && classes == 0 => groups += 1,
            ')' if pattern && classes == 0 && groups > 0 => groups -= 1,
            '(' | ')' if classes == 0 => break,
            _ => {}
        }
        value.push(chars[*at]);
        *at += 1;
    }
    Ok((value, Place { column, width: *at - column }))
}

/// Takes what stands between the quote here and the next one.
fn quoted(chars: &[char], at: &mut usize, value: &mut String) -> Result<(), FilterError> {
    let column = *at;
    *at += 1;
    loop {
        match chars.get(*at) {
            Some('"') => {
                *at += 1;
                return Ok(());
            }
            Some('\\') if matches!(chars.get(*at + 1), Some('"' | '\\')) => {
                value.push(chars[*at + 1]);
                *at += 2;
            }
            Some(c) => {
                value.push(*c);
                *at += 1;
            }
            None => {
                let place = Place { column, width: *at - column };
                return Err(place.error("the quote that opens here is never closed,"));
            }
        }
    }
}

/// `text` in quotes where it needs them.
pub(crate) fn quote(text: &str) -> String {
    let special = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\\' | '(' | ')');
    if text.is_empty() || text.contains(special) { in_quotes(text) } else { text.to_owned() }
}

/// An expression in quotes where it needs them.
pub(super) fn quote_pattern(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let bare = !text.is_empty() && !text.contains('"');
    let bare = bare && value(&chars, &mut at, End::OfPattern).is_ok() && at == chars.len();
    if bare { text.to_owned() } else { in_quotes(text) }
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
