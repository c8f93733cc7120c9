//! A real Prometheus server: Debian's, with a generated configuration.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;

use crate::program::Running;
use crate::{Answer, Host, Lab, LabError, Program, Result, until};

/// Where Debian and Ubuntu install it.
pub const SERVER: &str = "/usr/bin/prometheus";

/// One `scrape_configs` entry.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// `job_name`.
    pub name: &'a str,
    /// `host:port` of each target.
    pub targets: &'a [&'a str],
}

/// A running server that scrapes every second. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    running: Running,
}

/// One series of an instant query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Prometheus {
    /// Starts a server, inside `host` when there is one. `rules` are rule files.
    pub fn start(lab: &Lab, host: Option<&Host>, jobs: &[Job<'_>], rules: &[&str]) -> Result<Self> {
        let mut config = String::from("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n");
        writeln!(config, "rule_files: {rules:?}\nscrape_configs:").expect("writing to a String");
        for Job { name, targets } in jobs {
            writeln!(config, "- {{job_name: {name:?}, static_configs: [{{targets: {targets:?}}}]}}")
                .expect("writing to a String");
        }
        let config = lab.file("prometheus.yml", config)?;
        let data = lab.folder().join("prometheus");
        let mut program = Program::new(SERVER).args([
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", data.display()),
            "--web.listen-address=127.0.0.1:0".into(),
        ]);
        if let Some(host) = host {
            program = program.inside(host);
        }
        let missing = |error| LabError::Missing(format!("{error} (Debian and Ubuntu: apt-get install prometheus)"));
        let running = program.start().map_err(missing)?;
        let server = Self { running };
        server.running.get_when_ready("/-/ready")?;
        Ok(server)
    }

    /// Base URL of its HTTP API, without a slash at the end.
    pub fn url(&self) -> Result<String> {
        self.running.url("")
    }

    /// `GET` of a path of the HTTP API.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.running.get(path)
    }

    /// Runs an instant query.
    pub fn query(&self, promql: &str) -> Result<Vec<Sample>> {
        let answer = self.get(&format!("/api/v1/query?query={}", percent_encoded(promql)))?;
        if answer.status != 200 {
            return Err(LabError::Malformed(format!("Prometheus refused {promql}: {}", answer.body)));
        }
        let answer: QueryAnswer = answer.json()?;
        answer
            .data
            .result
            .into_iter()
            .map(|series| {
                let value = series.value.1.parse();
                let value = value.map_err(|_| LabError::Malformed(format!("{} is no number", series.value.1)))?;
                Ok(Sample { labels: series.metric, value })
            })
            .collect()
    }

    /// Repeats a query until the answer satisfies `enough`.
    pub fn query_until(
        &self,
        promql: &str,
        deadline: Duration,
        enough: impl Fn(&[Sample]) -> bool,
    ) -> Result<Vec<Sample>> {
        let mut last = String::new();
        let found = until(&format!("an answer to {promql}"), deadline, || {
            let answer = self.query(promql);
            last = format!("{answer:?}");
            answer.ok().filter(|samples| enough(samples))
        });
        found.map_err(|error| LabError::Malformed(format!("{error}; the last one was {last}")))
    }
}

#[derive(Deserialize)]
struct QueryAnswer {
    data: QueryData,
}

#[derive(Deserialize)]
struct QueryData {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String");
        }
        encoded
    })
}
