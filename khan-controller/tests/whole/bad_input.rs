//! What cannot work is refused with one sentence that names the flag and the place, and with the right exit code.

use std::net::TcpListener;

use serde_json::json;

use crate::manifests::pod;
use crate::program::{run, text};

/// Runs the binary; it must end with `code` and one line that begins with its name and holds every part of `told`.
fn refused(arguments: &[&str], code: i32, told: &[&str]) {
    let output = run(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let sentence = stderr.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(sentence.starts_with("khan-controller: "), "{stderr}");
    for part in told {
        assert!(sentence.contains(part), "{sentence:?} does not say {part:?}");
    }
    assert!(output.stdout.is_empty());
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn arguments() {
    refused(&["--frobnicate"], 64, &["unexpected argument '--frobnicate'"]);
    refused(&["--listen", "14719"], 64, &["--listen", "expected ADDRESS:PORT"]);
    refused(&["--listen", "999.0.0.1:1"], 64, &["--listen", "999.0.0.1:1"]);
    refused(&["--log-format", "xml"], 64, &["--log-format", "xml"]);
    refused(&["--log-level", "loud"], 64, &["--log-level"]);
    refused(&["--app-labels", "app,,x", "--from-file", "/dev/null"], 64, &["--app-labels", "empty label"]);
    for ttl in ["5m", "0", "soon"] {
        refused(&["--token-review-ttl", ttl], 64, &["--token-review-ttl", ttl]);
    }
    refused(&["--kubeconfig", "a", "--from-file", "b"], 64, &["--kubeconfig", "--from-file"]);
}

#[test]
fn kubeconfigs() {
    refused(&["--kubeconfig", "/nonexistent/config"], 64, &["/nonexistent/config (--kubeconfig)", "No such file"]);
    let garbage = file("{{{");
    refused(&["--kubeconfig", text(garbage.path())], 64, &[text(garbage.path()), "--kubeconfig", "YAML"]);
    let empty = file("apiVersion: v1\nkind: Config\n");
    refused(&["--kubeconfig", text(empty.path())], 64, &["--kubeconfig", "current context"]);
    refused(&[], 64, &["no cluster", "--kubeconfig or --from-file"]);
}

#[test]
fn cluster_files() {
    let path = "/nonexistent/cluster.json";
    refused(&["--from-file", path], 64, &["cannot read /nonexistent/cluster.json (--from-file)", "No such file"]);
    for (content, told) in [
        ("{\"kind\": \"List\", \"items\": [}", "not JSON: expected value at line 1 column 28"),
        ("kind: List\nitems: [\n", "not YAML"),
        ("", "no Kubernetes object"),
        ("hello", "document 1 (without a name): kind is missing"),
        ("{\"kind\": \"List\", \"items\": 7}", "items is not a list"),
        ("{\"kind\": \"List\", \"items\": [7]}", "items[0]"),
    ] {
        let file = file(content);
        refused(&["--from-file", text(file.path())], 64, &[text(file.path()), "--from-file", told]);
    }
    let mut nameless = pod("shop", "x", &["10.244.1.7"]);
    nameless["metadata"].as_object_mut().unwrap().remove("name");
    let list = json!({"kind": "List", "items": [pod("shop", "web", &["10.244.1.6"]), nameless]});
    let nameless = file(&list.to_string());
    refused(&["--from-file", text(nameless.path())], 64, &["items[1] (Pod without a name): metadata.name is missing"]);
    let list = json!({"kind": "List", "items": [pod("shop", "web", &["10.244.1.600"])]});
    let bad_address = file(&list.to_string());
    refused(
        &["--from-file", text(bad_address.path())],
        64,
        &["items[0] (Pod shop/web): status.podIPs[].ip is \"10.244.1.600\", which is not an IP address"],
    );
}

#[test]
fn external_names() {
    let cluster = file(&pod("shop", "web", &["10.244.1.7"]).to_string());
    let cluster = ["--from-file", text(cluster.path())];
    let names = file("10.0.0.0/8 corp\n10.0.0.0/99 oops\n");
    let arguments = [&cluster[..], &["--external-names", text(names.path())]].concat();
    refused(&arguments, 64, &["--external-names", "line 2", "10.0.0.0/99"]);
    let arguments = [&cluster[..], &["--external-names", "/nonexistent"]].concat();
    refused(&arguments, 64, &["cannot read /nonexistent (--external-names)"]);
}

#[test]
fn web_configs() {
    let cluster = file(&pod("shop", "web", &["10.244.1.7"]).to_string());
    let web = file("tls_server_config: {cert_file: a.pem, key_file: b.pem, colour: blue}\n");
    let arguments = ["--from-file", text(cluster.path()), "--web-config", text(web.path())];
    refused(&arguments, 64, &[text(web.path()), "--web-config", "unknown field `colour`"]);
    let twice = file("basic_auth_users:\n  alice: $2b$10$a\n  alice: $2b$10$b\n");
    let arguments = ["--from-file", text(cluster.path()), "--web-config", text(twice.path())];
    refused(&arguments, 64, &[text(twice.path()), "--web-config", "basic_auth_users: duplicate mapping key `alice`"]);
}

#[test]
fn too_few_file_descriptors() {
    for few in ["6", "12", "63"] {
        let limit = format!("--nofile={few}:{few}");
        let output = std::process::Command::new("prlimit")
            .args([&limit, "--", env!("CARGO_BIN_EXE_khan-controller"), "--from-file", "/dev/null"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let sentence =
            format!("khan-controller: this process may open {few} files only (ulimit -n); at least 64 are needed\n");
        assert_eq!((output.status.code(), told), (Some(1), sentence));
    }
}

#[test]
fn a_port_in_use() {
    let cluster = file(&pod("shop", "web", &["10.244.1.7"]).to_string());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = format!("cannot listen on {address} (--listen): another process has this port");
    refused(&["--listen", &address, "--from-file", text(cluster.path())], 1, &[&told]);
}

#[test]
fn help_and_version_are_not_errors() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let page = String::from_utf8(help.stdout).unwrap();
    for flag in
        ["--listen", "--kubeconfig", "--from-file", "--app-labels", "--external-names", "--log-format", "KHAN_LISTEN"]
    {
        assert!(page.contains(flag), "{page}");
    }
    assert!(String::from_utf8(run(&["--version"]).stdout).unwrap().starts_with("khan-controller 0."));
}
