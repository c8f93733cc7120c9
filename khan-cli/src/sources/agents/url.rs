//! `--agent URL`: where one agent is.

use std::fmt;
use std::str::FromStr;

use khan_api::routes::AGENT_PORT;
use khan_api::text::without_userinfo;
use url::Url;

/// The base URL of an agent; written without its user and password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentUrl(Url);

/// The text is no URL of an agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentUrlError {
    /// Cannot be read at all.
    #[error("{0:?} is not a URL such as http://10.0.0.5:14718 ({1})")]
    Syntax(String, url::ParseError),
    /// Another scheme.
    #[error("{0:?} does not begin with http:// or https://")]
    Scheme(String),
    /// Query or fragment.
    #[error("{0:?} has a query or a fragment, which the URL of an agent cannot have")]
    Query(String),
}

impl AgentUrl {
    /// All of it.
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned()
    }

    /// The URL of `path` (which begins with a slash) below this one.
    pub fn join(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

impl FromStr for AgentUrl {
    type Err = AgentUrlError;

    /// A URL; `http://` and the agent's port are added where they are missing, so that `HOST`, `http://HOST` and
    /// `http://HOST:14718` are one agent.
    fn from_str(text: &str) -> Result<Self, AgentUrlError> {
        Self::with_port(text, AGENT_PORT)
    }
}

impl AgentUrl {
    /// A URL; `http://` and this port are added where they are missing.
    pub fn with_port(text: &str, port: u16) -> Result<Self, AgentUrlError> {
        let bare = !text.contains("://");
        let full = if bare { format!("http://{text}") } else { text.to_owned() };
        let mut url = Url::parse(&full).map_err(|error| AgentUrlError::Syntax(without_userinfo(text).into(), error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AgentUrlError::Scheme(without_userinfo(text).into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AgentUrlError::Query(without_userinfo(text).into()));
        }
        // Below a path stands a proxy, which listens where its scheme says.
        let proxied = url.path() != "/";
        if !proxied && !has_port(&full) {
            let set = url.set_port(Some(port));
            debug_assert!(set.is_ok(), "http URLs have ports");
        }
        Ok(Self(url))
    }
}

/// Whether a URL names its port, be it the scheme's own, which a parsed URL leaves out.
fn has_port(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.rsplit(']').next().unwrap_or_default().contains(':')
}

impl fmt::Display for AgentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(without_userinfo(self.0.as_str()).trim_end_matches('/'))
    }
}

impl fmt::Debug for AgentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added() {
        for (text, expected) in [
            ("10.0.0.5", "http://10.0.0.5:14718"),
            ("node-3:9000", "http://node-3:9000"),
            ("[fd00::5]", "http://[fd00::5]:14718"),
            ("https://khan.example/n1/", "https://khan.example/n1"),
            ("http://u:secret@n1:1", "http://n1:1"),
            ("http://n1", "http://n1:14718"),
            ("http://n1/", "http://n1:14718"),
            ("https://n1", "https://n1:14718"),
            ("https://n1:443", "https://n1"),
            ("http://[fd00::5]", "http://[fd00::5]:14718"),
            ("n1:80", "http://n1"),
        ] {
            assert_eq!(text.parse::<AgentUrl>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_agent_is_refused() {
        assert_eq!("ftp://n1".parse::<AgentUrl>(), Err(AgentUrlError::Scheme("ftp://n1".into())));
        assert_eq!("http://n1/?a=b".parse::<AgentUrl>(), Err(AgentUrlError::Query("http://n1/?a=b".into())));
        for text in ["", "http://", "http://n1:port", "n 1"] {
            assert!(matches!(text.parse::<AgentUrl>(), Err(AgentUrlError::Syntax(..))), "{text}");
        }
    }

    #[test]
    fn paths_come_after_a_prefix() {
        let url: AgentUrl = "https://khan.example/n1".parse().unwrap();
        assert_eq!(url.join("/v1/snapshot?max_age=5s").as_str(), "https://khan.example/n1/v1/snapshot?max_age=5s");
    }
}
