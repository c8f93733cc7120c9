//! kubeconfig and flags to a client of the API server.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{Request, StatusCode};
use khan_api::{Label, Name, Sentence, Timestamp};
use kube::config::{AuthInfo, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::exchange::{Ask, Bounds, ExchangeError, Reply, collect, first_line};
use super::http_config::plain::is_loopback;
use khan_serve::exit::chain;

/// What the flags of kubectl say. `None` and empty where a flag is absent.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// `--kubeconfig`; else `KUBECONFIG`, else `~/.kube/config`, else the service account of a pod.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--as`.
    pub impersonate: Option<String>,
    /// `--as-group`.
    pub impersonate_groups: Vec<String>,
    /// `--token`, instead of the user's credentials.
    pub token: Option<String>,
    /// `--insecure-skip-tls-verify`.
    pub insecure_skip_tls_verify: bool,
    /// `--request-timeout`; zero for no limit.
    pub request_timeout: Option<Duration>,
    /// Whether exec plugins may talk to the user. Never while a terminal interface runs.
    pub interactive: bool,
}

/// Stands for no limit: a day is long enough, and sums do not overflow.
const NO_LIMIT: Duration = Duration::from_hours(24);
const USUAL_LIMIT: Duration = Duration::from_secs(30);

/// An API server and who we are there.
#[derive(Clone)]
pub struct Cluster {
    credentials: Arc<Credentials>,
    /// The context's name; empty inside a pod.
    pub context: String,
    /// The context's namespace.
    pub namespace: String,
    /// The server's URL.
    pub url: String,
    /// Bounds of one answer of the server itself.
    pub bounds: Bounds,
    /// Whether we run in a pod of this cluster.
    pub inside: bool,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("context", &self.context).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why there is no cluster to ask.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a kubeconfig nor a pod's service account.
    #[error("no kubeconfig was found: give --kubeconfig FILE, set KUBECONFIG, or put one at ~/.kube/config")]
    Absent,
    /// The kubeconfig cannot be used.
    #[error("{name}: {reason}")]
    Kubeconfig {
        /// Its file, or how it was looked for.
        name: String,
        /// Why.
        reason: String,
    },
    /// A secret on a way that everybody reads.
    #[error(
        "{name}: {secret} would go over plain http to {url}, where everybody on the way can read it: use https://, or a tunnel \
         to this computer (ssh -L, kubectl proxy)"
    )]
    Plain {
        /// Its file, or how it was looked for.
        name: String,
        /// What would be read.
        secret: &'static str,
        /// Where it would go.
        url: String,
    },
    /// There are no credentials.
    #[error("cannot get the credentials for {context}: {reason}")]
    Credentials {
        /// The context.
        context: String,
        /// Why.
        reason: String,
    },
}

impl Cluster {
    /// Reads the kubeconfig and gets credentials, which runs an exec plugin where one is configured. Asks nothing of the
    /// server yet.
    pub async fn open(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let (client, place) = client(options).await?;
        let deadline = options.request_timeout.unwrap_or(USUAL_LIMIT);
        let deadline = if deadline.is_zero() { NO_LIMIT } else { deadline };
        let Place { context, namespace, url } = place;
        tracing::info!(context, url, "Opened the cluster");
        let inside = context.is_empty();
        let bounds = Bounds { deadline, ..Bounds::default() };
        let credentials = Arc::new(Credentials::new(client, options.clone()));
        Ok(Self { credentials, context, namespace, url, bounds, inside })
    }

    /// A client with the present credentials, and their number for [`Cluster::renew`].
    pub fn client(&self) -> (Client, u64) {
        self.credentials.present()
    }

    /// Reads the kubeconfig and gets credentials again, because the server did not accept those with this number. False
    /// when they cannot be had, or were read again a moment ago.
    pub async fn renew(&self, refused: u64) -> bool {
        self.credentials.renew(refused).await
    }

    /// Asks the API server, or what it leads to. Credentials that the server does not know any more are read again, once.
    pub async fn exchange(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let answer = async {
            let (client, number) = self.client();
            let reply = send(client, ask, bounds).await?;
            if unknown_to_server(&reply) && self.renew(number).await {
                return send(self.client().0, ask, bounds).await;
            }
            Ok(reply)
        };
        let late = |_| Err(ExchangeError::Timeout(bounds.deadline));
        let begun = std::time::Instant::now();
        let answer = tokio::time::timeout(bounds.deadline, answer).await.unwrap_or_else(late);
        let took = begun.elapsed();
        match &answer {
            Ok(reply) => {
                tracing::debug!(path = ask.path, status = reply.status.as_u16(), ?took, "Asked the API server");
            }
            Err(error) => tracing::debug!(path = ask.path, %error, ?took, "The API server gave no answer"),
        }
        answer
    }
}

