//! What may go where: a secret goes to the host that it was given for, and never over plain http, where everybody on the way
//! reads it. A connection to this computer, such as a port-forward, has no way.

use reqwest::redirect::Policy;
use url::{Host, Url};

use super::{HttpConfig, HttpConfigError};

/// Most redirects within one host.
const MOST_REDIRECTS: usize = 10;

/// A redirect to another scheme, host or port.
#[derive(Debug, thiserror::Error)]
#[error("redirects to {0}")]
pub(crate) struct Elsewhere(pub(crate) String);

/// Follows redirects to where the question was sent, and to nowhere else.
pub(super) fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let asked = attempt.previous().first().map(Url::origin);
        if asked.is_some_and(|asked| asked != attempt.url().origin()) {
            let elsewhere = Elsewhere(attempt.url().origin().ascii_serialization());
            attempt.error(elsewhere)
        } else if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("it redirects too often")
        } else {
            attempt.follow()
        }
    })
}

/// Whether the host is this computer.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or_else(|_| host == "localhost" || host.ends_with(".localhost"), |ip| ip.to_canonical().is_loopback())
}

/// A header by whose name one expects a secret.
fn is_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header == "cookie" || ["auth", "token", "key", "secret", "password"].iter().any(|word| header.contains(word))
}

impl HttpConfig {
    /// The secret in these settings or the URL that must not travel in plain text; `None` if there is none.
    fn secret(&self, url: &Url) -> Option<String> {
        let given = |name: &str| Some(name.to_owned());
        match () {
            () if !url.username().is_empty() || url.password().is_some() => given("the user and password of the URL"),
            () if self.basic_auth.is_some() => given("a password"),
            () if self.authorization.is_some() => given("credentials"),
            () if self.bearer_token.is_some() || self.bearer_token_file.is_some() => given("a token"),
            () => {
                let hidden = |source: &super::HeaderSource| !source.secrets.is_empty() || !source.files.is_empty();
                let mut headers = self.http_headers.iter();
                let found = headers.find(|(name, source)| is_secret(name) || hidden(source));
                found.map(|(name, _)| format!("the header {name}"))
            }
        }
    }

    /// Fails where a secret would go to `url` over plain http.
    pub fn check_url(&self, url: &Url) -> Result<(), HttpConfigError> {
        let near = match url.host() {
            Some(Host::Domain(name)) => is_loopback(name),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
            None => true,
        };
        match self.secret(url).filter(|_| url.scheme() == "http" && !near) {
            Some(secret) => Err(HttpConfigError::Plain { secret, origin: url.origin().ascii_serialization() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::http_config::{HeaderSource, Secret};

    #[test]
    fn a_secret_goes_over_tls_or_to_this_computer() {
        let open = HttpConfig::default();
        let token = HttpConfig { bearer_token: Some(Secret("t".into())), ..HttpConfig::default() };
        let header = |name: &str| {
            let source = HeaderSource { values: vec!["x".into()], ..HeaderSource::default() };
            HttpConfig { http_headers: [(name.to_owned(), source)].into(), ..HttpConfig::default() }
        };
        let check = |config: &HttpConfig, url: &str| config.check_url(&url.parse().unwrap());
        for (config, url, refused) in [
            (&open, "http://prom:9090", false),
            (&open, "http://me:secret@prom:9090", true),
            (&open, "https://me:secret@prom:9090", false),
            (&token, "http://prom:9090", true),
            (&token, "https://prom:9090", false),
            (&token, "http://127.0.0.1:9090", false),
            (&token, "http://[::1]:9090", false),
            (&token, "http://localhost:9090", false),
            (&token, "http://localhost.example:9090", true),
            (&header("X-Scope-OrgID"), "http://prom:9090", false),
            (&header("X-Api-Key"), "http://prom:9090", true),
        ] {
            assert_eq!(check(config, url).is_err(), refused, "{url}");
        }
        let error = check(&token, "http://prom:9090").unwrap_err().to_string();
        assert!(error.starts_with("a token would go over plain http to http://prom:9090"), "{error}");
    }
}
