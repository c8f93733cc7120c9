//! What every command prints with `-o json` is what `docs/schema.json` says, and what tables, CSV and `--columns` call the same.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::khan::{Ended, agent, khan, ok, two_nodes};
use crate::{balance, leaks, node_port, problems};

/// Commands that print no JSON.
const SILENT: [&str; 3] = ["config", "completion", "man"];

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The commands of `khan --help`.
async fn commands() -> Vec<String> {
    let help = khan(&["--help"]).run().await.stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

/// Runs a command against servers that give it rows.
async fn run(command: &str, more: &[&str]) -> Ended {
    let [n1, _] = two_nodes();
    let (server, node) = (agent(ok(&n1)).await, node_port::node().await);
    let (recording, troubled) = (leaks::leaking().await, agent(ok(&problems::troubled())).await);
    let (server, node, troubled) = (server.uri(), node.uri(), troubled.uri());
    let recording = recording.path().to_str().unwrap();
    let [dialling, controller] = balance::uneven().await;
    let (balance, controller) = (dialling.uri(), controller.uri());
    let arguments: &[&str] = match command {
        "top" => &["top", "--limit", "1", "--agent", &server],
        "leaks" => &["leaks", "--replay", recording],
        "conns" => &["conns", "--agent", &node],
        "who" => &["who", "svc/solo", "--agent", &node],
        "agents" => &["agents", "--agent", &server],
        "diff" => &["diff", "--replay", recording, "--against", "5m"],
        "replay" => &["replay", recording],
        "problems" => &["problems", "--agent", &troubled],
        "balance" => &["balance", "--agent", &balance, "--controller", &controller],
        "doctor" => &["doctor", "--agent", &server],
        "version" => &["version"],
        other => panic!("khan {other} prints JSON that neither docs/schema.json nor this test knows"),
    };
    khan(&[arguments, more].concat()).run().await
}

#[tokio::test]
async fn every_command_prints_what_the_schema_says() {
    let schema = schema();
    for command in commands().await.iter().filter(|command| !SILENT.contains(&command.as_str())) {
        let document = run(command, &["-o", "json"]).await.json();
        let mut wrong = Vec::new();
        check(&schema, &schema, &document, command, &mut wrong);
        assert_eq!(wrong, [""; 0], "{document:#}");
    }
    let failing = khan(&["agents", "-o", "json", "--agent", "http://127.0.0.1:1"]).run().await;
    assert!(check_alone(&schema, &failing.json()).is_empty(), "{failing:?}");
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let schema = serde_json::json!({"type": "object", "additionalProperties": false, "required": ["n"], "properties": {
        "n": {"type": ["integer", "null"]}, "at": {"type": "string", "format": "date-time"}}});
    let wrong = |text| check_alone(&schema, &serde_json::from_str(text).unwrap());
    assert_eq!(wrong(r#"{"n": null, "at": "2026-11-22T10:00:00Z"}"#), [""; 0]);
    assert_eq!(wrong(r#"{"n": 1.5}"#), [".n: 1.5 is no [\"integer\",\"null\"]"]);
    assert_eq!(wrong(r#"{"m": 1}"#), [": n is missing", ".m: unknown"]);
    assert_eq!(
        wrong(r#"{"n": 1, "at": ""}"#),
        [".at: \"\" is an empty text, and absence is null", ".at: \"\" is no date-time"]
    );
}

/// A column has one name: `--columns` takes what tables head in capitals and programs call in camel case.
#[tokio::test]
async fn a_column_is_called_the_same_everywhere() {
    for command in ["top", "leaks", "conns", "diff", "replay", "problems", "agents", "doctor", "version"] {
        let wide = run(command, &["-o", "wide"]).await.stdout;
        let csv = run(command, &["-o", "csv"]).await.stdout;
        let headers: Vec<_> = wide.lines().next().unwrap().split_whitespace().map(str::to_owned).collect();
        let keys: Vec<_> = csv.lines().next().unwrap().split(',').map(str::to_owned).collect();
        assert_eq!(headers.len(), keys.len(), "{command}");
        let document = run(command, &["-o", "json"]).await.json();
        let item: BTreeSet<_> = document["items"][0].as_object().unwrap().keys().cloned().collect();
        for (header, key) in headers.iter().zip(&keys) {
            let plain = |text: &str| text.replace(['-', '%'], "").replace("/MIN", "PERMINUTE").to_lowercase();
            let unitless =
                ["Seconds", "Percent", "Bytes"].iter().fold(key.as_str(), |key, unit| key.trim_end_matches(unit));
            assert_eq!(plain(header), plain(unitless), "{command}: {header} and {key}");
            assert!(item.contains(key), "{command}: no item has {key}: {item:?}");
            if command != "version" {
                let name = header.trim_end_matches("/MIN").trim_end_matches('%').to_lowercase();
                let chosen = run(command, &["--columns", &name, "-o", "csv"]).await.stdout;
                assert_eq!(chosen.lines().next(), Some(key.as_str()), "{command} --columns {name}");
            }
        }
    }
}

fn check_alone(schema: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    check(schema, schema, value, "", &mut wrong);
    wrong
}

/// The keywords that the schema uses, all that it may use, and one rule more: no text is empty.
fn check(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if value == "" {
        wrong.push(format!("{at}: \"\" is an empty text, and absence is null"));
    }
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "required" | "additionalProperties" => {}
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                check(root, root.pointer(pointer).unwrap(), value, at, wrong);
            }
            "const" => check_that(value == rule, at, || format!("{value} is not {rule}"), wrong),
            "enum" => {
                check_that(
                    rule.as_array().unwrap().contains(value),
                    at,
                    || format!("{value} is none of {rule}"),
                    wrong,
                );
            }
            "type" => check_that(is(value, rule), at, || format!("{value} is no {rule}"), wrong),
            "format" => {
                let moment = |text: &str| text.parse::<khan_api::Timestamp>().is_ok();
                check_that(value.as_str().is_none_or(moment), at, || format!("{value} is no date-time"), wrong);
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{index}]"), wrong);
                }
            }
            "properties" => properties(root, schema, value, at, wrong),
            "anyOf" => {
                let attempts = rule.as_array().unwrap().iter().map(|choice| {
                    let mut wrong = Vec::new();
                    check(root, choice, value, at, &mut wrong);
                    wrong
                });
                // The choice that is nearest says best what is wrong.
                let nearest = attempts.min_by_key(Vec::len).unwrap();
                wrong.extend(nearest);
            }
            other => panic!("the schema's keyword {other} is not checked"),
        }
    }
    let others = schema.get("additionalProperties").filter(|_| schema.get("properties").is_none());
    if let (Some(rule), Some(object)) = (others.filter(|rule| rule.is_object()), value.as_object()) {
        object.iter().for_each(|(key, value)| check(root, rule, value, &format!("{at}.{key}"), wrong));
    }
}

fn properties(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let (Some(object), known) = (value.as_object(), schema["properties"].as_object().unwrap()) else { return };
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        check_that(object.contains_key(key), at, || format!("{key} is missing"), wrong);
    }
    for (key, value) in object {
        let at = format!("{at}.{key}");
        match known.get(key) {
            Some(rule) => check(root, rule, value, &at, wrong),
            None => check_that(schema["additionalProperties"] != false, &at, || "unknown".into(), wrong),
        }
    }
}

fn check_that(holds: bool, at: &str, what: impl FnOnce() -> String, wrong: &mut Vec<String>) {
    if !holds {
        wrong.push(format!("{at}: {}", what()));
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| is(value, kind)),
        kind => match kind.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            "integer" => value.is_u64() || value.is_i64(),
            other => panic!("the schema's type {other} is not checked"),
        },
    }
}
