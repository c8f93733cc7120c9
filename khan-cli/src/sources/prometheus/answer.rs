//! What the HTTP API answers to queries.

use std::collections::HashMap;

use khan_api::{Label, Name, Sentence};
use serde::Deserialize;
use serde::de::{self, Deserializer};

/// Series of an instant or range query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The series.
    pub series: Vec<Series>,
    /// What the server wants known, such as that a part of it did not answer.
    pub warnings: Vec<Sentence>,
    /// The server's clock minus ours, in milliseconds, if it sent its time.
    pub clock_skew_millis: i64,
}

/// One series.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Series {
    /// Its labels.
    #[serde(default, rename = "metric")]
    pub labels: Labels,
    /// Its value now, of an instant query.
    #[serde(default)]
    value: Option<Point>,
    /// Its values, of a range query, oldest first.
    #[serde(default)]
    pub values: Vec<Point>,
}

/// Label names to values; absent and empty are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub HashMap<Label, Name>);

impl Labels {
    /// A label's value; empty when it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", Name::as_str)
    }
}

impl Series {
    /// The value of an instant query.
    pub fn value(&self) -> Option<Point> {
        self.value
    }
}

/// A time in seconds since 1970, and a value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Seconds since the epoch.
    pub at: f64,
    /// As the server sent it; may be NaN or infinite.
    pub value: f64,
}

impl Point {
    /// The value as a number of things; what cannot be one is zero.
    pub fn count(self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and NaN is zero")]
        {
            self.value.round() as u64
        }
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `[1795341600.123, "42"]`: values are text, so that infinities can be written.
        let (at, text) = <(f64, std::borrow::Cow<'de, str>)>::deserialize(deserializer)?;
        let value = match &*text {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            text => text.parse().map_err(|_| de::Error::custom(format_args!("{text:?} is not a number")))?,
        };
        Ok(Self { at, value })
    }
}

/// `status: error`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Failed {
    #[serde(rename = "errorType", default)]
    pub(super) kind: Label,
    pub(super) error: String,
}

#[derive(Deserialize)]
struct Wire {
    status: Label,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error: Sentence,
    #[serde(default)]
    warnings: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: Label,
    result: Vec<Series>,
}

impl Answer {
    /// Reads a body; the error is a reason in words.
    pub(super) fn read(body: &[u8]) -> Result<Self, Sentence> {
        let wire: Wire = serde_json::from_slice(body).map_err(Sentence::of)?;
        match wire.data {
            _ if wire.status != "success" => {
                Err(Sentence::of(format_args!("its status is {:?}: {}", wire.status, wire.error)))
            }
            Some(data) if matches!(&*data.kind, "vector" | "matrix") => {
                Ok(Self { series: data.result, warnings: wire.warnings, clock_skew_millis: 0 })
            }
            Some(data) => Err(Sentence::of(format_args!("its result is a {}", data.kind))),
            None => Err("it has no data".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_matrices_are_read() {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"src_app":"web"},"value":[1795341600.5,"42"]},{"metric":{},"value":[1,"+Inf"]}]},"warnings":["half"]}"#;
        let answer = Answer::read(body.as_bytes()).unwrap();
        assert_eq!((answer.series[0].labels.get("src_app"), answer.series[0].labels.get("dst_app")), ("web", ""));
        assert_eq!(answer.series[0].value().unwrap().count(), 42);
        assert_eq!(answer.series[1].value().unwrap().count(), u64::MAX);
        assert_eq!(answer.warnings, ["half"]);
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"],[2,"2"]]}]}}"#;
        let answer = Answer::read(body.as_bytes()).unwrap();
        assert_eq!(answer.series[0].values.iter().map(|point| point.count()).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (body, reason) in [
            ("<html>", "expected value"),
            (r#"{"status":"success"}"#, "it has no data"),
            (r#"{"status":"error","error":"boom"}"#, "its status is \"error\": boom"),
            (r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#, "its result is a scalar"),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}"#,
                "\"x\" is not a number",
            ),
        ] {
            let error = Answer::read(body.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
