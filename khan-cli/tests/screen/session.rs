//! `khan top` in a terminal of its own, on an agent made of one thread and a snapshot.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use khan_api::{ConnectionSample, Snapshot, Timestamp};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use super::shop::{Agent, node};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One thread and a snapshot that answer as an agent does, until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    told: Arc<Told>,
}

/// The list of pods with the one agent.
const PODS: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[
    {"metadata":{"name":"a1","namespace":"khan","uid":"u1"},"spec":{"nodeName":"node-03","containers":[]},
    "status":{"phase":"Running","podIP":"10.9.0.1"}}]}"#;

struct Told {
    snapshot: Mutex<Answer>,
    sample: Vec<u8>,
    /// When the snapshot was first told.
    first: OnceLock<Instant>,
    away: AtomicBool,
    /// The token that the API server in front of the agent knows; it knows everybody while there is none.
    token: Mutex<Option<String>>,
}

/// A snapshot as an agent sends it.
#[derive(Clone)]
struct Answer {
    body: Arc<[u8]>,
    tag: String,
}

impl Answer {
    /// Of a snapshot, as if it were taken now.
    fn now(mut snapshot: Snapshot) -> (Self, Snapshot) {
        let now = Timestamp::now();
        let window = snapshot.since.map(|since| snapshot.taken.millis() - since.millis());
        snapshot.since = window.map(|window| Timestamp::from_millis(now.millis() - window));
        snapshot.taken = now;
        let body = serde_json::to_vec(&snapshot).expect("a snapshot is JSON");
        (Self { body: body.into(), tag: format!("\"{}\"", snapshot.id) }, snapshot)
    }
}

impl Server {
    pub(crate) fn start(snapshot: Snapshot) -> Self {
        let (answer, snapshot) = Answer::now(snapshot);
        let (node, taken) = (snapshot.node, snapshot.taken);
        let sample = ConnectionSample { node, taken, matched: 0, connections: Vec::new() };
        let told = Arc::new(Told {
            snapshot: Mutex::new(answer),
            sample: serde_json::to_vec(&sample).expect("a sample is JSON"),
            first: OnceLock::new(),
            away: AtomicBool::new(false),
            token: Mutex::new(None),
        });
        let address = serve(&told, Told::answer);
        Self { address, told }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells this snapshot from now on, as one taken now.
    #[allow(dead_code, reason = "most tests need one snapshot only")]
    pub(crate) fn tell(&self, snapshot: Snapshot) {
        *self.told.snapshot.lock().expect("a snapshot") = Answer::now(snapshot).0;
    }

    /// Hangs up on everybody, or answers again.
    pub(crate) fn set_away(&self, away: bool) {
        self.told.away.store(away, Ordering::SeqCst);
    }

    /// From now on the API server in front of the agent knows this token only.
    #[allow(dead_code, reason = "benchmarks and pictures need no API server")]
    pub(crate) fn know(&self, token: &str) {
        *self.told.token.lock().expect("a token") = Some(token.to_owned());
    }

    /// How long ago the snapshot was first told.
    pub(crate) fn since_answer(&self) -> Duration {
        self.told.first.get().expect("it was asked").elapsed()
    }
}

/// Lets a thread of its own answer each connection, until the test ends; says where.
pub(crate) fn serve<T: Send + Sync + 'static>(told: &Arc<T>, answer: fn(&T, TcpStream) -> Option<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let told = Arc::clone(told);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let told = Arc::clone(&told);
            std::thread::spawn(move || answer(&told, stream));
        }
    });
    address
}

/// The next request's head, as far as the empty line; `None` when the peer has left.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

impl Told {
    /// Answers the requests of one connection.
    fn answer(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let request = read_head(&mut reader)?;
            if self.away.load(Ordering::SeqCst) {
                return None;
            }
            let token = self.token.lock().ok()?.clone();
            let answer = self.snapshot.lock().ok()?.clone();
            let known = format!("if-none-match: {}", answer.tag.to_lowercase());
            let stranger = token.is_some_and(|token| !request.contains(&format!("Bearer {token}\r\n")));
            let (status, body) = if stranger {
                (
                    "401 Unauthorized",
                    br#"{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}"#.as_slice(),
                )
            } else if request.starts_with("GET /api/v1/pods?") {
                ("200 OK", PODS.as_bytes())
            } else if request.starts_with("GET /v1/connections") {
                ("200 OK", &self.sample[..])
            } else if request.to_lowercase().contains(&known) {
                ("304 Not Modified", &[][..])
            } else {
                self.first.get_or_init(Instant::now);
                ("200 OK", &answer.body[..])
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.tag,
                body.len()
            );
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(body).ok()?;
        }
    }
}

/// One node with so many apps, each with connections of its own.
pub(crate) fn many(rows: u64) -> Snapshot {
    let row = |node: Agent, i: u64| {
        node.row(&format!("ns{}/pod-{i}:app-{i}@node-01", i % 40), "svc:data/db", 5432, 10 + i).established(10 + i)
    };
    (0..rows).fold(node("node-01", 0), row).snapshot
}

