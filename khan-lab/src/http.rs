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

// A new client each time: its threads live in the namespace in which it was made.
fn client() -> Result<Client> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Somebody else in this process may have installed one, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(|error| LabError::Malformed(sentence(&error)))
}

pub(crate) fn get(url: &str) -> Result<Answer> {
    ask(&client()?, url)
}

pub(crate) fn get_when_ready(url: &str, deadline: Duration) -> Result<Answer> {
    let client = client()?;
    until(&format!("status 200 from {url}"), deadline, || ask(&client, url).ok().filter(|answer| answer.status == 200))
}

fn ask(client: &Client, url: &str) -> Result<Answer> {
    let failed = |error: reqwest::Error| LabError::Malformed(format!("GET {url}: {}", sentence(&error)));
    let response = client.get(url).send().map_err(failed)?;
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: response.text().map_err(failed)?,
    })
}

/// The error with all its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