async fn send(client: Client, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
    let mut request = Request::builder().method(ask.method.clone()).uri(&ask.path);
    if let Some(headers) = request.headers_mut() {
        headers.extend(ask.headers.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let body = kube::client::Body::from(ask.body.to_vec());
    let request = request.body(body).map_err(|error| ExchangeError::Other(Sentence::of(error)))?;
    let sent = Timestamp::now();
    let response = client.send(request).await;
    let response = response.map_err(|error| match credentials(&error) {
        Some(reason) => ExchangeError::Credentials(reason.into()),
        None => ExchangeError::find(&error),
    })?;
    collect(response, sent, bounds).await
}

/// A client, and what makes another one.
struct Credentials {
    present: RwLock<(Client, u64)>,
    /// Held while they are renewed: by one for all.
    renewed: Mutex<Option<Instant>>,
    options: ClusterOptions,
}

/// Credentials that were just read and are not accepted will not be better at once.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(10);

impl Credentials {
    fn new(client: Client, options: ClusterOptions) -> Self {
        // By then a terminal interface may run, so a plugin must not ask the user.
        let options = ClusterOptions { interactive: false, ..options };
        Self { present: RwLock::new((client, 0)), renewed: Mutex::new(None), options }
    }

    fn present(&self) -> (Client, u64) {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn renew(&self, refused: u64) -> bool {
        let mut renewed = self.renewed.lock().await;
        if self.present().1 != refused {
            return true;
        }
        if renewed.is_some_and(|at| at.elapsed() < BETWEEN_RENEWALS) {
            return false;
        }
        *renewed = Some(Instant::now());
        match Box::pin(client(&self.options)).await {
            Ok((client, _)) => {
                tracing::info!("The API server did not accept the credentials; they were read again");
                *self.present.write().unwrap_or_else(PoisonError::into_inner) = (client, refused + 1);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "The API server did not accept the credentials, and there are no others");
                false
            }
        }
    }
}

/// Where a client leads to.
struct Place {
    context: String,
    namespace: String,
    url: String,
}

async fn client(options: &ClusterOptions) -> Result<(Client, Place), ClusterError> {
    khan_serve::tls_provider::install();
    let (mut config, context) = load(options).await?;
    config.default_retry = false;
    config.accept_invalid_certs |= options.insecure_skip_tls_verify;
    let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let near = config.cluster_url.host().is_some_and(is_loopback);
    if let Some(secret) = secret(&config.auth_info).filter(|_| config.cluster_url.scheme_str() == Some("http") && !near)
    {
        return Err(ClusterError::Plain { name: name(options), secret, url });
    }
    let namespace = config.default_namespace.clone();
    // An exec plugin is run synchronously while the client is made.
    let made = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
    let reason = match made {
        Ok(Ok(client)) => return Ok((client, Place { context, namespace, url })),
        Ok(Err(error)) => credentials(&error).unwrap_or_else(|| chain(&error)),
        Err(error) => error.to_string(),
    };
    let inside = context.is_empty();
    let context = if inside { "the pod's service account".to_owned() } else { format!("context {context:?}") };
    Err(ClusterError::Credentials { context, reason })
}

/// The names of a kubeconfig's contexts, in its order; none where it cannot be read.
pub fn contexts(kubeconfig: Option<&Path>) -> Vec<String> {
    let read = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    read.map_or_else(|_| Vec::new(), |read| read.contexts.into_iter().map(|context| context.name).collect())
}

/// Whether a kubeconfig is at the default place or named by KUBECONFIG, or a pod's service account is here. A file at the
/// default place that names no context, as deleting the last cluster leaves it, leads nowhere.
pub fn is_configured() -> bool {
    match Kubeconfig::read() {
        Ok(read) => !read.contexts.is_empty() || is_named_by_variable() || Config::incluster().is_ok(),
        Err(error) => !nothing_there(&error) || Config::incluster().is_ok(),
    }
}

async fn load(options: &ClusterOptions) -> Result<(Config, String), ClusterError> {
    let refuse = |error: KubeconfigError| ClusterError::Kubeconfig { name: name(options), reason: explain(&error) };
    let read = match &options.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let mut kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if options.kubeconfig.is_none() && nothing_there(&error) => {
            let config = Config::incluster().map_err(|_| ClusterError::Absent)?;
            return Ok((override_user(config, options), String::new()));
        }
        Err(error) => return Err(refuse(error)),
    };
    for exec in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()?.exec.as_mut()) {
        if !options.interactive {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
    }
    let context = options.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    let choice = KubeConfigOptions {
        context: options.context.clone(),
        cluster: options.cluster.clone(),
        user: options.user.clone(),
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(refuse)?;
    Ok((override_user(config, options), context))
}

/// What the kubeconfig is called in sentences.
fn name(options: &ClusterOptions) -> String {
    match (&options.kubeconfig, std::env::var("KUBECONFIG")) {
        (Some(file), _) => format!("kubeconfig {}", file.display()),
        (None, Ok(files)) if !files.is_empty() => format!("KUBECONFIG={files}"),
        (None, _) => "~/.kube/config".to_owned(),
    }
}

/// What of the credentials every request carries for anybody on the way to read. A client certificate is shown in a TLS
/// handshake only.
fn secret(auth: &AuthInfo) -> Option<&'static str> {
    match () {
        () if auth.token.is_some() || auth.token_file.is_some() => Some("a token"),
        () if auth.password.is_some() => Some("a password"),
        () if auth.exec.is_some() || auth.auth_provider.is_some() => Some("what a credential plugin gives"),
        () => None,
    }
}

/// Whether no kubeconfig exists at the default place; one that KUBECONFIG names must exist.
fn nothing_there(error: &KubeconfigError) -> bool {
    let absent = match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    absent && !is_named_by_variable()
}

fn is_named_by_variable() -> bool {
    std::env::var_os("KUBECONFIG").is_some_and(|files| !files.is_empty())
}

/// kube's own words, without the file's name, which the sentence has already.
fn explain(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => "it names no current context: give --context NAME".to_owned(),
        KubeconfigError::LoadContext(name) => format!("it has no context {name:?}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name:?}"),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        error => first_line(error.to_string().as_bytes()).into(),
    }
}

