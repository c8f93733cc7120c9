//! `--web-config`: TLS, client certificates, basic authentication and response headers, in the file format of Prometheus'
//! exporter-toolkit (`docs/web-configuration.md` there), read again when it or a file that it names changes.
//!
//! `/livez` and `/readyz` ask for neither a password nor a client certificate, because the kubelet has none: a client
//! certificate that is required is requested in the handshake and its absence refused with 403 everywhere else. With TLS the
//! probes need `scheme: HTTPS`.
//!
//! Differences from the exporter-toolkit: HTTP/1.1 only (`http2` is accepted and has no effect), TLS 1.2 and 1.3 only, and
//! TLS cannot be switched on or off while running.

mod basic;
mod settings;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use basic::{Passwords, Users};
use settings::Settings;

use crate::exchange::Exchange;
use crate::health::is_probe;
use crate::watched_file::{PERIOD, WatchedFile};
use crate::yaml;

/// Why a web configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebConfigError {
    /// A file cannot be read.
    #[error("cannot read {} ({field})", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// `--web-config`, or the field that names the file.
        field: &'static str,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not YAML, or holds a field that does not exist or has the wrong type.
    #[error("{} (--web-config) is not usable", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The place and the reason.
        source: yaml::Error,
    },
    /// A field has a value that does not work.
    #[error("{} (--web-config): {field}: {reason}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A web configuration that follows its files.
#[derive(Debug)]
pub struct WebConfig {
    path: PathBuf,
    with_tls: bool,
    // Outlives the versions of the file, so that rereading it is no way around the bound.
    passwords: Passwords,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    loaded: Arc<Loaded>,
    files: Vec<WatchedFile>,
    looked: Instant,
}

/// One version of the configuration.
#[derive(Debug)]
struct Loaded {
    tls: Option<tls::Tls>,
    users: Users,
    headers: HeaderMap,
}

impl WebConfig {
    /// Reads the file and the files that it names.
    pub fn open(path: &Path) -> Result<Self, WebConfigError> {
        let passwords = Passwords::default();
        let mut files = Vec::new();
        let loaded = Loaded::read(path, &passwords, &mut files)?;
        let with_tls = loaded.tls.is_some();
        let state = State { loaded: Arc::new(loaded), files, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), with_tls, passwords, state: Mutex::new(state) })
    }

    /// Whether connections are encrypted.
    pub const fn with_tls(&self) -> bool {
        self.with_tls
    }

    /// Whether passwords are asked for.
    pub fn with_users(&self) -> bool {
        !self.current().users.is_empty()
    }

    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.current().tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)))
    }

    /// `None` lets the request pass.
    pub(crate) async fn refuse(
        &self,
        path: &str,
        headers: &HeaderMap,
        certified: bool,
        exchange: &Exchange,
    ) -> Option<Response<Body>> {
        if is_probe(path) {
            return None;
        }
        let loaded = self.current();
        if loaded.tls.as_ref().is_some_and(|tls| tls.require_client) && !certified {
            return Some(refusal(StatusCode::FORBIDDEN, "a client certificate is required"));
        }
        if loaded.users.is_empty() {
            return None;
        }
        match loaded.users.admit(exchange, headers.get(header::AUTHORIZATION)).await {
            Ok(true) => return None,
            Ok(false) => {}
            Err(shed) => return Some(shed.into_response()),
        }
        let mut response = refusal(StatusCode::UNAUTHORIZED, "user and password are required (basic authentication)");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        Some(response)
    }

    /// Adds the configured headers to a response.
    pub(crate) fn decorate(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.current().headers {
            headers.insert(name, value.clone());
        }
    }

    fn current(&self) -> Arc<Loaded> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= PERIOD {
            state.looked = Instant::now();
            // Each of them has to be looked at, so that what changed together is read once.
            if state.files.iter_mut().filter_map(WatchedFile::look).count() > 0 {
                let mut files = Vec::new();
                match self.reread(&mut files) {
                    Ok(loaded) => {
                        info!(path = %self.path.display(), "Read the web configuration again");
                        state.loaded = Arc::new(loaded);
                    }
                    Err(error) => warn!(error = crate::exit::chain(&error), "Kept the web configuration as it was"),
                }
                // Also after a failure: the file that is at fault is one of them.
                state.files = files;
            }
        }
        Arc::clone(&state.loaded)
    }

    fn reread(&self, files: &mut Vec<WatchedFile>) -> Result<Loaded, WebConfigError> {
        let loaded = Loaded::read(&self.path, &self.passwords, files)?;
        if loaded.tls.is_some() != self.with_tls {
            let reason = "TLS cannot be switched on or off without a restart".into();
            return Err(WebConfigError::Field { path: self.path.clone(), field: "tls_server_config", reason });
        }
        Ok(loaded)
    }
}

impl Loaded {
    /// Adds the file and those that it names to `files`, also those that cannot be read.
    fn read(path: &Path, passwords: &Passwords, files: &mut Vec<WatchedFile>) -> Result<Self, WebConfigError> {
        let text = read(path, "--web-config", files)?;
        let settings: Settings =
            Settings::parse(&text).map_err(|source| WebConfigError::Syntax { path: path.to_owned(), source })?;
        let users = Users::new(settings.basic_auth_users.unwrap_or_default(), passwords.clone())
            .map_err(|reason| WebConfigError::Field { path: path.to_owned(), field: "basic_auth_users", reason })?;
        let tls = settings.tls_server_config.map(|settings| tls::Tls::new(path, &settings, files)).transpose()?;
        let headers = settings.http_server_config.map(|settings| settings.headers()).transpose();
        let headers = headers.map_err(|reason| WebConfigError::Field {
            path: path.to_owned(),
            field: "http_server_config.headers",
            reason,
        })?;
        Ok(Self { tls, users, headers: headers.unwrap_or_default() })
    }
}

/// Reads the file that `field` names and watches it from then on.
fn read(path: &Path, field: &'static str, files: &mut Vec<WatchedFile>) -> Result<Vec<u8>, WebConfigError> {
    let mut file = WatchedFile::new(path);
    let content = file.look().expect("the first look at a file is news");
    files.push(file);
    content.map_err(|source| WebConfigError::Read { path: path.to_owned(), field, source })
}

fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{{\"error\":\"{reason}\"}}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
