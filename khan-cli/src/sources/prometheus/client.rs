//! Questions to a server that speaks Prometheus's HTTP API: Prometheus, Thanos, Mimir, `VictoriaMetrics`.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use khan_api::Sentence;
use khan_api::text::without_userinfo;
use url::{Url, form_urlencoded};

use khan_api::Timestamp;

use super::answer::{Answer, Failed};
use crate::duration;
use crate::sources::agents::route::DirectClient;
use crate::sources::agents::route::proxy::Proxied;
use crate::sources::cluster::Cluster;
use crate::sources::exchange::{Ask, Bounds, ExchangeError, Reply, first_line};

/// `--prometheus-url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrometheusUrl {
    /// `http://` or `https://`, with a path prefix and parameters for every request, if any.
    Http(Url),
    /// `svc://NAMESPACE/SERVICE:PORT[/PREFIX]`.
    Service(ServiceUrl),
}

/// A server behind the API server's service proxy. A port's name that begins with `https` means HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    /// Namespace.
    pub namespace: String,
    /// Name of the service.
    pub name: String,
    /// Port, by number or name.
    pub port: String,
    /// Path prefix without a slash at its end.
    pub prefix: String,
}

/// The text is no URL of a Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrometheusUrlError {
    /// Cannot be read.
    #[error("{0:?} is not a URL such as http://prometheus:9090 ({1})")]
    Syntax(String, url::ParseError),
    /// Another scheme.
    #[error("{0:?} does not begin with http://, https:// or svc://")]
    Scheme(String),
    /// Something is missing after `svc://`.
    #[error("{0:?} is not of the form svc://NAMESPACE/SERVICE:PORT")]
    Service(String),
}

impl FromStr for PrometheusUrl {
    type Err = PrometheusUrlError;

    fn from_str(text: &str) -> Result<Self, PrometheusUrlError> {
        if let Some(rest) = text.strip_prefix("svc://") {
            let wrong = || PrometheusUrlError::Service(text.to_owned());
            let (namespace, rest) = rest.split_once('/').ok_or_else(wrong)?;
            let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let (name, port) = authority.split_once(':').ok_or_else(wrong)?;
            let word =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
            if ![namespace, name, port].into_iter().all(word) {
                return Err(wrong());
            }
            let prefix = prefix.trim_matches('/');
            let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
            let (namespace, name, port) = (namespace.into(), name.into(), port.into());
            return Ok(Self::Service(ServiceUrl { namespace, name, port, prefix }));
        }
        // As for agents, `http://` may be left out; `HOST:PORT` would else be a URL whose scheme is the host's name.
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let wrong = |error| PrometheusUrlError::Syntax(without_userinfo(text).into(), error);
        let mut url = Url::parse(&full).map_err(wrong)?;
        if full != text && url.port().is_none() && !text.ends_with(":80") {
            let _ = url.set_port(Some(9090));
        }
        if matches!(url.scheme(), "http" | "https") {
            Ok(Self::Http(url))
        } else {
            Err(PrometheusUrlError::Scheme(without_userinfo(text).into()))
        }
    }
}

impl fmt::Display for PrometheusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.pad(without_userinfo(url.as_str()).trim_end_matches('/')),
            Self::Service(ServiceUrl { namespace, name, port, prefix }) => {
                write!(f, "svc://{namespace}/{name}:{port}{prefix}")
            }
        }
    }
}

