//! Certificates and tokens are rotated, and disks become read-only.

use khan_api::routes::{self, CONTROLLER_PORT};
use khan_lab::cluster::Addresses;
use khan_lab::program::Running;
use khan_lab::{ApiServer, Host, Khan, Lab, LabError, Program, Result, Shop, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::Certificate;
use reqwest::blocking::Client;
use serde_json::json;

use crate::scene::{ARGUMENTS, PATIENCE, Scene, all_is_right, nothing_is_wrong, snapshot};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).expect("no name is a bad one");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// Writes the controller's certificate and key, signed by `authority`.
fn issue(lab: &Lab, authority: &Authority, service: Addresses) -> Result {
    let key = KeyPair::generate().expect("a key");
    let names = vec![service.v4.to_string(), "127.0.0.1".to_owned()];
    let certificate =
        CertificateParams::new(names).expect("addresses").signed_by(&key, authority).expect("a certificate");
    lab.file("tls.key", key.serialize_pem())?;
    lab.file("tls.crt", certificate.pem()).map(drop)
}

/// Whether somebody who trusts nobody but `authority` gets an answer from the controller.
fn is_signed_by(authority: &Authority, host: &Host) -> bool {
    let certificate = Certificate::from_pem(authority.pem().as_bytes()).expect("a certificate");
    host.enter(|| {
        let client = Client::builder().no_proxy().tls_certs_only([certificate]).build().expect("a client");
        let answer = client.get(format!("https://127.0.0.1:{CONTROLLER_PORT}{}", routes::LIVEZ)).send();
        answer.is_ok_and(|answer| answer.status() == 200)
    })
}

fn fresh(agents: &[Running], what: &str) -> Result {
    let is_fresh = |agent: &Running| {
        let begun = snapshot(agent)?.taken;
        until(what, PATIENCE, || {
            let names = snapshot(agent).ok()?.names;
            (names.error.is_empty() && names.updated.is_some_and(|updated| updated > begun)).then_some(())
        })
    };
    agents.iter().try_for_each(is_fresh)
}

#[test]
fn certificates_and_tokens_rotate_without_a_restart() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    shop.open()?;
    let service = shop.service("khan", "khan-controller")?;
    let pod = shop.pod(("khan", "khan-controller", 0))?.clone();
    let (old, new) = (authority(), authority());
    issue(&lab, &old, service)?;
    // As the documentation says: first a bundle of both authorities, then the new certificate.
    let bundle = lab.file("ca.crt", old.pem() + &new.pem())?.display().to_string();
    let token = lab.file("token", "first")?.display().to_string();
    let web = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n";
    let web = lab.file("web.yaml", web)?.display().to_string();
    let api = ApiServer::start_in(&pod)?;
    shop.cluster.manifest()["items"].as_array().expect("items").iter().for_each(|item| api.put(item.clone()));
    let right = json!({"authenticated": true, "audiences": ["khan-controller"]});
    api.accept_token("first", right.clone());
    let kubeconfig = api.kubeconfig();
    let controller = Program::workspace("khan-controller")?
        .args([
            "--listen",
            &format!("0.0.0.0:{CONTROLLER_PORT}"),
            "--kubeconfig",
            &kubeconfig.path().display().to_string(),
        ])
        .args(["--web-config", &web, "--require-token-audience", "khan-controller"])
        .inside(&pod)
        .start()?;
    let url = format!("https://{}", service.v4_port(CONTROLLER_PORT));
    let more = ["--controller-url", &url, "--controller-ca-file", &bundle, "--controller-token-file", &token];
    let arguments = [&ARGUMENTS[..], &more].concat();
    let start = |node| Khan::start_agent(&shop.cluster, node, &arguments);
    let mut khan = Khan { controller, agents: vec![start(1)?, start(2)?] };
    khan.agents.iter().try_for_each(|agent| agent.get_when_ready(routes::READYZ).map(drop))?;
    all_is_right(&khan, &shop, "the start with TLS and tokens")?;

    issue(&lab, &new, service)?;
    until("the new certificate to be served", PATIENCE, || is_signed_by(&new, &pod).then_some(()))?;
    assert!(!is_signed_by(&old, &pod), "the old certificate is gone");
    fresh(&khan.agents, "an answer after the certificate was rotated")?;
    // A program that starts now sees no other certificate.
    khan.agents.remove(0).terminate()?;
    khan.agents.insert(0, start(1)?);
    all_is_right(&khan, &shop, "the certificate was rotated")?;

    api.revoke_token("first");
    api.accept_token("second", right);
    lab.file("token", "second\n")?;
    until("the new token to be shown", PATIENCE, || api.was_asked("second").then_some(()))?;
    fresh(&khan.agents, "an answer after the token was rotated")?;
    all_is_right(&khan, &shop, "the token was rotated")?;

    // A token that nobody accepts costs freshness, no number and no name.
    lab.file("token", "forged")?;
    for agent in &khan.agents {
        until("the refusal to be told", PATIENCE, || {
            snapshot(agent).ok().filter(|snapshot| snapshot.names.error.contains("401"))
        })?;
    }
    all_is_right(&khan, &shop, "the token was refused")?;
    lab.file("token", "second")?;
    fresh(&khan.agents, "an answer with the right token again")
}

/// Runs a command where a program sees its files.
pub(crate) fn in_mounts_of(program: &Running, command: &str) -> Result<String> {
    let words = ["--mount", "--target", &program.pid().to_string(), "--", "sh", "-c", command].map(str::to_owned);
    let ended = Program::new("/usr/bin/nsenter").args(words).output(PATIENCE)?;
    if ended.code == Some(0) { Ok(ended.stdout) } else { Err(LabError::Malformed(ended.stderr)) }
}

#[test]
fn a_disk_that_becomes_read_only_disturbs_nobody() -> Result {
    let mut scene = Scene::start()?;
    // Each with mounts of its own, to be changed while it runs.
    scene.kill_controller()?;
    for node in [1, 2] {
        scene.kill_agent(node)?;
        let agent = Khan::agent(&scene.shop.cluster, node, &ARGUMENTS)?.with_mounts_of_its_own();
        scene.khan.agents[usize::from(node) - 1] = agent.start()?;
    }
    scene.khan.controller = Khan::controller(&scene.lab, &scene.shop.cluster)?.with_mounts_of_its_own().start()?;
    all_is_right(&scene.khan, &scene.shop, "the start with mounts of their own")?;
    for program in scene.khan.agents.iter().chain([&scene.khan.controller]) {
        let remount = r#"awk '$5 ~ /^\// && $5 !~ /^\/(proc|sys|dev)/ {print $5}' /proc/self/mountinfo |
            while read -r mount; do mount -o remount,bind,ro "$mount"; done"#;
        in_mounts_of(program, remount)?;
        let file = scene.lab.folder().join("written").display().to_string();
        let refused = in_mounts_of(program, &format!("echo x >{file}")).expect_err("it is read-only");
        assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    }
    let web = scene.shop.service("shop", "web")?;
    scene.shop.hold(("shop", "cart", 0), "web", web.v4_port(80), 5)?;
    all_is_right(&scene.khan, &scene.shop, "disks became read-only")?;
    for agent in &scene.khan.agents {
        let snapshot = Khan::next_snapshot(agent)?;
        assert_eq!((snapshot.names.error.as_str(), snapshot.warnings.len()), ("", 0), "{:?}", snapshot.warnings);
    }
    nothing_is_wrong(&scene.khan.agents, &scene.shop);
    Ok(())
}
