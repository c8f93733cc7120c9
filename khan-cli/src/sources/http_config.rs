//! How to talk to a server that wants TLS, credentials or a proxy: the `http_config` of Prometheus, as promtool's
//! `--http.config.file` and amtool read it. A field that Khan does not know is refused by name.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config>

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;

pub(crate) mod plain;
pub(crate) mod client;

/// Settings of an HTTP client. Relative file names are relative to the file that names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// `Authorization: Basic`.
    pub basic_auth: Option<BasicAuth>,
    /// `Authorization` of any type.
    pub authorization: Option<Authorization>,
    /// Short for `authorization` with type Bearer.
    pub bearer_token: Option<Secret>,
    /// The same, read again for each request.
    pub bearer_token_file: Option<PathBuf>,
    /// TLS.
    pub tls_config: TlsConfig,
    /// `http://` or `https://` proxy.
    pub proxy_url: Option<String>,
    /// Hosts that are asked without the proxy, separated by commas.
    pub no_proxy: Option<String>,
    /// Take the proxy from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy_from_environment: bool,
    /// Follow redirects; true when absent.
    pub follow_redirects: Option<bool>,
    /// Offer HTTP/2; accepted and without effect, since Khan speaks HTTP/1.1.
    pub enable_http2: Option<bool>,
    /// More headers, such as `X-Scope-OrgID`.
    pub http_headers: BTreeMap<String, HeaderSource>,
}

/// User and password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// User.
    pub username: String,
    /// The same in a file.
    pub username_file: Option<PathBuf>,
    /// Password.
    pub password: Option<Secret>,
    /// The same in a file, read again for each request.
    pub password_file: Option<PathBuf>,
}

/// The header `Authorization`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// Scheme; Bearer when absent.
    #[serde(rename = "type")]
    pub scheme: Option<String>,
    /// What follows it.
    pub credentials: Option<Secret>,
    /// The same in a file, read again for each request.
    pub credentials_file: Option<PathBuf>,
}

/// TLS settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Authorities in PEM, instead of the system's.
    pub ca: Option<String>,
    /// The same in a file.
    pub ca_file: Option<PathBuf>,
    /// Our certificate in PEM.
    pub cert: Option<String>,
    /// The same in a file.
    pub cert_file: Option<PathBuf>,
    /// Its key in PEM.
    pub key: Option<Secret>,
    /// The same in a file.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must bear, instead of the URL's host.
    pub server_name: Option<String>,
    /// Take any certificate.
    pub insecure_skip_verify: bool,
    /// `TLS12` or `TLS13`.
    pub min_version: Option<TlsVersion>,
    /// `TLS12` or `TLS13`.
    pub max_version: Option<TlsVersion>,
}

/// Versions of TLS that Khan speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Values of one header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderSource {
    /// Plain values.
    pub values: Vec<String>,
    /// Values that are not shown.
    pub secrets: Vec<Secret>,
    /// Files with one value each, read again for each request.
    pub files: Vec<PathBuf>,
}

