//! `--web-config` from the outside: who gets in, with which certificate, and what happens when the files change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use khan_serve::readiness::Readiness;
use khan_serve::server::{Bound, Server};
use khan_serve::shutdown::Shutdown;
use khan_serve::web_config::WebConfig;
use khan_serve::{exit, health, listen};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, ClientBuilder, Identity, StatusCode};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// A folder with an authority, a server's and a client's certificate.
struct Folder {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Folder {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let this = Self { folder: TempDir::new().unwrap(), authority };
        this.write("ca.pem", &this.authority.pem());
        this.issue("server", "localhost");
        this.issue("client", "client.example");
        this
    }

    /// Writes `NAME.pem` and `NAME.key` for a DNS name; gives the certificate with its key.
    fn issue(&self, name: &str, dns: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![dns.into()]).unwrap().signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
        certificate.pem() + &key.serialize_pem()
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    async fn serve(&self, config: &str) -> (Bound, Shutdown) {
        self.write("web.yml", config);
        let web = WebConfig::open(&self.path("web.yml")).unwrap();
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .merge(health::routes(Arc::new(|| Ok(())), Readiness::new()));
        let listener = listen::bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let shutdown = Shutdown::new();
        (Server::new(router).web_config(Some(web)).start(listener, shutdown.clone()).unwrap(), shutdown)
    }

    fn client(&self) -> ClientBuilder {
        khan_serve::tls_provider::install();
        let authority = Certificate::from_pem(self.text("ca.pem").as_bytes()).unwrap();
        Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only([authority])
    }

    fn client_with(&self, name: &str) -> Client {
        let pem = self.text(&format!("{name}.pem")) + &self.text(&format!("{name}.key"));
        self.client().identity(Identity::from_pem(pem.as_bytes()).unwrap()).build().unwrap()
    }
}

async fn status(client: &Client, address: SocketAddr, path: &str) -> Option<StatusCode> {
    let url = format!("https://localhost:{}{path}", address.port());
    client.get(url).send().await.ok().map(|answer| answer.status())
}

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

