//! Wrong flags and files: one clear sentence, exit code 64, nothing half-done.

use crate::khan::khan;

async fn refused(arguments: &[&str], sentence: &str) {
    let ended = khan(arguments).run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
    assert!(ended.stderr.starts_with("khan: ") && ended.stderr.contains(sentence), "{}", ended.stderr);
}

#[tokio::test]
async fn flags() {
    refused(&["top", "--wat"], "unexpected argument '--wat' found, did you mean --watch?; see khan --help").await;
    refused(&["topp"], "unrecognized subcommand 'topp'").await;
    refused(&["top", "--interval", "soon"], "'--interval <DURATION>': expected a duration such as 500ms").await;
    refused(&["top", "--max-in-flight", "0"], "'--max-in-flight <N>'").await;
    refused(&["top", "--source", "wireshark"], "'--source <SOURCE>'").await;
    refused(&["top", "-o", "xml"], "--output: \"xml\" is not one of table, wide").await;
    refused(&["top", "--agent", "ftp://n1"], "--agent \"ftp://n1\" does not begin with http:// or https://").await;
    refused(&["top", "--agent", "http://n1:port"], "--agent \"http://n1:port\" is not a URL").await;
    refused(&["top", "--group-by", "colour"], "--group-by: \"colour\" is nothing to group by").await;
    refused(&["top", "--sort-by", "size"], "--sort-by: \"size\" is nothing to sort by").await;
    refused(&["top", "--filter", "prot:tcp"], "--filter: there is no field \"prot\"").await;
    refused(&["top", "ip/hello"], "SELECTOR: \"hello\" is neither an IP address nor a CIDR").await;
}

#[tokio::test]
async fn variables_are_checked_like_flags() {
    let ended = khan(&["top"]).env("KHAN_INTERVAL", "soon").run().await;
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("'--interval <DURATION>'"), "{}", ended.stderr);
}

#[tokio::test]
async fn kubeconfigs() {
    refused(&["top", "--kubeconfig", "/does/not/exist"], "kubeconfig /does/not/exist: No such file").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let name = file.to_str().unwrap();
    std::fs::write(&file, "{ not yaml").unwrap();
    refused(&["top", "--kubeconfig", name], &format!("kubeconfig {name}: ")).await;
    let cluster = "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: 'http://127.0.0.1:1'}\n\
                   contexts:\n- name: here\n  context: {cluster: c, user: u}\ncurrent-context: here\n";
    std::fs::write(&file, cluster).unwrap();
    refused(&["top", "--kubeconfig", name, "--context", "there"], "it has no context \"there\"").await;
}

#[tokio::test]
async fn without_any_source_all_three_remedies_are_named() {
    // As somebody who may not read this host's table either.
    let mut nobody = khan(&[]);
    let shown = nobody.command.as_std().get_program().to_owned();
    let copy =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let program = copy.path().join("khan");
    std::fs::copy(shown, &program).unwrap();
    nobody.command = tokio::process::Command::new("setpriv");
    nobody.command.args(["--reuid", "65534", "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all"]);
    nobody.command.arg(&program).args(["top", "--once"]).env_clear().env("PATH", "/usr/bin:/bin");
    nobody.command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ended = nobody.run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(4), ""), "{ended:?}");
    for remedy in ["--agent URL", "kubeconfig", "--prometheus-url URL", "--source local"] {
        assert!(ended.stderr.contains(remedy), "{}", ended.stderr);
    }
}