fn override_user(mut config: Config, options: &ClusterOptions) -> Config {
    if let Some(token) = &options.token {
        let token = serde_json::json!({ "token": token });
        config.auth_info = serde_json::from_value::<AuthInfo>(token).unwrap_or_default();
    }
    if options.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&options.impersonate);
    }
    if !options.impersonate_groups.is_empty() {
        config.auth_info.impersonate_groups = Some(options.impersonate_groups.clone());
    }
    config
}

/// Why there are no credentials, if that is what went wrong.
fn credentials(error: &kube::Error) -> Option<String> {
    use kube::client::AuthError;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(kube::Error::Auth(auth)) = error.downcast_ref::<kube::Error>() {
            return Some(plugin(auth));
        }
        if let Some(auth) = error.downcast_ref::<AuthError>() {
            return Some(plugin(auth));
        }
        next = error.source();
    }
    None
}

fn plugin(error: &kube::client::AuthError) -> String {
    use kube::client::AuthError;
    match error {
        AuthError::AuthExecRun { cmd, out } => {
            let name = cmd.split(' ').find(|word| !word.contains('=')).unwrap_or(cmd).trim_matches('"');
            let said = first_line(&out.stderr);
            let said = if said.is_empty() { "it said nothing".into() } else { said };
            format!("{} failed with {}: {said}", Path::new(name).display(), out.status)
        }
        error => error.to_string(),
    }
}

/// The answer of the API server itself when it refuses: `kind: Status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiStatus {
    kind: Label,
    /// For programs: `Forbidden`, `NotFound`, ...
    pub reason: Label,
    /// For people.
    pub message: Sentence,
    /// What it is about.
    pub details: ApiStatusDetails,
}

/// Part of an [`ApiStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiStatusDetails {
    /// The object's name.
    pub name: Name,
    /// The resource in plural.
    pub kind: Label,
}

impl ApiStatus {
    /// Whether the API server itself refused, and not whatever it leads to.
    pub fn of(reply: &Reply) -> Option<Self> {
        let refused = reply.status.is_client_error() || reply.status.is_server_error();
        let status: Self = serde_json::from_slice(&reply.body).ok().filter(|_| refused)?;
        (status.kind == "Status").then_some(status)
    }

    /// The user that the message names: `User "jane" cannot list resource ...`.
    pub fn user(&self) -> Option<&str> {
        self.message.split_once("User \"")?.1.split_once('"').map(|(user, _)| user)
    }
}

/// Whether the API server does not know who we are.
pub fn unknown_to_server(reply: &Reply) -> bool {
    reply.status == StatusCode::UNAUTHORIZED && ApiStatus::of(reply).is_some()
}
