//! Starting `khan` in an environment of its own, and agents that answer what a test wants.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A `khan` command without the developer's kubeconfig and variables.
pub(crate) struct Khan {
    pub(crate) command: Command,
    _home: TempDir,
}

/// What it printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn khan(arguments: &[&str]) -> Khan {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_khan"));
    command.args(arguments).env_clear().env("HOME", home.path()).env("TZ", "UTC");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Khan { command, _home: home }
}

impl Khan {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) async fn run(mut self) -> Ended {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.command.output()).await;
        ended.expect("khan ends within 30 s").unwrap().into()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `khan` to its end; also the most memory that it ever had, in MiB.
pub(crate) async fn measured(arguments: &[&str]) -> (Ended, u64) {
    let mut khan = khan(arguments);
    let mut child = khan.command.spawn().unwrap();
    let (pid, mut out, mut err) = (child.id().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let mut reading = Box::pin(async move {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let (printed, said) = tokio::join!(out.read_to_string(&mut stdout), err.read_to_string(&mut stderr));
        printed.and(said).map(|_| (stdout, stderr)).unwrap()
    });
    let mut most = 0;
    let (stdout, stderr) = loop {
        tokio::select! {
            texts = &mut reading => break texts,
            _ = look.tick() => most = most.max(peak_mib(pid)),
        }
    };
    (Ended { code: child.wait().await.unwrap().code(), stdout, stderr }, most)
}

/// The most memory that the process ever had, in MiB.
pub(crate) fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A snapshot of `node` with rows `(client, its node, destination, its node, port, connections)`; the ends are pods of
/// namespace `shop` with the app's name.
pub(crate) fn snapshot(node: &str, rows: &[(&str, &str, &str, &str, u16, u64)]) -> Value {
    let mut endpoints: Vec<Value> = Vec::new();
    let mut index = |app: &str, home: &str| {
        let ip = format!("10.1.{}.{}", home.len() + home.bytes().map(usize::from).sum::<usize>() % 200, app.len());
        let endpoint =
            json!({"ip": ip, "type": "pod", "ns": "shop", "app": app, "name": format!("{app}-0"), "node": home});
        endpoints.iter().position(|known| *known == endpoint).unwrap_or_else(|| {
            endpoints.push(endpoint);
            endpoints.len() - 1
        })
    };
    let rows: Vec<_> = rows
        .iter()
        .map(|(src, src_node, dst, dst_node, port, connections)| {
            let (src, dst) = (index(src, src_node), index(dst, dst_node));
            let side = if *src_node == node { "client" } else { "server" };
            json!({"src": src, "dst": dst, "backend": dst, "port": port, "backend_port": port, "protocol": "tcp",
                "side": side, "connections": connections, "states": {"ESTABLISHED": connections}})
        })
        .collect();
    let now = khan_api::Timestamp::now();
    json!({"schema": 1, "id": format!("{node}-1"), "node": node, "boot_id": "b", "version": "0.1.0", "started": now,
        "taken": now, "interval_millis": 30_000, "table": {"entries": 10, "limit": 262_144}, "endpoints": endpoints,
        "rows": rows, "connections": 0, "limits": [],
        "snat": {"range": 64_512, "largest": []}})
}

/// Two nodes: `web` on n1 holds 7 connections to `db` on n2, which both tables show; `db` holds 2 to `web`.
pub(crate) fn two_nodes() -> [Value; 2] {
    let across = ("web", "n1", "db", "n2", 5432, 7);
    let back = ("db", "n2", "web", "n1", 80, 2);
    [snapshot("n1", &[across, back]), snapshot("n2", &[across, back])]
}

/// An agent that answers like this.
pub(crate) async fn agent(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).and(path("/v1/snapshot")).respond_with(answer).mount(&server).await;
    server
}

pub(crate) fn ok(snapshot: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(snapshot)
}
