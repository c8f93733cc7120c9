//! What a client accepts (RFC 9110 section 12.5): in, headers; out, whether it takes gzip and how it wants a page of metrics.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::exposition::Exposition;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// Whether a client takes gzip.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = |item: &Item<'_>| item.is("gzip") || item.is("x-gzip");
    let item = items(headers, &ACCEPT_ENCODING)
        .find(named)
        .or_else(|| items(headers, &ACCEPT_ENCODING).find(|item| item.is("*")));
    item.is_some_and(|item| item.weight() > 0.0)
}

/// The form of a page of metrics: OpenMetrics where the client names a version of it that we write, and does not like plain
/// text better; else Prometheus' own.
pub fn exposition(headers: &HeaderMap) -> Exposition {
    let weight = |wanted: fn(&Item<'_>) -> bool| {
        items(headers, &ACCEPT).filter(wanted).map(|item| item.weight()).fold(0.0, f32::max)
    };
    let open =
        weight(|item| item.is(OPEN_METRICS) && matches!(item.parameter("version"), None | Some("1.0.0" | "0.0.1")));
    if open > 0.0 && open >= weight(|item| item.is("text/plain")) { Exposition::OpenMetrics } else { Exposition::Text }
}

/// One item of a list, with its parameters.
#[derive(Clone, Copy, Debug)]
struct Item<'a>(&'a str);

fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Item<'a>> {
    let lists = headers.get_all(name).into_iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(Item)
}

impl<'a> Item<'a> {
    fn is(&self, value: &str) -> bool {
        self.0.split(';').next().is_some_and(|own| own.trim().eq_ignore_ascii_case(value))
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let parameters = self.0.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let mut values = parameters.filter(|(own, _)| own.trim().eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    /// From 0, which is "not at all", to 1; 0 where it cannot be read.
    fn weight(&self) -> f32 {
        self.parameter("q").map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, text: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, text.parse().unwrap())])
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP", "*", "br, *;q=0.1", "x-gzip"] {
            assert!(takes_gzip(&headers(ACCEPT_ENCODING, yes)), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip; q=0.0, *", "deflate", "*;q=0", "gzip;q=x"] {
            assert!(!takes_gzip(&headers(ACCEPT_ENCODING, no)), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn open_metrics_is_for_those_who_like_it_best() {
        for open in [
            // Prometheus 2.45, and 3.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/openmetrics-text",
            "text/plain;q=0.3, Application/OpenMetrics-Text; Version=1.0.0; Q=0.3",
        ] {
            assert_eq!(exposition(&headers(ACCEPT, open)), Exposition::OpenMetrics, "{open}");
        }
        for text in [
            "",
            "*/*",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;q=0.5",
        ] {
            assert_eq!(exposition(&headers(ACCEPT, text)), Exposition::Text, "{text}");
        }
        assert_eq!(exposition(&HeaderMap::new()), Exposition::Text);
    }
}
