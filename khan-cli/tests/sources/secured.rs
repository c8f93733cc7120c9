//! An agent that wants TLS and a password, behind an API server: what it is to see goes through a port-forward.

use std::net::SocketAddr;
use std::sync::Arc;

use khan_cli::sources::agents::discovery::{DiscoveryOptions, SELECTOR, look};
use khan_cli::sources::agents::route::DirectClient;
use khan_cli::sources::agents::route::pod::Connect;
use khan_cli::sources::cluster::{Cluster, ClusterOptions};
use khan_cli::sources::exchange::{Ask, Bounds};
use khan_cli::sources::http_config::{BasicAuth, HttpConfig, Secret, TlsConfig};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::cluster::kubeconfig;
use super::server::{Answer, Server};

/// Answers 200 to whoever shows the password, over TLS; its certificate, in PEM, is for `khan-agent`.
async fn agent() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["khan-agent".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust the certificate hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let known = String::from_utf8(request).unwrap().contains("authorization: Basic b3BzOnNlc2FtZQ==");
            let status = if known { "200 OK" } else { "401 Unauthorized" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, pem)
}

#[tokio::test]
async fn a_password_goes_through_a_port_forward_over_tls() {
    let (address, pem) = agent().await;
    let api = Server::start(move |request| match request.path.split('?').next().unwrap() {
        "/api/v1/pods" => Answer::json(json!({"kind": "PodList", "items": [{
            "metadata": {"name": "a", "namespace": "khan", "uid": "a", "annotations": {"prometheus.io/scheme": "https"}},
            "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "http", "containerPort": address.port()}]}]},
            "status": {"phase": "Running", "podIP": "127.0.0.1"}}]})),
        path if path.ends_with("/portforward") => Answer::Forward(address),
        _ => Answer::text(404, "no such way"),
    })
    .await;
    let file = kubeconfig(&api.url());
    let options = ClusterOptions { kubeconfig: Some(file.path().to_owned()), ..ClusterOptions::default() };
    let cluster = Arc::new(Cluster::open(&options).await.unwrap());
    let ask = async |http: HttpConfig| {
        let options = DiscoveryOptions {
            namespace: None,
            selector: SELECTOR.into(),
            port: None,
            connect: Connect::PortForward,
            nodes: Vec::new(),
            client: DirectClient::new(http).unwrap(),
        };
        let targets = look(Arc::clone(&cluster), options).await.unwrap();
        let answer = targets.list[0].route.exchange(&Ask::get("/livez"), Bounds::default()).await;
        answer.map(|reply| reply.status.as_u16()).map_err(|error| error.to_string())
    };
    let tls_config = TlsConfig { ca: Some(pem), server_name: Some("khan-agent".into()), ..TlsConfig::default() };
    let basic = |password: &str| BasicAuth {
        username: "ops".into(),
        password: Some(Secret(password.into())),
        ..BasicAuth::default()
    };
    let with = |password: &str| HttpConfig {
        tls_config: tls_config.clone(),
        basic_auth: Some(basic(password)),
        ..HttpConfig::default()
    };
    assert_eq!(ask(with("sesame")).await, Ok(200));
    assert_eq!(ask(with("guess")).await, Ok(401));
    // Nobody answers for that certificate.
    let untrusted = ask(HttpConfig { basic_auth: Some(basic("sesame")), ..HttpConfig::default() }).await;
    assert!(untrusted.unwrap_err().contains("TLS"));
    assert!(api.requests().iter().all(|request| !request.path.contains("/proxy/")));
}
