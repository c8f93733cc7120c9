//! Help, completions, man pages, the configuration file, the log, and the plugin of kubectl: what a packager and a newcomer
//! see first.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::khan::{agent, khan, ok, two_nodes};

const COMMANDS: [&str; 14] = [
    "top",
    "problems",
    "balance",
    "leaks",
    "diff",
    "replay",
    "conns",
    "who",
    "agents",
    "doctor",
    "config",
    "completion",
    "man",
    "version",
];

async fn printed(arguments: &[&str]) -> String {
    let ended = khan(arguments).run().await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn help() {
    insta::assert_snapshot!("help", printed(&["--help"]).await);
    insta::assert_snapshot!("help_top_short", printed(&["top", "-h"]).await);
    for command in COMMANDS {
        let help = printed(&[command, "--help"]).await;
        insta::assert_snapshot!(format!("help_{command}"), help);
        let (short, all) = (printed(&[command, "-h"]).await, printed(&[command, "--help-all"]).await);
        let lines = [&short, &help, &all].map(|text| text.lines().count());
        assert!(lines[0] < lines[1] && lines[1] <= 100 && 2 * lines[1] < lines[2], "{command}: {lines:?}");
        assert!(!help.contains("[env:") && help.contains(&format!("khan {command} --help-all")), "{help}");
        // Examples must not wrap on a terminal of the usual width.
        let examples =
            help.split_once("\nExamples:\n").unwrap().1.split_once("\n\n").map_or_else(|| "", |(lines, _)| lines);
        assert!(examples.lines().all(|line| line.starts_with("  ") && line.len() < 80), "{command}: {examples}");
    }
}

#[tokio::test]
async fn every_flag_has_a_variable_of_its_name() {
    for command in COMMANDS {
        let help = printed(&[command, "--help-all"]).await;
        let flags = help.lines().filter_map(|line| line.split_once("--")).filter(|(before, _)| {
            before.is_empty() || before.chars().all(|c| c == ' ') || before.trim_start().starts_with('-')
        });
        let flags: BTreeSet<String> = flags
            .map(|(_, flag)| flag.split([' ', '.', ',', '[']).next().unwrap_or_default().to_owned())
            .filter(|flag| !matches!(&**flag, "help" | "help-all" | "version"))
            .collect();
        assert!(flags.len() > 40, "{flags:?}");
        for flag in flags {
            // A directory is too common a word for a variable.
            let flag = if flag == "directory" { "man-directory" } else { &*flag };
            let variable = format!("[env: KHAN_{}", flag.replace('-', "_").to_uppercase());
            assert!(help.contains(&variable), "{command} --{flag} lacks {variable}");
        }
    }
}

#[tokio::test]
async fn completions_are_scripts_of_their_shells() {
    for (shell, part, check) in [
        ("bash", "KHAN_COMPLETE=\"bash\"", Some(["bash", "-n"])),
        ("zsh", "#compdef khan", Some(["zsh", "-n"])),
        ("fish", "complete --keep-order --exclusive --command khan", Some(["fish", "--no-execute"])),
        ("elvish", "set edit:completion:arg-completer[khan]", None),
        ("powershell", "Register-ArgumentCompleter", None),
        ("nushell", "export extern khan", None),
        ("kubectl", "exec khan __complete -- \"$@\"", Some(["sh", "-n"])),
    ] {
        let script = printed(&["completion", shell]).await;
        assert!(script.contains(part), "{shell}: {part} is not in\n{script}");
        // The others ask khan.
        for command in COMMANDS.iter().filter(|_| matches!(shell, "elvish" | "powershell" | "nushell")) {
            assert!(script.contains(command), "{shell} knows {command}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        std::fs::write(&file, &script).unwrap();
        // Shells that are not installed here are checked elsewhere; bash and sh always are.
        if let Some([program, flag]) = check.filter(|[program, _]| is_installed(program)) {
            let checked = Command::new(program).arg(flag).arg(&file).output().unwrap();
            assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    assert!(is_installed("bash") && is_installed("sh"));
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("-c").arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn kubectl_gets_candidates_with_descriptions() {
    let text = printed(&["__complete", "--", "top", "--group"]).await;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.starts_with("--group-by\tWhat makes a row") && text.ends_with("\n:4\n"), "{text}");
    let commands = printed(&["__complete", "--", ""]).await;
    for command in COMMANDS {
        assert!(commands.lines().any(|line| line.split('\t').next() == Some(command)), "{command}: {commands}");
    }
    let values = printed(&["__complete", "--", "top", "--source", "p"]).await;
    assert!(values.starts_with("prometheus\t"), "{values}");
    // The script that kubectl runs.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("kubectl_complete-khan");
    std::fs::write(&script, printed(&["completion", "kubectl"]).await).unwrap();
    let own = Path::new(env!("CARGO_BIN_EXE_khan")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", own.display());
    let asked = Command::new("sh").arg(&script).args(["top", "--group"]).env("PATH", path).output().unwrap();
    assert_eq!(String::from_utf8(asked.stdout).unwrap(), text);
}

#[tokio::test]
async fn as_a_plugin_it_is_called_as_the_user_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-khan");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_khan"), &plugin).unwrap();
    let asked = Command::new(&plugin).args(["top", "--help"]).env_clear().output().unwrap();
    let help = String::from_utf8(asked.stdout).unwrap();
    assert!(help.contains("\nUsage: kubectl khan top [OPTIONS]"), "{help}");
}

/// What bash is offered for the last of the words.
fn completed(words: &[&str], environment: &[(&str, &str)]) -> (Vec<String>, String) {
    let mut khan = Command::new(env!("CARGO_BIN_EXE_khan"));
    khan.env_clear().env("KHAN_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    khan.env("_CLAP_IFS", "\n").envs(environment.iter().copied()).args(["--", "khan"]).args(words);
    let ended = khan.output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let lines = String::from_utf8(ended.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect();
    (lines, String::from_utf8(ended.stderr).unwrap())
}

#[tokio::test]
async fn completions_are_what_there_is() {
    let none = |words: &[&str]| completed(words, &[]).0;
    assert_eq!(none(&["top", "--sort-by", "de"]), ["delta", "destination"]);
    assert_eq!(none(&["leak"]), ["leaks"]);
    assert!(none(&["top", "-o", ""]).contains(&"markdown".to_owned()));
    let server = wiremock::MockServer::start().await;
    let list = |kind: &str, names: &[&str]| {
        let item = |name: &&str| serde_json::json!({"metadata": {"name": name, "labels": {"app": "checkout"}}});
        serde_json::json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {},
            "items": names.iter().map(item).collect::<Vec<_>>(), "note": kind})
    };
    for (path, names) in
        [("/api/v1/namespaces", &["shop", "data"][..]), ("/api/v1/nodes", &["n1"]), ("/api/v1/pods", &["checkout-1"])]
    {
        let answer = wiremock::ResponseTemplate::new(200).set_body_json(list(path, names));
        let asked = wiremock::Mock::given(wiremock::matchers::path(path));
        asked.respond_with(answer).mount(&server).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let config = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "prod",
        "clusters": [{"name": "c", "cluster": {"server": server.uri()}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}]});
    std::fs::write(&file, config.to_string()).unwrap();
    let environment = [("KUBECONFIG", file.to_str().unwrap())];
    let live = |words: Vec<&'static str>| {
        let environment = environment.map(|(name, value)| (name, value.to_owned()));
        tokio::task::spawn_blocking(move || completed(&words, &[(environment[0].0, environment[0].1.as_str())]).0)
    };
    assert_eq!(live(vec!["top", "-n", ""]).await.unwrap(), ["data", "shop"]);
    assert_eq!(live(vec!["top", "--node", "n"]).await.unwrap(), ["n1"]);
    assert_eq!(live(vec!["top", "app/c"]).await.unwrap(), ["app/checkout"]);
    assert_eq!(live(vec!["top", "--context", "p"]).await.unwrap(), ["prod"]);
    // Nobody answers: nothing is offered, nothing is said, and it does not take long.
    let dead = ("KUBECONFIG", "/does/not/exist");
    let start = std::time::Instant::now();
    assert_eq!(completed(&["top", "-n", ""], &[dead]), (Vec::new(), String::new()));
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}

#[tokio::test]
async fn man_pages_for_packagers() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(printed(&["man", "--directory", pages.to_str().unwrap()]).await, "");
    let names: BTreeSet<_> =
        std::fs::read_dir(&pages).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<_> =
        COMMANDS.iter().map(|command| format!("khan-{command}.1")).chain(["khan.1".to_owned()]).collect();
    assert_eq!(names, expected);
    for name in &names {
        let page = std::fs::read_to_string(pages.join(name)).unwrap();
        let title = name.trim_end_matches(".1");
        assert!(page.contains(&format!(".TH {title} 1")), "{name}: {page}");
        assert!(page.contains(".SH NAME\n") && page.contains(".SH OPTIONS\n") && page.contains("Examples:"), "{name}");
    }
    let first = printed(&["man"]).await;
    assert_eq!(first, std::fs::read_to_string(pages.join("khan.1")).unwrap());
}

