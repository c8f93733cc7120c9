//! `khan top` in a real terminal: it draws, it listens, and it gives the terminal back whatever ends it.

#[path = "screen/session.rs"]
mod session;
#[path = "screen/shop.rs"]
mod shop;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "screen/tape.rs"]
mod tape;
#[path = "screen/trouble.rs"]
mod trouble;
#[path = "screen/problems.rs"]
mod problems;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use khan_lab::{binaries, until};
use portable_pty::CommandBuilder;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use session::{Server, Session, many};

const SIZE: (u16, u16) = (80, 24);

fn first() -> khan_api::Snapshot {
    shop::snapshots(0).swap_remove(0)
}

/// A session whose first frame is there.
fn started() -> Session {
    let mut session = Session::top(&Server::start(first()), &[], SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("q quit"));
    session
}

#[test]
fn quitting_leaves_the_terminal_as_it_was() {
    let mut session = started();
    assert!(session.is_changed(), "raw mode was never entered");
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn ctrl_c_ends_it() {
    let mut session = started();
    session.send("\x03");
    assert_eq!(session.end_restored(), 130);
}

#[test]
fn signals_end_it_and_restore_the_terminal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut session = started();
        session.signal(signal);
        assert_eq!(session.end_restored(), code, "{signal:?}");
    }
}

#[test]
fn the_last_screen_can_be_kept() {
    let mut session = started();
    session.send("Q");
    assert_eq!(session.end_restored(), 0);
    let left = session.raw.windows(8).rposition(|bytes| bytes == b"\x1b[?1049l").expect("the screen was left");
    assert!(String::from_utf8_lossy(&session.raw[left..]).contains("shop/checkout"));
}

fn is_stopped(session: &Session) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", session.pid().as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

#[test]
fn suspending_gives_the_terminal_away_and_takes_it_back() {
    for keyed in [true, false] {
        let mut session = started();
        if keyed {
            session.send("\x1a");
        } else {
            session.signal(Signal::TSTP);
        }
        let start = Instant::now();
        while !is_stopped(&session) {
            session.watch(Duration::from_millis(20));
            assert!(start.elapsed() < Duration::from_secs(20), "it never stopped");
        }
        session.wait_restored();
        session.watch(Duration::from_millis(50));
        session.assert_modes_reset();
        session.signal(Signal::CONT);
        session.wait("the screen after the pause", |text| text.contains("shop/checkout") && text.contains("q quit"));
        assert!(session.is_changed(), "raw mode was not entered again");
        session.send("q");
        assert_eq!(session.end_restored(), 0);
    }
}

#[test]
fn a_resized_terminal_is_filled() {
    let mut session = started();
    session.resize(120, 30);
    session.wait("the wide header", |text| text.contains("1 Edges  2 Sources") && text.contains("e export"));
    session.resize(34, 8);
    session.wait("the summary", |text| text.contains("Terminal 34x8, need 40x10"));
    session.resize(80, 24);
    session.wait("the list again", |text| text.contains("DESTINATION") && text.contains("q quit"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

/// No signal tells it: the terminal that closes is not its controlling one.
#[test]
fn it_ends_with_its_terminal() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo-terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other end");
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).expect("a size");
    let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let open = || std::fs::File::options().read(true).write(true).open(&name).expect("its other end");
    let mut command = Command::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--tui", "--agent", &Server::start(first()).url()]);
    command.env("TERM", "xterm").env_remove("CI").stdin(open()).stdout(open()).stderr(open());
    let mut child = command.spawn().expect("khan starts");
    drop(command);
    let (start, patience) = (Instant::now(), Duration::from_secs(20));
    let mut raw = Vec::new();
    while !String::from_utf8_lossy(&raw).contains("quit") {
        let timeout = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&master, PollFlags::IN)], Some(&timeout)).expect("waiting");
        let mut buffer = [0; 4096];
        if ready > 0 {
            let n = rustix::io::read(&master, &mut buffer).expect("reading");
            raw.extend_from_slice(&buffer[..n]);
        }
        assert!(start.elapsed() < patience, "no frame came");
    }
    drop(master);
    let ended = until("khan to end with its terminal", Duration::from_secs(3), || child.try_wait().expect("waiting"));
    if ended.is_err() {
        child.kill().expect("it runs");
    }
    ended.expect("it does not outlive its terminal");
}

