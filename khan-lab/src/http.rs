//! One `GET` at a time, from the namespace that the calling thread is in.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::blocking::Client;
use serde::de::DeserializeOwned;

use crate::{LabError, Result, until};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with its compression undone.
    pub body: String,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.body)
            .map_err(|error| LabError::Malformed(format!("not the JSON that was expected: {error}: {}", self.body)))
    }
}

/// Keeps its connections open, so that repeated requests leave no trail of closed ones in the table.
#[derive(Debug)]
pub(crate) struct Http(Client);

impl Http {
    /// Its threads, and so its sockets, live in the namespace that the calling thread is in.
    pub(crate) fn new() -> Result<Self> {
        static PROVIDER: OnceLock<()> = OnceLock::new();
        PROVIDER.get_or_init(|| {
            // Somebody else in this process may have installed one, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build();
        client.map(Self).map_err(|error| LabError::Malformed(sentence(&error)))
    }

    pub(crate) fn get(&self, url: &str) -> Result<Answer> {
        let failed = |error: reqwest::Error| LabError::Malformed(format!("GET {url}: {}", sentence(&error)));
        let response = self.0.get(url).send().map_err(failed)?;
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: response.text().map_err(failed)?,
        })
    }

    pub(crate) fn get_when_ready(&self, url: &str, deadline: Duration) -> Result<Answer> {
        let ready = || self.get(url).ok().filter(|answer| answer.status == 200);
        until(&format!("status 200 from {url}"), deadline, ready)
    }
}

/// The error with all its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
