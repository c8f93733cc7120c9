//! Wrong flags and files: one clear sentence, exit code 64, nothing half-done.

use crate::khan::{agent, khan, ok, two_nodes};

async fn refused(arguments: &[&str], sentence: &str) {
    let ended = khan(arguments).run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
    assert!(ended.stderr.starts_with("khan: ") && ended.stderr.contains(sentence), "{}", ended.stderr);
}

#[tokio::test]
async fn flags() {
    refused(&["top", "--wat"], "unexpected argument '--wat' found, did you mean --watch?; see khan --help").await;
    refused(&["topp"], "unrecognized subcommand 'topp', did you mean top?; see khan --help").await;
    refused(&["top", "--interval", "soon"], "'--interval <DURATION>': expected a duration such as 500ms").await;
    refused(&["top", "--max-in-flight", "0"], "'--max-in-flight <N>'").await;
    refused(&["top", "--source", "wireshark"], "'--source <SOURCE>'").await;
    refused(&["top", "-o", "xml"], "--output: \"xml\" is not one of table, wide").await;
    refused(&["top", "--agent", "ftp://n1"], "--agent \"ftp://n1\" does not begin with http:// or https://").await;
    refused(&["top", "--agent", "http://n1:port"], "--agent \"http://n1:port\" is not a URL").await;
    refused(&["top", "--group-by", "colour"], "--group-by: \"colour\" is nothing to group by").await;
    refused(&["top", "--sort-by", "size"], "--sort-by: \"size\" is nothing to sort by").await;
    refused(&["top", "--filter", "prot:tcp"], "--filter: there is no field \"prot\" (did you mean proto?)").await;
    refused(&["top", "--filter", "a or"], "--filter: a term is missing after \"or\" at column 3").await;
    refused(&["top", "--filter", "src~(a"], "--filter: no regular expression: unclosed group at column 5").await;
    refused(&["top", "--filter", "src:(a or b)"], "--filter: brackets go around whole terms").await;
    refused(&["top", "--filter", "(a b"], "--filter: the bracket that opens here is never closed, at column 1").await;
    refused(&["top", "-n", ""], "'--namespace <NAME>'").await;
    refused(&["top", "--agent-port", "0"], "'--agent-port <PORT>'").await;
    refused(&["conns", "--port", "0"], "'--port <PORT>'").await;
    refused(&["top", "ip/hello"], "SELECTOR: \"hello\" is neither an IP address nor a CIDR").await;
}

#[tokio::test]
async fn what_a_command_would_not_look_at() {
    for command in [&["conns"][..], &["who", "10.0.0.1"], &["leaks"], &["doctor"], &["version"]] {
        refused(&[command, &["-w"]].concat(), &format!("--watch: khan {} prints once", command[0])).await;
    }
    refused(&["top", "--once", "--count", "3"], "--count says how many times --watch prints").await;
    refused(&["who", "10.0.0.1", "--columns", "a"], "--columns: khan who prints no table").await;
    refused(&["top", "--config", "/does/not/exist"], "configuration file /does/not/exist: it does not exist").await;
    let named = khan(&["version"]).env("KHAN_CONFIG", "/does/not/exist").run().await;
    assert_eq!(named.code, Some(64), "{named:?}");
    // What is for every command may be of no use to this one.
    let version = khan(&["version"]).env("KHAN_WATCH", "true").env("KHAN_COLUMNS", "source").run().await;
    assert_eq!(version.code, Some(0), "{version:?}");
}

#[tokio::test]
async fn columns_and_fields_that_do_not_exist() {
    let server = agent(ok(&two_nodes()[0])).await;
    let uri = server.uri();
    let top = |arguments: &[&'static str]| [&["top", "--agent", &uri], arguments].concat();
    refused(&top(&["--columns", "source,wat"]), "--columns: there is no column \"wat\"; columns are source,").await;
    refused(&top(&["--columns", "soruce"]), "there is no column \"soruce\" (did you mean source?)").await;
    let ended = khan(&top(&[])).env("KHAN_COLUMNS", "soruce,rising").run().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
    assert!(ended.stderr.contains("did you mean source?"), "{ended:?}");
    // Those of another command are left to it.
    let ended = khan(&top(&["--no-headers"])).env("KHAN_COLUMNS", "source,rising,last-packet,trend").run().await;
    assert!(ended.code == Some(0) && ended.stdout.starts_with("shop/web   "), "{ended:?}");
    refused(&top(&["-o", "custom-columns=A:.source.txt"]), "no row has a field .source.txt; fields are ").await;
    refused(&top(&["-o", "custom-columns=A:.sauce"]), "no row has a field .sauce").await;
    // Missing here, but not unknown.
    let custom = "custom-columns=A:.states.TIME_WAIT,B:.flags[3],C:.node,D:.delta";
    let ended = khan(&top(&["-o", custom])).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Columns for every command, of which this one has none.
    let agents = khan(&["agents", "--agent", &uri, "--no-headers"]).env("KHAN_COLUMNS", "source,NODE").run().await;
    assert_eq!((agents.code, &*agents.stdout), (Some(0), "n1\n"), "{agents:?}");
}

#[tokio::test]
async fn a_filter_may_begin_with_a_minus() {
    let server = agent(ok(&two_nodes()[0])).await;
    for filter in [&["--filter", "-src:web"][..], &["--filter=-src:web"]] {
        let ended = khan(&[&["top", "--agent", &server.uri(), "-o", "name"], filter].concat()).run().await;
        assert_eq!((ended.code, &*ended.stdout), (Some(0), "shop/db->shop/web:80\n"), "{ended:?}");
    }
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
    // Not copied by this process: a child that another test forks meanwhile would have the file open for writing, and a file
    // that is cannot be executed.
    let copied = std::process::Command::new("cp").args([shown.as_ref(), program.as_os_str()]).status().unwrap();
    assert!(copied.success());
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

#[test]
fn too_few_file_descriptors_are_a_sentence() {
    let ended = std::process::Command::new("prlimit")
        .args(["--nofile=6:6", "--", env!("CARGO_BIN_EXE_khan"), "top", "--once"])
        .output()
        .unwrap();
    let sentence = "khan: this process may open 6 files only (ulimit -n); at least 32 are needed\n";
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(1), sentence));
}