fn some(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).expect("a terminal has cells")
}

/// A running program and what its terminal shows.
pub(crate) struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Everything that was written to the terminal.
    pub(crate) raw: Vec<u8>,
    /// The terminal's settings before the program started.
    before: String,
}

impl Session {
    /// Starts `khan top` on an agent.
    pub(crate) fn top(agent: &Server, more: &[&str], size: (u16, u16)) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
        command.args(["top", "--agent", &agent.url()]);
        command.args(more);
        Self::start(command, size)
    }

    /// Starts a program.
    pub(crate) fn start(mut command: CommandBuilder, (width, height): (u16, u16)) -> Self {
        for name in ["NO_COLOR", "CI", "COLORTERM", "CLICOLOR_FORCE", "KUBECONFIG", "KHAN_AGENT"] {
            if command.get_env("KHAN_TEST_KEEP").is_none_or(|keep| keep != name) {
                command.env_remove(name);
            }
        }
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        let size = PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let before = format!("{:?}", pair.master.get_termios());
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let keys = pair.master.take_writer().expect("its input");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(some(height), some(width), 0);
        Self { child, master: pair.master, keys, output, screen, raw: Vec::new(), before }
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        let pid = self.child.process_id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        pid.expect("a process id")
    }

    /// Reads what comes within `time`; false when the terminal has ended.
    fn read(&mut self, time: Duration) -> bool {
        match self.output.recv_timeout(time) {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.raw.extend_from_slice(&bytes);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Waits until `shown` holds for the screen's text.
    pub(crate) fn wait(&mut self, what: &str, shown: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !shown(&self.text()) {
            let more = self.read(Duration::from_millis(50));
            assert!(more && start.elapsed() < PATIENCE, "{what} never came; the screen shows:\n{}", self.text());
        }
    }

    /// User and system time of the process so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).expect("it runs");
        let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|i| fields[*i].parse::<f64>().expect("ticks")).sum();
        // USER_HZ, which is 100 on every architecture that Khan is built for.
        ticks / 100.0
    }

    /// Processor time, as a share of one core, and bytes to the terminal a second, while nothing happens for `time`.
    pub(crate) fn idle(&mut self, time: Duration) -> (f64, f64) {
        let (bytes, cpu) = (self.raw.len(), self.cpu_seconds());
        self.watch(time);
        let each = |n: f64| n / time.as_secs_f64();
        (each(self.cpu_seconds() - cpu), each((self.raw.len() - bytes) as f64))
    }

    /// Reads for `time`.
    pub(crate) fn watch(&mut self, time: Duration) {
        let start = Instant::now();
        while let Some(left) = time.checked_sub(start.elapsed())
            && self.read(left.max(Duration::from_millis(1)))
        {}
    }

    /// Waits until the terminal's settings are as they were before the program started.
    pub(crate) fn wait_restored(&mut self) {
        let start = Instant::now();
        while self.settings() != self.before {
            self.read(Duration::from_millis(20));
            assert!(start.elapsed() < PATIENCE, "the terminal's settings were not restored");
        }
    }

    fn settings(&self) -> String {
        format!("{:?}", self.master.get_termios())
    }

    /// Whether the terminal is in raw mode or otherwise changed.
    pub(crate) fn is_changed(&self) -> bool {
        self.settings() != self.before
    }

    /// What the screen shows.
    pub(crate) fn text(&self) -> String {
        self.screen().contents()
    }

    /// The terminal's cells.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Types.
    pub(crate) fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("typing");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    /// Changes the terminal's size.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        let size = PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("resizing");
        self.screen.screen_mut().set_size(some(height), some(width));
    }

    /// Waits for the end; the exit code.
    pub(crate) fn end(&mut self, within: Duration) -> u32 {
        let ended = khan_lab::until("the program in the terminal to end", within, || {
            self.read(Duration::from_millis(20));
            self.child.try_wait().expect("the process can be waited for")
        });
        let Ok(status) = ended else {
            let _ = self.child.kill();
            panic!("it did not end within {within:?}; the screen shows:\n{}", self.text());
        };
        let start = Instant::now();
        while self.read(Duration::from_millis(100)) && start.elapsed() < PATIENCE {}
        status.exit_code()
    }

    /// Waits for the end and for a terminal that is as it was before; the exit code.
    pub(crate) fn end_restored(&mut self) -> u32 {
        let code = self.end(PATIENCE);
        assert!(!self.is_changed(), "the terminal's settings were not restored");
        self.assert_modes_reset();
        code
    }

    /// The last word about every mode that was switched on is that it is off.
    pub(crate) fn assert_modes_reset(&self) {
        let raw = String::from_utf8_lossy(&self.raw);
        let last = |text: &str| raw.rfind(text);
        for (on, off) in [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?2004h", "\x1b[?2004l"), ("\x1b[?25l", "\x1b[?25h")] {
            assert!(last(on).is_some(), "{on:?} was never written");
            assert!(last(off) > last(on), "{off:?} does not follow {on:?}");
        }
        assert!(last("\x1b[?1000h") <= last("\x1b[?1000l"), "mouse events are still reported");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
