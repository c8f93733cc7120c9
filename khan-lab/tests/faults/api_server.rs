//! As much of a Kubernetes API server as a controller needs that watches a cluster where nothing changes and asks whose
//! tokens it gets: streamed lists that stay open, and token reviews.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use khan_lab::{Host, Lab, LabError, Result};
use serde_json::{Value, json};

/// What the server knows; its threads end with the test's process.
pub(crate) struct ApiServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    items: Vec<Value>,
    accepted: String,
    reviewed: Vec<String>,
}

impl ApiServer {
    /// Serves the objects of a manifest from inside `host`, and accepts one token.
    pub(crate) fn start(host: &Host, manifest: &Value, token: &str) -> Result<Self> {
        let listener = host.enter(|| TcpListener::bind("127.0.0.1:0")).map_err(LabError::io("cannot listen"))?;
        let address = listener.local_addr().map_err(LabError::io("no address"))?;
        let items = manifest["items"].as_array().expect("items").clone();
        let shared = Arc::new(Mutex::new(Shared { items, accepted: token.into(), reviewed: Vec::new() }));
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // A client that goes away in the middle is no concern of the server's.
                thread::spawn(move || answer(&stream, &state).ok());
            }
        });
        Ok(Self { address, shared })
    }

    /// A kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self, lab: &Lab) -> Result<String> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": format!("http://{}", self.address)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "users": [{"name": "lab", "user": {}}],
        });
        Ok(lab.file("kubeconfig", config.to_string())?.display().to_string())
    }

    /// From now on another token is the right one.
    pub(crate) fn accept(&self, token: &str) {
        self.shared.lock().expect("no panic").accepted = token.into();
    }

    /// Whether it was asked about this token.
    pub(crate) fn was_asked(&self, token: &str) -> bool {
        self.shared.lock().expect("no panic").reviewed.iter().any(|reviewed| reviewed == token)
    }
}

fn answer(stream: &TcpStream, state: &Mutex<Shared>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let Some((request, body)) = read_request(&mut reader)? else { return Ok(()) };
        let path = request.split(' ').nth(1).unwrap_or_default();
        if path.contains("/tokenreviews") {
            let review: Value = serde_json::from_slice(&body)?;
            let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
            let mut shared = state.lock().expect("no panic");
            let right = token == shared.accepted;
            shared.reviewed.push(token);
            drop(shared);
            let status = json!({"authenticated": right, "audiences": review["spec"]["audiences"]});
            let answer =
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": status});
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            writer.write_all((head + &answer).as_bytes())?;
            continue;
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        if path.contains("sendInitialEvents=true") {
            let resource = path.split(['/', '?']).nth(3).unwrap_or_default();
            let items = state.lock().expect("no panic").items.clone();
            let kind = ["Pod", "Service", "Node"]
                .into_iter()
                .find(|kind| kind.to_lowercase() + "s" == resource)
                .unwrap_or("Pod");
            let mine = items.into_iter().filter(|item| item["kind"] == kind);
            for item in mine {
                chunk(writer, &json!({"type": "ADDED", "object": item}))?;
            }
            let end = json!({
                "resourceVersion": "1000", "creationTimestamp": null, "annotations": {"k8s.io/initial-events-end": "true"},
            });
            chunk(writer, &json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": kind, "metadata": end}}))?;
        }
        // Nothing changes; the watch is open until the controller ends it.
        reader.read_to_end(&mut Vec::new())?;
        return Ok(());
    }
}

/// The request's first line and its body; none at the end of the connection.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut request = String::new();
    if reader.read_line(&mut request)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((request, body)))
}

fn chunk(mut writer: &TcpStream, event: &Value) -> std::io::Result<()> {
    let line = format!("{event}\n");
    writer.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())
}