#[test]
fn keys_reach_every_part() {
    let mut session = started();
    session.send("/checkout\r");
    session.wait("the filtered list", |text| !text.contains("shop/cart") && text.contains("/checkout"));
    session.send("\x1b");
    session.wait("the whole list", |text| text.contains("shop/cart"));
    session.send("\t");
    session.wait("sources", |text| text.contains("sources") && !text.contains("DESTINATION"));
    session.send("\x1b[Z");
    session.wait("edges", |text| text.contains("DESTINATION"));
    session.send("\r");
    session.wait("the details", |text| text.contains("by source pod") && text.contains("none is left"));
    session.send("q?");
    session.wait("help", |text| text.contains("Help") && text.contains("next row"));
    session.send("qq");
    assert_eq!(session.end_restored(), 0);
}

/// A click with the left button on a cell, counted from 0.
fn click(x: usize, y: usize) -> String {
    format!("\x1b[<0;{};{}M\x1b[<0;{};{}m", x + 1, y + 1, x + 1, y + 1)
}

/// A click on the first `word` of the screen.
fn click_on(session: &Session, word: &str) -> String {
    let text = session.text();
    let place = text.lines().enumerate().find_map(|(y, line)| Some((line[..line.find(word)?].chars().count(), y)));
    let (x, y) = place.unwrap_or_else(|| panic!("{word:?} is not on the screen:\n{text}"));
    click(x, y)
}

/// The line of the screen that holds `word`.
fn line_of(text: &str, word: &str) -> String {
    text.lines().find(|line| line.contains(word)).unwrap_or_default().to_owned()
}