#[tokio::test]
async fn the_configuration_file_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("here/config.yaml");
    let name = file.to_str().unwrap();
    assert_eq!(printed(&["config", "path", "--config", name]).await, format!("{name}\n"));
    assert_eq!(printed(&["config", "init", "--config", name]).await, format!("{name}\n"));
    insta::assert_snapshot!("config_init", std::fs::read_to_string(&file).unwrap());
    // What is commented out changes nothing, and a second one is not written over the first.
    assert_eq!(printed(&["config", "view", "--config", name]).await, format!("# {name}\n"));
    let again = khan(&["config", "init", "--config", name]).run().await;
    assert_eq!(again.code, Some(64));
    assert!(again.stderr.contains("it exists already, and is not overwritten"), "{again:?}");

    std::fs::write(&file, "interval: 9s\nlimit: 7\n").unwrap();
    let view = khan(&["config", "view", "--config", name]).env("KHAN_LIMIT", "3").run().await;
    let expected =
        format!("# {name}\ninterval: [\"9s\"]\nlimit: [\"7\"]\n# KHAN_LIMIT=3 (environment) comes before the file\n");
    assert_eq!(view.stdout, expected);
    std::fs::write(&file, "colour: always\n").unwrap();
    let wrong = khan(&["top", "--config", name]).run().await;
    assert_eq!(wrong.code, Some(64));
    assert_eq!(wrong.stderr, format!("khan: configuration file {name}: there is no flag --colour\n"));
}

