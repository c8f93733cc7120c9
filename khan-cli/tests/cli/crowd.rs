//! Five hundred honest agents: what `khan` takes while it watches them.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use khan_api::Timestamp;
use portable_pty::CommandBuilder;

use crate::khan::peak_mib;
use crate::session::{Session, read_head, serve};

const AGENTS: usize = 500;
/// Ten times fewer than fit into 200 MiB, because a build that is not optimised is slow; `docs/attacks.md` has the rest.
const ROWS: usize = 200;
/// Pods on each node.
const PODS: usize = 60;
/// What `khan` may take, in MiB: it takes 85 to 100, depending on how the allocator's arenas fill. That rows are held once is
/// held by `model/history/tests.rs`; this holds everything else that grows with agents and rounds.
const MOST: u64 = 130;
/// How long two rounds may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// The agents: each answer is a new snapshot.
struct Crowd {
    address: SocketAddr,
    told: Arc<Told>,
}

struct Told {
    /// The rows, which are the same on every node: half of clients there, half of servers whose clients are elsewhere.
    rows: String,
    /// How many times each agent has answered.
    answers: Vec<AtomicUsize>,
}

impl Crowd {
    fn start() -> Self {
        let mut rows = String::new();
        for number in 0..ROWS {
            let (near, far) = (number % PODS, PODS + number / 2);
            let (src, dst, side) = if number % 2 == 0 { (near, far, "client") } else { (far, near, "server") };
            let comma = if number == 0 { "" } else { "," };
            let port = 1024 + number;
            let _ = write!(
                rows,
                r#"{comma}{{"src":{src},"dst":{dst},"backend":{dst},"port":{port},"backend_port":{port},"protocol":"tcp","side":"{side}","connections":3,"states":{{"ESTABLISHED":3}}}}"#
            );
        }
        let told = Arc::new(Told { rows, answers: (0..AGENTS).map(|_| AtomicUsize::new(0)).collect() });
        let address = serve(&told, Told::answer);
        Self { address, told }
    }

    fn urls(&self) -> String {
        (0..AGENTS).map(|node| format!("http://{}/{node}", self.address)).collect::<Vec<_>>().join(",")
    }

    /// How many times every agent has answered.
    fn rounds(&self) -> usize {
        self.told.answers.iter().map(|answers| answers.load(Ordering::SeqCst)).min().unwrap_or(0)
    }
}

impl Told {
    /// Answers the requests of one connection.
    fn answer(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let request = read_head(&mut reader)?;
            let node: usize = request.split('/').nth(1)?.parse().ok()?;
            let body = self.snapshot(node);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
            self.answers[node].fetch_add(1, Ordering::SeqCst);
            if request.to_lowercase().contains("connection: close") {
                return None;
            }
        }
    }

    fn snapshot(&self, node: usize) -> String {
        let (now, answers) = (Timestamp::now(), self.answers[node].load(Ordering::SeqCst));
        let mut body = format!(
            r#"{{"schema":1,"id":"{node}-{answers}","node":"node-{node:03}","boot_id":"b","version":"0.1.0","started":"{now}","taken":"{now}","interval_millis":600000,"rows":[{}],"endpoints":["#,
            self.rows
        );
        let near = (0..PODS).map(|number| (node, number));
        let far = (0..ROWS).step_by(2).map(|number| ((node + 1 + number % 40) % AGENTS, number / 2 % PODS));
        for (at, (node, number)) in near.chain(far).enumerate() {
            let (comma, ns, app) = (if at == 0 { "" } else { "," }, number % 8, number % 40);
            let _ = write!(
                body,
                r#"{comma}{{"ip":"10.{}.{}.{number}","type":"pod","ns":"team-{ns}","app":"app-{app}","workload":"app-{app}","name":"app-{app}-6d4cf56db6-{node:03}{number:02}","node":"node-{node:03}"}}"#,
                node / 256,
                node % 256
            );
        }
        body.push_str("]}");
        body
    }
}

/// Each agent's rows are replaced once while `khan` watches: at no time may it hold both.
#[test]
fn five_hundred_agents_are_held_small() {
    let crowd = Crowd::start();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--agent", &crowd.urls(), "--interval", "1s", "--agent-timeout", "60s"]);
    let begun = Instant::now();
    let mut session = Session::start(command, (120, 30));
    // Every connection once: the rows of side server are other nodes' rows of side client.
    let all = |text: &str| text.contains("agents 500/500") && text.contains("150,000 conns");
    while crowd.rounds() < 2 || !all(&session.text()) {
        session.watch(Duration::from_millis(50));
        assert!(begun.elapsed() < PATIENCE, "{} rounds; {}", crowd.rounds(), session.text());
    }
    let most = peak_mib(session.pid().as_raw_nonzero().get().cast_unsigned());
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    assert!((20..=MOST).contains(&most), "{most} MiB");
}