#[test]
fn the_mouse_sorts_switches_and_selects() {
    let mut session = Session::top(&Server::start(first()), &["--mouse"], (120, 30));
    session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("CONNS v"));
    session.send(&click_on(&session, "SOURCE"));
    session.wait("the order by source", |text| text.contains("SOURCE ^") && !text.contains("CONNS v"));
    session.send(&click_on(&session, "SOURCE"));
    session.wait("the other way round", |text| text.contains("SOURCE v"));
    session.send(&click_on(&session, "web/frontend"));
    session.wait("the row that was clicked on", |text| line_of(text, "web/frontend").starts_with('>'));
    session.send(&click_on(&session, "4 Nodes"));
    session.wait("the nodes", |text| text.contains("FULL IN"));
    session.send(&click_on(&session, "1 Edges"));
    session.wait("the edges", |text| line_of(text, "shop/checkout ").contains("data/postgres-main"));
    session.send(&click_on(&session, "shop/checkout"));
    session.wait("the other row", |text| line_of(text, "shop/checkout").starts_with('>'));
    session.send(&click_on(&session, "shop/checkout"));
    session.wait("the row, opened", |text| text.contains("by source pod") && text.contains("n next edge"));
    session.send(&click_on(&session, "checkout-6d9f7c-8vq2m"));
    session.wait("a pod that was clicked on", |text| line_of(text, "-8vq2m").trim_start().starts_with('>'));
    session.send(&click_on(&session, "2 Sources"));
    session.wait("the sources", |text| !text.contains("n next edge") && !text.contains("DESTINATION"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn eighty_columns_keep_the_views_and_names_never_scroll_away() {
    let mut session = started();
    let views = "1 Edges  2 Sources  3 Dests  4 Nodes  5 External  6 Problems(1)  7 Agents";
    assert!(session.text().contains(views), "{}", session.text());
    session.resize(60, 15);
    session.wait("more columns at the right", |text| line_of(text, "SOURCE").ends_with('›'));
    session.send("\x1b[C\x1b[C");
    session.wait("other columns beside the names", |text| {
        let heads = line_of(text, "SOURCE");
        heads.contains("DESTINATION")
            && heads.contains('‹')
            && !heads.contains("CONNS")
            && text.contains("shop/checkout")
    });
    session.resize(120, 30);
    session.wait("everything", |text| line_of(text, "SOURCE").contains("CONNS v") && text.contains("TREND"));
    session.resize(60, 15);
    session.wait("the same columns again", |text| {
        let heads = line_of(text, "SOURCE");
        heads.contains('‹') && !heads.contains("CONNS")
    });
    session.send("\x1b[D\x1b[D");
    session.wait("the first columns", |text| line_of(text, "SOURCE").contains("CONNS v"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn a_resize_keeps_the_row_the_order_and_the_place() {
    let mut session = Session::top(&Server::start(many(200)), &[], SIZE);
    session.wait("the first row", |text| text.contains("app-199"));
    session.send("S\x1b[6~\x1b[6~j");
    session.wait("a row far down", |text| text.lines().any(|line| line.starts_with('>')));
    let row = line_of(&session.text(), "> ").split_whitespace().nth(1).unwrap_or_default().to_owned();
    for size in [(120, 30), (45, 11), (160, 50), SIZE] {
        session.resize(size.0, size.1);
        session.wait("the same row in the same order", |text| {
            text.lines().any(|line| line.starts_with('>') && line.contains(row.trim_end_matches('…')))
                && text.contains("SOURCE ^")
                && text.lines().count() >= usize::from(size.1) - 1
        });
    }
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn details_stand_below_the_list_without_a_key_and_follow_the_cursor() {
    let mut session = started();
    let details = |text: &str, row: &str| text.lines().any(|line| line.starts_with("──") && line.contains(row));
    session.wait("the first row's", |text| details(text, "shop/checkout -> data/postgres-main:5432"));
    assert!(session.text().contains("by source pod") && session.text().contains("by state"), "{}", session.text());
    session.send("jj");
    session.wait("the next row's", |text| details(text, "shop/cart -> data/redis:6379"));
    session.send("d");
    session.wait("none", |text| !text.contains("by state"));
    session.send("d");
    session.wait("them again", |text| text.contains("by state"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn what_is_typed_is_completed_judged_and_remembered() {
    let mut session = started();
    session.send("/ds\t");
    session.wait("the names there are", |text| text.contains("/dst:") && text.contains("data/postgres-main  "));
    session.send("post\t\r");
    session.wait("the filtered list", |text| !text.contains("shop/cart") && text.contains("q quit"));
    session.send("\x1b");
    session.wait("the whole list", |text| text.contains("shop/cart"));
    session.send("/src~^check or prot:x");
    session.wait("the place", |text| {
        text.contains("              ^^^^^^ there is no field \"prot\" (did you mean proto?)")
    });
    session.send("\x7f\x7f\x7f\x7f\x7f\x7fdst:redis");
    session.wait("what either finds", |text| text.contains("shop/checkout") && !text.contains("batch/etl"));
    session.send("\x1b");
    session.wait("the keys of the list", |text| text.contains("q quit"));
    session.send("/\x1b[A");
    session.wait("the line before", |text| text.contains("/dst:data/postgres-main"));
    session.send("\x1b");
    session.wait("the keys of the list", |text| text.contains("q quit"));
    session.send(":?");
    session.wait("the commands", |text| text.contains("group-by WORDS, group"));
    session.send("q:colums\r");
    session.wait("the nearest", |text| text.contains("did you mean :columns?"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn an_export_asks_for_its_name_and_before_it_overwrites() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--agent", &Server::start(first()).url()]);
    command.cwd(folder.path());
    let mut session = Session::start(command, SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout"));
    session.send("e\r");
    session.wait("a name", |text| text.contains("Write to: khan-edges-2"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "written unasked");
    session.send("\x15mine.json\r");
    session.wait("the file", |text| text.contains("written: ") && text.contains("mine.json"));
    let file = folder.path().join("mine.json");
    std::fs::write(&file, "precious").expect("a file");
    session.send("e\r\x15mine.json\r");
    session.wait("the question", |text| text.contains("mine.json is there already: Enter overwrites it"));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "precious");
    session.send("\r");
    session.wait("the file", |text| text.contains("written: "));
    assert!(std::fs::read_to_string(&file).expect("a file").contains("ConnectionList"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn saved_views_are_a_command_a_menu_and_a_key() {
    let mut config = tempfile::NamedTempFile::new().expect("a file");
    let views = "views:\n  redis: {key: F2, view: sources, filter: 'dst:redis or dst:nothing', columns: [source, conns]}\n  \
                 all: {view: edges, filter: '', sort-by: source}\n";
    config.write_all(views.as_bytes()).expect("a file");
    let config = config.path().to_str().expect("UTF-8");
    let mut session = Session::top(&Server::start(first()), &["--config", config], SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("q quit"));
    let redis = |text: &str| {
        text.contains("shop/cart")
            && !text.contains("shop/checkout")
            && !text.contains("DESTINATION")
            && !text.contains("FLAGS")
    };
    session.send("\x1bOQ");
    session.wait("the view behind the key", redis);
    session.send("v");
    session.wait("the menu", |text| text.contains("Saved views") && text.contains("F2  view sources"));
    session.send("\r");
    // What it does not name stays: the columns.
    session.wait("the first of them", |text| text.contains("shop/checkout") && text.contains("SOURCE ^"));
    session.send(":view re\t\r");
    session.wait("the view by its name", redis);
    session.send(":view redos\r");
    session.wait("the nearest", |text| text.contains("did you mean redis?"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

/// What is shown gets a name, which is in the configuration file and known at once and the next time.
#[test]
fn a_view_is_saved_from_the_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("khan/config.yaml");
    let server = Server::start(first());
    let start = || {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
        command.args(["top", "--agent", &server.url()]);
        command.env("XDG_CONFIG_HOME", folder.path());
        let mut session = Session::start(command, SIZE);
        session.wait("the first row", |text| text.contains("shop/checkout"));
        session
    };
    let redis = |text: &str| text.contains("shop/cart") && !text.contains("shop/checkout");
    let mut session = start();
    session.send("2:filter dst:redis\r");
    session.wait("the filter", redis);
    session.send(":save slow\r");
    session.wait("the file", |text| text.contains("saved: :view slow shows it"));
    assert_eq!(
        std::fs::read_to_string(&file).expect("it was written"),
        "views:\n  slow: {view: sources, namespace: \"*\", group-by: src, filter: \"dst:redis\", window: \"5m\", sort-by: conns}\n"
    );
    session.send(":filter\r1");
    session.wait("everything", |text| text.contains("shop/checkout"));
    session.send(":view sl\t\r");
    session.wait("the view", redis);
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    std::fs::write(&file, format!("# mine\n{}", std::fs::read_to_string(&file).expect("a file"))).expect("a file");
    let mut session = start();
    session.send(":view slow\r");
    session.wait("the view", redis);
    session.send(":filter dst:opensearch\r:save slow\r");
    session.wait("the file", |text| text.contains("saved: :view slow shows it"));
    let text = std::fs::read_to_string(&file).expect("a file");
    assert!(text.starts_with("# mine\nviews:\n  slow: {") && text.contains("filter: \"dst:opensearch\""), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

/// `khan top --remember` with this folder for its state.
fn remembering(server: &Server, state: &std::path::Path, more: &[&str]) -> Session {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--remember", "--agent", &server.url()]);
    command.args(more);
    command.env("XDG_STATE_HOME", state);
    let mut session = Session::start(command, SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout"));
    session
}

#[test]
fn a_context_is_shown_as_it_was_left() {
    use std::os::unix::fs::PermissionsExt;
    let (server, folder) = (Server::start(first()), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("khan/screen.json");
    let mut session = remembering(&server, folder.path(), &[]);
    session.send("2");
    session.wait("sources", |text| !text.contains("DESTINATION"));
    session.send(":sort-by -source\r:columns source,conns\r");
    session.wait("other columns", |text| !text.contains("FLAGS"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    assert_eq!(std::fs::metadata(&file).expect("it was written").permissions().mode() & 0o777, 0o600);

    let as_left = |text: &str| !text.contains("DESTINATION") && !text.contains("FLAGS") && text.contains("q quit");
    let mut session = remembering(&server, folder.path(), &[]);
    session.wait("the screen as it was left", as_left);
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    let mut session = remembering(&server, folder.path(), &["--columns", "source,flags"]);
    session.wait("what this command line says", |text| text.contains("FLAGS") && !text.contains("DESTINATION"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);

    // A damaged file is said, left alone, and ends nothing.
    std::fs::write(&file, "{").expect("a file");
    let mut session = remembering(&server, folder.path(), &[]);
    session.wait("the usual screen", |text| text.contains("DESTINATION") && text.contains("q quit"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    assert!(String::from_utf8_lossy(&session.raw).contains("screen.json is damaged"));
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "{");
}

#[test]
fn without_colour_no_colour_is_written() {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--agent", &Server::start(first()).url()]);
    command.env("NO_COLOR", "1");
    command.env("KHAN_TEST_KEEP", "NO_COLOR");
    let mut session = Session::start(command, SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout"));
    session.send("jq");
    assert_eq!(session.end_restored(), 0);
    let raw = String::from_utf8_lossy(&session.raw);
    assert!(!raw.contains("]11;"), "the background was asked for");
    for sequence in raw.split('\x1b').filter_map(|rest| rest.strip_prefix('[')) {
        let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else { continue };
        let (codes, kind) = sequence.split_at(end);
        let coloured = |code: &str| code.parse::<u8>().is_ok_and(|n| matches!(n, 30..=38 | 40..=48 | 90..=107));
        assert!(!kind.starts_with('m') || !codes.split([';', ':']).any(coloured), "{codes:?} sets a colour");
    }
}

#[test]
fn nothing_but_text_goes_into_a_pipe() {
    let output = Command::new(env!("CARGO_BIN_EXE_khan"))
        .args(["top", "--agent", &Server::start(first()).url()])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .expect("khan runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success() && text.contains("shop/checkout"), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
}

/// Four thousand rows, nothing happens: it must cost nothing worth mentioning. The benchmark `terminal` measures a minute of
/// an optimised build.
#[test]
fn idling_is_cheap() {
    let mut session = Session::top(&Server::start(many(4_000)), &[], SIZE);
    session.wait("the first row", |text| text.contains("app-3999"));
    session.watch(Duration::from_secs(3));
    let (cpu, written) = session.idle(Duration::from_secs(15));
    println!("idle: {:.2} % of a core, {written:.0} bytes/s to the terminal", cpu * 100.0);
    assert!(written < 1024.0, "{written:.0} bytes/s");
    // An unoptimised build on a busy machine; an optimised one stays below 1 %.
    assert!(cpu < if cfg!(debug_assertions) { 0.04 } else { 0.01 }, "{:.2} % of a core", cpu * 100.0);
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn the_first_answer_is_drawn() {
    let server = Server::start(first());
    let mut session = Session::top(&server, &[], SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout"));
    println!("first frame {:?} after the first answer", server.since_answer());
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn an_agent_that_goes_is_said_and_one_that_comes_back_too() {
    let server = Server::start(first());
    let mut session = Session::top(&server, &["--interval", "1s"], (120, 30));
    session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("agents 1/1"));
    server.set_away(true);
    session.wait("the trouble", |text| text.contains("agents 0/1 (1 stale)") && text.contains("! node-03: "));
    assert!(session.text().contains("shop/checkout"), "what was known is gone");
    server.set_away(false);
    session.wait("the recovery", |text| text.contains("agents 1/1 │") && !text.contains("! node-03: "));
    session.send("E");
    session.wait("the log", |text| text.contains("Errors · 0 last") && text.contains("over after"));
    session.send("qq");
    assert_eq!(session.end_restored(), 0);
}

/// A plugin that keeps its login in the file `$0`. Without one it asks where it may talk to the user, and fails where it
/// may not.
const LOGIN: &str = r#"if ! [ -s "$0" ]; then
    [ -t 0 ] || exit 1
    printf 'Password: ' > /dev/tty; read token; echo "$token" > "$0"
fi
read token < "$0"; echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'$token'"}}'"#;

/// A kubeconfig whose context `prod` logs in with [`LOGIN`], and `staging` with a token.
fn kubeconfig(server: &Server, login: &str) -> tempfile::NamedTempFile {
    let exec = serde_json::json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", LOGIN, login], "interactiveMode": "IfAvailable"});
    let context = |name: &str| serde_json::json!({"name": name, "context": {"cluster": "c", "user": name}});
    let config = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "prod",
        "clusters": [{"name": "c", "cluster": {"server": server.url()}}],
        "users": [{"name": "prod", "user": {"exec": exec}}, {"name": "staging", "user": {"token": "second"}}],
        "contexts": [context("prod"), context("staging")]});
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(config.to_string().as_bytes()).expect("a file");
    file
}

#[test]
fn an_expired_login_is_renewed_on_the_ordinary_screen() {
    let server = Server::start(first());
    let login = tempfile::NamedTempFile::new().expect("a file");
    let config = kubeconfig(&server, login.path().to_str().expect("UTF-8"));
    let folder = tempfile::tempdir().expect("a folder");
    let recording = folder.path().join("both.khan");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["top", "--connect", "proxy", "--kubeconfig"]);
    command.arg(config.path());
    command.arg("--record");
    command.arg(&recording);
    server.know("first");
    let mut session = Session::start(command, (120, 30));
    session.wait("the login", |text| text.contains("Password: "));
    session.send("first\n");
    session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("ctx prod"));
    session.send("2/shop\r");
    login.as_file().set_len(0).expect("an empty file");
    server.know("second");
    session.wait("the banner", |text| text.contains("credentials expired: press Enter to log in again"));
    session.send("\r");
    session.wait("the login on the ordinary screen", |text| text.matches("Password: ").count() == 2);
    session.wait_restored();
    session.assert_modes_reset();
    session.send("second\n");
    session.wait("the screen with its view and filter", |text| {
        text.contains("shop/checkout") && text.contains("sources") && text.contains("/shop") && text.contains("LIVE")
    });
    session.send(":ctx nowhere\r");
    session.wait("the contexts there are", |text| text.contains("\"nowhere\": prod, staging"));
    session.send(":ctx staging\r");
    session.wait("the other context", |text| text.contains("ctx staging") && text.contains("shop/checkout"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    // One recording of all three connections.
    let recorded = khan_cli::sources::recording::survey(&recording).expect("a recording");
    let contexts: Vec<_> = recorded.contexts.iter().map(ToString::to_string).collect();
    assert_eq!((contexts, recorded.lost), (vec!["prod".to_owned(), "staging".to_owned()], None));
    assert!(recorded.rounds >= 3, "{}", recorded.rounds);
}

#[test]
fn configured_keys_work_and_help_shows_them() {
    let mut config = tempfile::NamedTempFile::new().expect("a file");
    config.write_all(b"keys: {quit: [x], pause: [F5, V]}\n").expect("a file");
    let config = config.path().to_str().expect("UTF-8");
    let mut session = Session::top(&Server::start(first()), &["--config", config], SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("x quit"));
    session.send("qV");
    session.wait("the pause", |text| text.contains("PAUSED"));
    session.send("?G/resume\r");
    session.wait("its keys", |text| text.contains("F5 V") && text.contains("pause or resume"));
    session.send("xx");
    assert_eq!(session.end_restored(), 0);
}

/// What a terminal with this background answers to the questions for background and attributes.
fn background(colour: &str) -> String {
    format!("\x1b]11;{colour}\x1b\\\x1b[?62;22c")
}

#[test]
fn the_background_chooses_the_theme() {
    for (colour, next) in [("rgb:ffff/fafa/f0f0", "theme dark"), ("rgb:1010/1010/2020", "theme cvd")] {
        let mut session = Session::top(&Server::start(first()), &[], SIZE);
        // Typed ahead, so that however slow the machine is, the answer is there when it is asked for.
        session.send(&background(colour));
        session.wait("the first row", |text| text.contains("shop/checkout") && text.contains("q quit"));
        session.send("T");
        session.wait("the theme after the one that was chosen", |text| text.contains(next));
        session.send("q");
        assert_eq!(session.end_restored(), 0);
    }
}

#[test]
fn a_terminal_that_answers_late_or_never_is_no_trouble() {
    let mut session = started();
    assert!(String::from_utf8_lossy(&session.raw).contains("\x1b]11;?\x1b\\"), "it was never asked");
    session.send("2");
    session.wait("sources", |text| text.contains("sources") && !text.contains("DESTINATION"));
    // Taken for keys, this would show other views and open the command line.
    session.send(&background("rgb:3131/4242/5353"));
    session.send("T");
    session.wait("a key after it, in the theme of before", |text| text.contains("theme light"));
    session.send("?");
    session.wait("help of the same view", |text| text.contains("Help · Sources view"));
    session.send("qq");
    assert_eq!(session.end_restored(), 0);
}

#[test]
fn a_chosen_theme_asks_nothing() {
    let mut session = Session::top(&Server::start(first()), &["--theme", "cvd"], SIZE);
    session.wait("the first row", |text| text.contains("shop/checkout"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
    assert!(!String::from_utf8_lossy(&session.raw).contains("]11;"), "the background was asked for");
}

/// `examples/troubled_screen.rs` in a terminal.
fn troubled(how: &str) -> Session {
    let mut command = CommandBuilder::new(binaries::helper("troubled_screen").expect("the program"));
    command.arg(how);
    Session::start(command, SIZE)
}

#[test]
fn a_panic_anywhere_restores_the_terminal_before_it_is_told() {
    for name in ["task-panics", "panics"] {
        let mut session = troubled(name);
        if name == "task-panics" {
            session.wait("the screen", |text| text.contains("q quit"));
            session.signal(Signal::USR1);
        }
        assert_ne!(session.end_restored(), 0, "{name}");
        let raw = String::from_utf8_lossy(&session.raw);
        let (left, told) = (raw.find("\x1b[?1049l"), raw.find("on purpose"));
        assert!(left.is_some() && told > left, "{name}: the message was written to the screen that goes away:\n{raw}");
    }
}

#[test]
fn an_error_restores_the_terminal_before_it_is_told() {
    let mut session = troubled("errs");
    assert_ne!(session.end_restored(), 0);
    let raw = String::from_utf8_lossy(&session.raw);
    assert!(raw.find("on purpose") > raw.find("\x1b[?1049l"), "{raw}");
}

#[test]
fn a_source_that_never_pauses_does_not_keep_the_screen_from_being_drawn() {
    let mut session = troubled("flooded");
    session.wait("the screen", |text| text.contains("q quit"));
    session.send("?");
    session.wait("the help", |text| text.contains("half a page down"));
    session.send("\x1b");
    session.wait("the screen again", |text| !text.contains("half a page down"));
    session.send("q");
    assert_eq!(session.end_restored(), 0);
}

/// Waiting for a verdict says how long, and Ctrl-C gives the one that there is.
#[test]
fn leaks_count_down_and_ctrl_c_prints_what_is_known() {
    let agent = Server::start(first());
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_khan"));
    command.args(["leaks", "--agent", &agent.url(), "--window", "10m"]);
    // When the leader of a terminal's session exits, the kernel drops what nobody has read yet (`tty_ldisc_hangup`). Usually
    // that is a shell, which outlives khan.
    command.set_controlling_tty(false);
    let mut session = Session::start(command, SIZE);
    session.wait("the countdown", |text| text.contains("s left, 1 snapshot, 0 likely, 0 watch"));
    session.signal(Signal::INT);
    assert_eq!(session.end(Duration::from_secs(10)), 130);
    let text = session.text();
    assert!(text.contains("No leaks found in 1 snapshot") && !text.contains("s left"), "{text}");
    assert!(text.contains("rule: ") && text.contains("--leak-growth"), "{text}");
}