/// Why a question has no answer. Written as the rest of a sentence that begins with the server's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromError {
    /// No answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// 401.
    #[error(
        "wants credentials (401{0}): give --prometheus-bearer-token-file, --prometheus-username with \
         --prometheus-password-file, or --prometheus-config"
    )]
    Unauthorized(Line),
    /// 403.
    #[error("does not allow these credentials to query (403{0})")]
    Forbidden(Line),
    /// 404.
    #[error("has no Prometheus API at this path (404{0})")]
    NoApi(Line),
    /// 400 and 422: it understood us and will not do it.
    #[error("refused the query ({status}: {message})")]
    Query {
        /// The status.
        status: u16,
        /// Its words.
        message: Sentence,
    },
    /// The query ran longer than it may there.
    #[error("gave up on the query ({0}): it may need more than --prometheus-timeout, or a smaller --window")]
    Slow(Sentence),
    /// Another status.
    #[error("answered {0}{1}")]
    Status(StatusCode, Line),
    /// An answer without anything in it.
    #[error(
        "has no series khan_connection: it does not scrape khan-agent, or keeps that under another tenant \
         (--prometheus-header 'X-Scope-OrgID: NAME')"
    )]
    NoSeries,
    /// Series of other nodes than those asked for.
    #[error("has no fresh series of node {0} (--node)")]
    NoNode(String),
    /// There were series once.
    #[error("has no fresh series of khan-agent: it scraped the last one {} ago, at {at}", duration::text(*.age))]
    Old {
        /// When.
        at: Timestamp,
        /// How long ago.
        age: Duration,
    },
    /// A moment before everything that it keeps, or in which it scraped nothing.
    #[error(
        "has no series khan_connection of {at}{}",
        oldest.map_or_else(String::new, |oldest| format!("; since then its oldest are from {oldest}"))
    )]
    NoPast {
        /// The moment.
        at: Timestamp,
        /// When there were series for the first time since.
        oldest: Option<Timestamp>,
    },
    /// 200, and not an answer to a query.
    #[error("answered something that is not Prometheus's JSON ({0})")]
    Garbage(Sentence),
}

/// The first line of a body, with a colon before it, when there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Sentence);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// The way to the server.
#[derive(Clone, Debug)]
enum Way {
    Http(Url, DirectClient),
    Service(Box<Service>),
}

#[derive(Clone, Debug)]
struct Service {
    cluster: Arc<Cluster>,
    proxied: Proxied,
    prefix: String,
    headers: HeaderMap,
}

/// A server that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
    url: String,
    bounds: Bounds,
    /// Some gateways take no POST.
    get_only: Arc<AtomicBool>,
}

/// Longest query, in bytes, that fits into a URL everywhere.
const LONGEST_URL: usize = 6_000;

impl Client {
    /// A server at an `http(s)://` URL.
    pub fn http(url: Url, client: DirectClient, bounds: Bounds) -> Self {
        let shown = PrometheusUrl::Http(url.clone()).to_string();
        Self { way: Way::Http(url, client), url: shown, bounds, get_only: Arc::default() }
    }

    /// A server behind the API server's service proxy, where only GET is sure to be allowed. The API server passes all
    /// headers on but `Authorization`, which is for itself.
    pub fn service(cluster: Arc<Cluster>, url: &ServiceUrl, headers: HeaderMap, bounds: Bounds) -> Self {
        let proxied = Proxied {
            resource: "services",
            namespace: url.namespace.clone(),
            name: url.name.clone(),
            port: url.port.clone(),
            https: url.port.starts_with("https"),
        };
        let shown = PrometheusUrl::Service(url.clone()).to_string();
        let mut headers = headers;
        headers.remove(AUTHORIZATION);
        let way = Way::Service(Box::new(Service { cluster, proxied, prefix: url.prefix.clone(), headers }));
        Self { way, url: shown, bounds, get_only: Arc::new(AtomicBool::new(true)) }
    }

    /// The server's URL, without its password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An instant query: one value a series.
    pub async fn query(&self, expression: &str, at: Option<f64>) -> Result<Answer, PromError> {
        let mut parameters = vec![("query", expression.to_owned())];
        parameters.extend(at.map(|at| ("time", format!("{at:.3}"))));
        self.ask("/api/v1/query", &parameters).await
    }

    /// A range query: values from `start` to `end`, `step` apart; times in seconds since 1970.
    pub async fn query_range(
        &self,
        expression: &str,
        start: f64,
        end: f64,
        step: Duration,
    ) -> Result<Answer, PromError> {
        let parameters = [
            ("query", expression.to_owned()),
            ("start", format!("{start:.3}")),
            ("end", format!("{end:.3}")),
            ("step", format!("{:.3}", step.as_secs_f64())),
        ];
        self.ask("/api/v1/query_range", &parameters).await
    }

    fn form(&self, parameters: &[(&str, String)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters).append_pair("timeout", &format!("{}ms", self.bounds.deadline.as_millis()));
        form.finish()
    }

    async fn ask(&self, path: &str, parameters: &[(&str, String)]) -> Result<Answer, PromError> {
        let form = self.form(parameters);
        let get_only = self.get_only.load(Ordering::Relaxed);
        if !get_only || form.len() > LONGEST_URL {
            match self.send(Method::POST, path, &form).await {
                Ok(reply) if matches!(reply.status.as_u16(), 405 | 501) => self.get_only.store(true, Ordering::Relaxed),
                reply => return understand(reply?).await,
            }
        }
        understand(self.send(Method::GET, path, &form).await?).await
    }

