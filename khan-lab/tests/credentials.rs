//! People ask agents that want TLS and a password, and a controller that wants TLS and a token.

use std::time::Duration;

use khan_lab::program::Ended;
use khan_lab::{ApiServer, Host, Lab, LabError, Program, Result, Seed, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);
/// `sesame`, with bcrypt.
const PASSWORD: &str = "$2b$04$/1HOCJmaeHtXIUeqeWL2quFX7A/tWzIso2PY.vQ8i2HuijjOSLnZO";

fn certificates(lab: &Lab) -> Result {
    let mut parameters = CertificateParams::new(Vec::new()).expect("no name is a bad one");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    lab.file("ca.crt", authority.pem())?;
    lab.file("tls.crt", names.signed_by(&key, &authority).expect("a certificate").pem())?;
    lab.file("tls.key", key.serialize_pem()).map(drop)
}

fn khan(node: &Host, arguments: &[&str]) -> Result<Ended> {
    let quiet = Program::workspace("khan")?.args(arguments).without_env("KUBECONFIG").env("HOME", "/nonexistent");
    quiet.inside(node).output(PATIENCE)
}

#[test]
fn flags_give_agents_a_password_and_the_controller_a_token() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    certificates(&lab)?;
    let file = |name: &str, text: &str| Ok::<_, LabError>(lab.file(name, text)?.display().to_string());
    let tls = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n";
    let web = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop", "uid": "u1",
        "labels": {"app": "web"}, "creationTimestamp": "2026-11-22T10:00:00Z"},
        "spec": {"nodeName": "n1"}, "status": {"phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}]}});
    let api = ApiServer::start_in(&node)?;
    api.put(web);
    let right = json!({"authenticated": true, "audiences": ["khan-controller"]});
    api.accept_token("people", right.clone());
    let kubeconfig = api.kubeconfig();
    let controller = Program::workspace("khan-controller")?
        .args(["--listen", "127.0.0.1:0", "--kubeconfig", &kubeconfig.path().display().to_string()])
        .args(["--web-config", &file("controller.yaml", tls)?, "--require-token-audience", "khan-controller"])
        .inside(&node)
        .start()?;
    let users = format!("{tls}basic_auth_users: {{ops: \"{PASSWORD}\"}}\n");
    node.seed((0..7).map(|n| Seed::tcp(([10, 1, 0, 1], 1000 + n), ([10, 2, 0, 1], 80))))?;
    let agent = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "1s"])
        .args(["--web-config", &file("agent.yaml", &users)?])
        .inside(&node)
        .start()?;
    let (agent, controller) = (format!("https://{}", agent.address()?), format!("https://{}", controller.address()?));
    let ours = "tls_config: {ca_file: ca.crt}\nbasic_auth: {username: ops, password: sesame}\n";
    let ours = file("ours.yaml", ours)?;

    // Nobody is let in without.
    let top = ["top", "--once", "-o", "json", "--agent", &agent];
    let refused = khan(&node, &top)?;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("TLS"), "{refused:?}");
    let wrong = file("wrong.yaml", "tls_config: {ca_file: ca.crt}\nbasic_auth: {username: ops, password: x}\n")?;
    let refused = khan(&node, &[&top[..], &["--agent-config", &wrong]].concat())?;
    assert!(refused.code == Some(4) && refused.stderr.contains("401"), "{refused:?}");
    let shown = until("the agent's rows", PATIENCE, || {
        khan(&node, &[&top[..], &["--agent-config", &ours]].concat()).ok().filter(|ended| ended.code == Some(0))
    })?;
    assert!(shown.stdout.contains("\"conns\": 7"), "{shown:?}");

    let token = file("token", "people\n")?;
    let theirs = file("theirs.yaml", "tls_config: {ca_file: ca.crt}\n")?;
    let who = ["who", "10.1.0.1", "--agent", &agent, "--agent-config", &ours, "--controller", &controller];
    let unknown = khan(&node, &[&who[..], &["--controller-config", &theirs]].concat())?;
    let remedy = "401 Unauthorized); give --controller-token-file or --controller-config";
    assert!(unknown.stderr.contains(remedy), "{unknown:?}");
    let known = until("the controller's answer", PATIENCE, || {
        let with = [&who[..], &["--controller-config", &theirs, "--controller-token-file", &token]].concat();
        khan(&node, &with).ok().filter(|ended| ended.stdout.contains("web-0"))
    });
    known.map_err(|error| LabError::Malformed(format!("{error}; {unknown:?}")))?;
    assert!(api.was_asked("people"));

    // Tokens are rotated: the file is read for each question.
    api.revoke_token("people");
    api.accept_token("renewed", right);
    lab.file("token", "renewed")?;
    let with = [&who[..], &["--controller-config", &theirs, "--controller-token-file", &token]].concat();
    let renewed = khan(&node, &with)?;
    assert!(renewed.stdout.contains("web-0"), "{renewed:?}");
    let doctor = ["doctor", "--agent", &agent, "--agent-config", &ours, "--controller", &controller];
    let doctor = khan(&node, &[&doctor[..], &["--controller-config", &theirs]].concat())?;
    assert!(doctor.stdout.contains("is ready"), "{doctor:?}");
    Ok(())
}