/// Text that never reaches a log or a screen.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not YAML, or not these fields.
    #[error("{}: {source}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: khan_serve::yaml::Error,
    },
    /// More than one way to say one thing.
    #[error("at most one of {0} may be set")]
    Twice(&'static str),
    /// One without the other.
    #[error("{0} is set without {1}")]
    Half(&'static str, &'static str),
    /// A secret on a way that everybody reads.
    #[error(
        "{secret} would go over plain http to {origin}, where everybody on the way can read it: use https://, or a tunnel to this \
             computer (kubectl port-forward, ssh -L)"
    )]
    Plain {
        /// What would be read.
        secret: String,
        /// Where it would go.
        origin: String,
    },
    /// A value that cannot be what it should be.
    #[error("{field}: {reason}")]
    Value {
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl HttpConfigError {
    fn value(field: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Value { field: field.into(), reason: reason.to_string() }
    }
}

impl HttpConfig {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, HttpConfigError> {
        let text = read(file)?;
        let syntax = |source| HttpConfigError::Syntax { file: file.to_owned(), source };
        // A file of nothing but comments is a valid one, and null in YAML.
        let config: Option<Self> = khan_serve::yaml::read(text.as_bytes()).map_err(syntax)?;
        let mut config = config.unwrap_or_default();
        config.resolve(file.parent().unwrap_or(Path::new("")));
        config.check()?;
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let tls = &mut self.tls_config;
        let mut files = vec![&mut self.bearer_token_file, &mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file];
        files.extend(self.basic_auth.iter_mut().flat_map(|auth| [&mut auth.username_file, &mut auth.password_file]));
        files.extend(self.authorization.iter_mut().map(|auth| &mut auth.credentials_file));
        let listed = self.http_headers.values_mut().flat_map(|header| header.files.iter_mut());
        for file in files.into_iter().filter_map(Option::as_mut).chain(listed) {
            *file = folder.join(&*file);
        }
    }

    /// Refuses settings that contradict each other.
    pub fn check(&self) -> Result<(), HttpConfigError> {
        let bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        let ways = [self.basic_auth.is_some(), self.authorization.is_some(), bearer];
        if ways.into_iter().filter(|set| *set).count() > 1 {
            return Err(HttpConfigError::Twice("basic_auth, authorization and bearer_token (or bearer_token_file)"));
        }
        let tls = &self.tls_config;
        let basic = self.basic_auth.clone().unwrap_or_default();
        let authorization = self.authorization.clone().unwrap_or_default();
        for (twice, fields) in [
            (self.bearer_token.is_some() && self.bearer_token_file.is_some(), "bearer_token and bearer_token_file"),
            (!basic.username.is_empty() && basic.username_file.is_some(), "username and username_file"),
            (basic.password.is_some() && basic.password_file.is_some(), "password and password_file"),
            (
                authorization.credentials.is_some() && authorization.credentials_file.is_some(),
                "credentials and credentials_file",
            ),
            (tls.ca.is_some() && tls.ca_file.is_some(), "ca and ca_file"),
            (tls.cert.is_some() && tls.cert_file.is_some(), "cert and cert_file"),
            (tls.key.is_some() && tls.key_file.is_some(), "key and key_file"),
            (self.proxy_url.is_some() && self.proxy_from_environment, "proxy_url and proxy_from_environment"),
        ] {
            if twice {
                return Err(HttpConfigError::Twice(fields));
            }
        }
        let (cert, key) = (tls.cert.is_some() || tls.cert_file.is_some(), tls.key.is_some() || tls.key_file.is_some());
        match (cert, key) {
            (true, false) => return Err(HttpConfigError::Half("the client certificate", "its key")),
            (false, true) => return Err(HttpConfigError::Half("the client key", "its certificate")),
            _ => {}
        }
        if authorization.scheme.as_deref().is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("basic")) {
            return Err(HttpConfigError::value("authorization", "type Basic belongs into basic_auth"));
        }
        if tls.min_version > tls.max_version.or(Some(TlsVersion::Tls13)) {
            return Err(HttpConfigError::value("tls_config", "min_version is above max_version"));
        }
        Ok(())
    }

    /// Whether a server is to see who is asking, be it by a header or by a certificate.
    pub fn has_credentials(&self) -> bool {
        let headers = self.basic_auth.is_some() || self.authorization.is_some() || !self.http_headers.is_empty();
        let bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        headers || bearer || self.tls_config.cert.is_some() || self.tls_config.cert_file.is_some()
    }

    /// The headers of one request, with secrets read from their files.
    pub fn headers(&self) -> Result<HeaderMap, HttpConfigError> {
        let mut headers = HeaderMap::new();
        for (name, source) in &self.http_headers {
            let field = || format!("http_headers.{name}");
            let parsed = HeaderName::try_from(name.as_str()).map_err(|error| HttpConfigError::value(field(), error))?;
            let files = source.files.iter().map(|file| read_secret(file)).collect::<Result<Vec<_>, _>>()?;
            let plain = source.values.iter().chain(source.secrets.iter().map(|secret| &secret.0));
            for value in plain.chain(files.iter().map(|secret| &secret.0)) {
                let value = HeaderValue::try_from(value).map_err(|error| HttpConfigError::value(field(), error))?;
                headers.append(&parsed, value);
            }
        }
        if let Some(text) = self.authorization()? {
            let mut value = HeaderValue::try_from(text).map_err(|_| {
                HttpConfigError::value("authorization", "the credentials hold characters that no header may")
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    fn authorization(&self) -> Result<Option<String>, HttpConfigError> {
        if let Some(basic) = &self.basic_auth {
            use base64::Engine;
            let user = basic.username_file.as_deref().map(read_secret).transpose()?;
            let user = user.map_or_else(|| basic.username.clone(), |secret| secret.0);
            let password = one(basic.password.as_ref(), basic.password_file.as_deref())?.unwrap_or_default();
            let packed = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.0));
            return Ok(Some(format!("Basic {packed}")));
        }
        let (scheme, secret) = match &self.authorization {
            Some(auth) => (auth.scheme.as_deref(), one(auth.credentials.as_ref(), auth.credentials_file.as_deref())?),
            None => (None, one(self.bearer_token.as_ref(), self.bearer_token_file.as_deref())?),
        };
        Ok(secret.map(|secret| format!("{} {}", scheme.unwrap_or("Bearer").trim(), secret.0)))
    }
}

fn one(text: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, HttpConfigError> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(file)) => read_secret(file).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(file: &Path) -> Result<String, HttpConfigError> {
    std::fs::read_to_string(file).map_err(|source| HttpConfigError::File { file: file.to_owned(), source })
}

fn read_secret(file: &Path) -> Result<Secret, HttpConfigError> {
    read(file).map(|text| Secret(text.trim().to_owned()))
}

#[cfg(test)]
mod tests;