#[tokio::test]
async fn passwords_are_asked_for_except_by_probes() {
    let folder = Folder::new();
    let hash = bcrypt::hash("secret", 4).unwrap();
    let (bound, _shutdown) = folder.serve(&format!("basic_auth_users:\n  alice: {hash}\n")).await;
    let client = folder.client().build().unwrap();
    let ask = async |path: &str, user: Option<(&str, &str)>| {
        let request = client.get(format!("http://{}{path}", bound.address));
        let request =
            if let Some((user, password)) = user { request.basic_auth(user, Some(password)) } else { request };
        request.send().await.unwrap()
    };
    let refused = ask("/", None).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Basic");
    assert!(refused.text().await.unwrap().contains("user and password are required"));
    assert_eq!(ask("/", Some(("alice", "wrong"))).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask("/", Some(("alice", "secret"))).await.status(), StatusCode::OK);
    assert_eq!(ask("/livez", None).await.status(), StatusCode::OK);
    assert_eq!(ask("/readyz", None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn tls_with_headers() {
    let folder = Folder::new();
    let config = format!("{TLS}http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\n");
    let (bound, _shutdown) = folder.serve(&config).await;
    let url = format!("https://localhost:{}/", bound.address.port());
    let answer = folder.client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((answer.status(), answer.headers()["x-frame-options"].to_str().unwrap()), (StatusCode::OK, "deny"));
    assert!(Client::builder().no_proxy().build().unwrap().get(&url).send().await.is_err(), "an unknown authority");
}

#[tokio::test]
async fn client_certificates() {
    let folder = Folder::new();
    let stranger = Folder::new();
    folder.write("stranger.pem", &stranger.text("client.pem"));
    folder.write("stranger.key", &stranger.text("client.key"));
    let (nobody, known, stranger) =
        (folder.client().build().unwrap(), folder.client_with("client"), folder.client_with("stranger"));
    let refused = Some(StatusCode::FORBIDDEN);
    let ok = Some(StatusCode::OK);
    for (kind, authority, expected) in [
        ("NoClientCert", false, [ok, ok, ok]),
        ("RequestClientCert", false, [ok, ok, ok]),
        ("RequireAnyClientCert", false, [refused, ok, ok]),
        ("VerifyClientCertIfGiven", true, [ok, ok, None]),
        ("RequireAndVerifyClientCert", true, [refused, ok, None]),
    ] {
        let authority = if authority { "  client_ca_file: ca.pem\n" } else { "" };
        let (bound, _shutdown) = folder.serve(&format!("{TLS}  client_auth_type: {kind}\n{authority}")).await;
        let mut got = Vec::new();
        for client in [&nobody, &known, &stranger] {
            got.push(status(client, bound.address, "/").await);
        }
        assert_eq!(got, expected, "{kind}");
        assert_eq!(status(&nobody, bound.address, "/readyz").await, ok, "{kind}: probes have no certificate");
    }
    let named = |name| {
        format!(
            "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [{name}]\n"
        )
    };
    let (bound, _shutdown) = folder.serve(&named("client.example")).await;
    assert_eq!(status(&known, bound.address, "/").await, ok);
    let (bound, _shutdown) = folder.serve(&named("other.example")).await;
    assert_eq!(status(&known, bound.address, "/").await, None);
}

#[tokio::test]
async fn versions() {
    let folder = Folder::new();
    let (bound, _shutdown) = folder.serve(&format!("{TLS}  min_version: TLS13\n")).await;
    let old = folder.client().tls_version_max(reqwest::tls::Version::TLS_1_2).build().unwrap();
    assert_eq!(status(&old, bound.address, "/").await, None);
    assert_eq!(status(&folder.client().build().unwrap(), bound.address, "/").await, Some(StatusCode::OK));
    let (bound, _shutdown) = folder
        .serve(&format!("{TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  max_version: TLS12\n"))
        .await;
    assert_eq!(status(&old, bound.address, "/").await, Some(StatusCode::OK));
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let folder = Folder::new();
    let (bound, _shutdown) = folder.serve(TLS).await;
    let client = folder.client().build().unwrap();
    assert_eq!(status(&client, bound.address, "/").await, Some(StatusCode::OK));
    let until = async |client: &Client, wanted: Option<StatusCode>| {
        let end = Instant::now() + Duration::from_secs(20);
        while status(client, bound.address, "/").await != wanted {
            assert!(Instant::now() < end, "never {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Another authority signs: the old client no longer trusts the server.
    let other = Folder::new();
    folder.write("server.pem", &other.text("server.pem"));
    folder.write("server.key", &other.text("server.key"));
    until(&client, None).await;
    until(&other.client().build().unwrap(), Some(StatusCode::OK)).await;
    // A broken file leaves what was there; the next good one is taken.
    folder.write("server.pem", "garbage");
    folder.write("web.yml", &format!("{TLS}basic_auth_users:\n  alice: garbage\n"));
    // The files are looked at once a second.
    let end = Instant::now() + Duration::from_millis(1100);
    while Instant::now() < end {
        assert_eq!(status(&other.client().build().unwrap(), bound.address, "/").await, Some(StatusCode::OK));
    }
    let hash = bcrypt::hash("secret", 4).unwrap();
    folder.write("server.pem", &other.text("server.pem"));
    folder.write("web.yml", &format!("{TLS}basic_auth_users:\n  alice: {hash}\n"));
    until(&other.client().build().unwrap(), Some(StatusCode::UNAUTHORIZED)).await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_does_not_stay() {
    let folder = Folder::new();
    let (bound, shutdown) = folder.serve(TLS).await;
    let _silent = tokio::net::TcpStream::connect(bound.address).await.unwrap();
    let client = folder.client().build().unwrap();
    assert_eq!(status(&client, bound.address, "/").await, Some(StatusCode::OK));
    shutdown.request();
    timeout(Duration::from_secs(3), bound.finished()).await.expect("a silent peer held the server");
}

#[test]
fn what_cannot_work_is_named() {
    let folder = Folder::new();
    let refused = |config: &str| {
        folder.write("web.yml", config);
        exit::chain(&WebConfig::open(&folder.path("web.yml")).unwrap_err())
    };
    for (config, told) in [
        ("tls_config: {}\n", "unknown field `tls_config`"),
        ("tls_server_config:\n  cert_file: server.pem\n", "missing field `key_file`"),
        (&format!("{TLS}  client_auth: x\n"), "unknown field `client_auth`"),
        (&format!("{TLS}  client_auth_type: Sometimes\n"), "unknown variant `Sometimes`"),
        (&format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n"), "client_ca_file: is needed"),
        (&format!("{TLS}  client_ca_file: ca.pem\n"), "client_ca_file: has no effect without client_auth_type"),
        (&format!("{TLS}  min_version: TLS10\n"), "TLS below 1.2 is not supported"),
        (&format!("{TLS}  min_version: TLS13\n  max_version: TLS12\n"), "above max_version"),
        (&format!("{TLS}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n"), "TLS_RSA_WITH_RC4_128_SHA is not supported"),
        (&format!("{TLS}  curve_preferences: [CurveP521]\n"), "CurveP521 is not supported"),
        (&TLS.replace("server.pem", "absent.pem"), "absent.pem (cert_file)"),
        (&TLS.replace("server.pem", "server.key"), "cert_file: holds no certificate"),
        (&TLS.replace("server.key", "server.pem"), "key_file: no private key"),
        (&TLS.replace("server.key", "client.key"), "does not go with key_file"),
        ("basic_auth_users:\n  alice: secret\n", "the password of alice is not a bcrypt hash"),
        (
            "basic_auth_users:\n  alice: $2b$04$a\n  bob: $2b$04$b\n  alice: $2b$04$c\n",
            "web.yml (--web-config) is not usable: basic_auth_users: duplicate mapping key `alice`",
        ),
        ("http_server_config:\n  headers:\n    Server: x\n", "Server is not one of"),
        (
            "http_server_config: {headers: {X-Frame-Options: a, X-Frame-Options: b}}\n",
            "http_server_config.headers: duplicate mapping key `X-Frame-Options`",
        ),
        ("- x\n", "expected mapping start at line 1"),
    ] {
        let error = refused(config);
        assert!(error.contains(told) && !error.contains('\n'), "{config}: {error}");
    }
    let error = WebConfig::open(Path::new("/nonexistent.yml")).unwrap_err();
    assert_eq!(
        exit::chain(&error),
        "cannot read /nonexistent.yml (--web-config): No such file or directory (os error 2)"
    );
    folder.write("web.yml", "# nothing\n");
    assert!(!WebConfig::open(&folder.path("web.yml")).unwrap().with_tls());
}
