//! The two forms of a page of metrics: Prometheus' text format 0.0.4, and OpenMetrics 1.0.
//!
//! Lines of values are the same in both. What differs are the lines about a metric, and the end of the page, so a page is
//! written in the former and its lines about metrics are changed where the latter is asked for.

/// The form of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Text, Self::OpenMetrics];

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Appends the lines about a metric, with its name, text and kind as in the text format.
    pub fn about(self, page: &mut Vec<u8>, name: &str, help: &str, kind: &str) {
        match self {
            // Written for each page, so without an allocation.
            Self::Text => {
                for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
                    page.extend_from_slice(part.as_bytes());
                }
            }
            Self::OpenMetrics => self.append(page, format!("# HELP {name} {help}\n# TYPE {name} {kind}\n").as_bytes()),
        }
    }

    /// Appends whole lines that are written in the text format.
    pub fn append(self, page: &mut Vec<u8>, lines: &[u8]) {
        if self == Self::Text {
            page.extend_from_slice(lines);
            return;
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_prefix(b"# ").and_then(|line| str::from_utf8(line).ok()) {
                Some(about) => page.extend_from_slice(open_metrics(about).as_bytes()),
                None => page.extend_from_slice(line),
            }
        }
    }

    /// Appends the end of the page.
    pub fn end(self, page: &mut Vec<u8>) {
        if self == Self::OpenMetrics {
            page.extend_from_slice(b"# EOF\n");
        }
    }
}

/// `name="value"`, the value escaped as the text format wants it: backslash, double quote and line feed.
pub fn label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        text.push_str(match special.as_bytes()[0] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &special[1..];
    }
    text.push_str(rest);
    text.push('"');
}

/// `HELP NAME TEXT` or `TYPE NAME KIND`: a counter is called without `_total`, which only its values have, and what would
/// be a counter under another name is of no known type. Quotes in a text are escaped.
fn open_metrics(about: &str) -> String {
    let mut words = about.splitn(3, ' ');
    let (keyword, name, rest) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let family = name.strip_suffix("_total");
    let (keyword, rest) = match (keyword, rest.trim_end()) {
        (Some("TYPE"), "untyped") => ("TYPE", "unknown".to_owned()),
        (Some("TYPE"), "counter") if family.is_none() => ("TYPE", "unknown".to_owned()),
        (Some("TYPE"), kind) => ("TYPE", kind.to_owned()),
        (_, text) => ("HELP", text.replace('"', "\\\"")),
    };
    format!("# {keyword} {} {rest}\n", family.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP up_total Ups, \"big\" ones.\n# TYPE up_total counter\nup_total{a=\"# TYPE x counter\"} 5\n\
                        # HELP down Downs.\n# TYPE down counter\ndown 1\n# HELP flat Neither.\n# TYPE flat untyped\n";

    #[test]
    fn values_are_escaped() {
        let mut text = String::new();
        label(&mut text, "x", "a\\b\"c\nd\u{e9}");
        assert_eq!(text, "x=\"a\\\\b\\\"c\\nd\u{e9}\"");
    }

    #[test]
    fn only_the_lines_about_metrics_and_the_end_differ() {
        let written = |exposition: Exposition| {
            let mut page = Vec::new();
            exposition.append(&mut page, PAGE.as_bytes());
            exposition.end(&mut page);
            String::from_utf8(page).unwrap()
        };
        assert_eq!(written(Exposition::Text), PAGE);
        for exposition in Exposition::ALL {
            let (mut about, mut appended) = (Vec::new(), Vec::new());
            exposition.about(&mut about, "up_total", "Ups.", "counter");
            exposition.append(&mut appended, b"# HELP up_total Ups.\n# TYPE up_total counter\n");
            assert_eq!(about, appended);
        }
        assert_eq!(
            written(Exposition::OpenMetrics),
            "# HELP up Ups, \\\"big\\\" ones.\n# TYPE up counter\nup_total{a=\"# TYPE x counter\"} 5\n# HELP down Downs.\n\
             # TYPE down unknown\ndown 1\n# HELP flat Neither.\n# TYPE flat unknown\n# EOF\n"
        );
    }
}