    async fn send(&self, method: Method, path: &str, form: &str) -> Result<Reply, ExchangeError> {
        let mut ask = Ask { method, ..Ask::get(path) };
        match ask.method {
            Method::POST => {
                ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                ask.body = form.to_owned().into();
            }
            _ => ask.path = format!("{path}?{form}"),
        }
        let answer = async {
            match &self.way {
                Way::Http(base, client) => client.send(below(base, &ask.path), &ask, self.bounds).await,
                Way::Service(service) => {
                    ask.path.insert_str(0, &service.prefix);
                    ask.headers.extend(service.headers.clone());
                    service.proxied.exchange(&service.cluster, &ask, self.bounds).await
                }
            }
        };
        let late = |_| Err(ExchangeError::Timeout(self.bounds.deadline));
        tokio::time::timeout(self.bounds.deadline, answer).await.unwrap_or_else(late)
    }
}

/// The path and its parameters below a base URL with parameters of its own.
fn below(base: &Url, path: &str) -> Url {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    let both: Vec<_> = [base.query().unwrap_or_default(), query].into_iter().filter(|part| !part.is_empty()).collect();
    url.set_query((!both.is_empty()).then(|| both.join("&")).as_deref());
    url
}

async fn understand(reply: Reply) -> Result<Answer, PromError> {
    if reply.status == StatusCode::OK {
        let skew = reply.clock_skew_millis().unwrap_or(0);
        let read = move || Answer::read(&reply.body).map(|answer| Answer { clock_skew_millis: skew, ..answer });
        let answer =
            tokio::task::spawn_blocking(read).await.map_err(|error| PromError::Garbage(Sentence::of(error)))?;
        return answer.map_err(PromError::Garbage);
    }
    // Prometheus explains itself in JSON; proxies before it do not.
    let told: Option<Failed> = serde_json::from_slice(&reply.body).ok();
    let line = told.as_ref().map_or_else(|| reply.first_line(), |failed| first_line(failed.error.as_bytes()));
    let kind = told.map(|failed| failed.kind).unwrap_or_default();
    Err(match reply.status.as_u16() {
        401 => PromError::Unauthorized(Line(line)),
        403 => PromError::Forbidden(Line(line)),
        404 => PromError::NoApi(Line(line)),
        503 if kind == "timeout" || kind == "canceled" => PromError::Slow(line),
        504 => PromError::Slow(Sentence::of(format_args!("504{}", Line(line)))),
        status @ (400 | 422) => PromError::Query { status, message: line },
        _ => PromError::Status(reply.status, Line(line)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_secrets() {
        for (text, shown) in [
            ("http://prom:9090", "http://prom:9090"),
            ("https://u:p@thanos.example/prefix/", "https://thanos.example/prefix"),
            ("svc://monitoring/prometheus:9090", "svc://monitoring/prometheus:9090"),
            ("svc://monitoring/vm:http/select/0/prometheus/", "svc://monitoring/vm:http/select/0/prometheus"),
        ] {
            assert_eq!(text.parse::<PrometheusUrl>().unwrap().to_string(), shown);
        }
        for text in ["svc://monitoring", "svc://monitoring/prometheus", "svc:///p:9090", "svc://a/b c:1"] {
            assert_eq!(text.parse::<PrometheusUrl>(), Err(PrometheusUrlError::Service(text.into())));
        }
        assert_eq!("ftp://prom".parse::<PrometheusUrl>(), Err(PrometheusUrlError::Scheme("ftp://prom".into())));
        let bare = ["prom", "prom:80", "10.0.0.7:9091"].map(|text| text.parse::<PrometheusUrl>().unwrap().to_string());
        assert_eq!(bare, ["http://prom:9090", "http://prom", "http://10.0.0.7:9091"]);
        assert!(matches!("".parse::<PrometheusUrl>(), Err(PrometheusUrlError::Syntax(..))));
    }

    #[test]
    fn parameters_of_the_base_are_kept() {
        let base = Url::parse("https://thanos.example/team/?dedup=true").unwrap();
        assert_eq!(
            below(&base, "/api/v1/query?query=up").as_str(),
            "https://thanos.example/team/api/v1/query?dedup=true&query=up"
        );
        assert_eq!(below(&base, "/api/v1/query").as_str(), "https://thanos.example/team/api/v1/query?dedup=true");
    }
}
