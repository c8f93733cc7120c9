//! Text to words, each with its place.

use super::FilterError;

/// One term as written. `text` is without quotes; `column` and `width` count characters of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) negated: bool,
    /// The text before the operator; `None` when there is no operator.
    pub(super) field: Option<String>,
    /// `:` or a comparison.
    pub(super) operator: String,
    /// What stands after it, split at commas outside quotes, each with its column and width.
    pub(super) values: Vec<(String, usize, usize)>,
    pub(super) column: usize,
    pub(super) width: usize,
}

const OPERATORS: [&str; 7] = [">=", "<=", "!=", ":", ">", "<", "="];

pub(super) fn words(text: &str) -> Result<Vec<Word>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut words = Vec::new();
    while at < chars.len() {
        if chars[at].is_whitespace() {
            at += 1;
        } else {
            words.push(word(&chars, &mut at)?);
        }
    }
    Ok(words)
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
    let values = values(chars, at)?;
    Ok(Word { negated, field, operator: operator.unwrap_or_default().to_owned(), values, column, width: *at - column })
}

fn is_address(chars: &[char]) -> bool {
    let text: String = chars.iter().take_while(|c| !c.is_whitespace() && **c != ',').collect();
    text.contains(':') && text.parse::<khan_api::Cidr>().is_ok()
}

fn values(chars: &[char], at: &mut usize) -> Result<Vec<(String, usize, usize)>, FilterError> {
    let mut values = Vec::new();
    let (mut value, mut start) = (String::new(), *at);
    loop {
        match chars.get(*at) {
            Some('"') => {
                let open = *at;
                *at += 1;
                loop {
                    match chars.get(*at) {
                        Some('"') => break,
                        Some('\\') if matches!(chars.get(*at + 1), Some('"' | '\\')) => {
                            value.push(chars[*at + 1]);
                            *at += 2;
                        }
                        Some(c) => {
                            value.push(*c);
                            *at += 1;
                        }
                        None => {
                            let message = "the quote that opens here is never closed,".to_owned();
                            return Err(FilterError { message, column: open, width: *at - open });
                        }
                    }
                }
                *at += 1;
            }
            Some(',') => {
                values.push((std::mem::take(&mut value), start, *at - start));
                *at += 1;
                start = *at;
            }
            Some(c) if !c.is_whitespace() => {
                value.push(*c);
                *at += 1;
            }
            _ => {
                values.push((value, start, *at - start));
                return Ok(values);
            }
        }
    }
}

/// `text` in quotes where it needs them.
pub(super) fn quote(text: &str) -> String {
    if !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\\')) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
