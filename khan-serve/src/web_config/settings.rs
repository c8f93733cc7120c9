//! The fields of the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::yaml;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) tls_server_config: Option<TlsSettings>,
    pub(super) http_server_config: Option<HttpSettings>,
    pub(super) basic_auth_users: Option<BTreeMap<String, String>>,
}

impl Settings {
    pub(super) fn parse(text: &[u8]) -> Result<Self, yaml::Error> {
        // An empty file, or one of comments, is a configuration of nothing.
        Ok(yaml::read::<Option<Self>>(text)?.unwrap_or_default())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSettings {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    #[serde(default)]
    pub(super) client_auth_type: ClientAuthType,
    pub(super) client_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) client_allowed_sans: Vec<String>,
    #[serde(default)]
    pub(super) min_version: TlsVersion,
    #[serde(default = "latest")]
    pub(super) max_version: TlsVersion,
    #[serde(default)]
    pub(super) cipher_suites: Vec<String>,
    #[serde(default)]
    pub(super) prefer_server_cipher_suites: Option<bool>,
    #[serde(default)]
    pub(super) curve_preferences: Vec<String>,
}

fn latest() -> TlsVersion {
    TlsVersion::Tls13
}

/// As Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum ClientAuthType {
    #[default]
    #[serde(alias = "")]
    NoClientCert,
    RequestClientCert,
    RequireAnyClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum TlsVersion {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpSettings {
    // Accepted for the sake of files that exist; only HTTP/1.1 is served.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    pub(super) headers: BTreeMap<String, String>,
}

impl HttpSettings {
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        const KNOWN: [&str; 5] = [
            "Content-Security-Policy",
            "Strict-Transport-Security",
            "X-Content-Type-Options",
            "X-Frame-Options",
            "X-XSS-Protection",
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(format!("{name} is not one of {}", KNOWN.join(", ")));
            }
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("the value of {name} has control characters"))?;
            headers.insert(HeaderName::try_from(name.as_str()).expect("one of the known"), value);
        }
        Ok(headers)
    }
}