#[tokio::test]
async fn the_log_goes_to_stderr_or_to_its_file() {
    let [n1, _] = two_nodes();
    let server = agent(ok(&n1)).await;
    let uri = server.uri();
    let top = ["top", "--agent", &uri];
    let table = printed(&top).await;
    let told = khan(&[&top[..], &["-vv"]].concat()).run().await;
    assert_eq!(told.stdout, table, "nothing but data");
    assert!(told.stderr.contains("DEBUG") && told.stderr.contains(&uri), "{}", told.stderr);
    assert!(!told.stderr.contains('\u{1b}'), "no colours into a pipe: {}", told.stderr);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("khan.log");
    let name = file.to_str().unwrap();
    for times in 1..=2 {
        let quiet = khan(&[&top[..], &["-vv", "--log-file", name]].concat()).run().await;
        assert_eq!((&*quiet.stdout, &*quiet.stderr), (&*table, ""));
        let log = std::fs::read_to_string(&file).unwrap();
        assert_eq!(log.lines().filter(|line| line.contains("/v1/snapshot")).count(), times, "appended: {log}");
    }
    let wrong = khan(&[&top[..], &["--log-file", "/no/such/folder/log"]].concat()).run().await;
    assert_eq!((wrong.code, &*wrong.stdout), (Some(64), ""));
    assert!(wrong.stderr.starts_with("khan: --log-file /no/such/folder/log: "), "{}", wrong.stderr);
}

#[tokio::test]
async fn variables_that_are_empty_do_not_count() {
    let [n1, _] = two_nodes();
    let server = agent(ok(&n1)).await;
    let ended = khan(&["top", "--agent", &server.uri()])
        .env("KHAN_INTERVAL", "")
        .env("KHAN_NAMESPACE", "")
        .env("KHAN_LIMIT", "")
        .run()
        .await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 3), "{ended:?}");
}
