//! The demo as a user starts it, and what it leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use khan_lab::{Lab, LabError, Program, Result, binaries, until};
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_mins(2);
/// The kernel ends a pid namespace within milliseconds; this is for the machine that does something else first.
const GONE: Duration = Duration::from_mins(1);
const MARK: &str = "KHAN_DEMO_TEST_MARK";

/// Command lines of the processes that inherited the mark.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}\0");
    let read = |process: &Path, file: &str| {
        String::from_utf8_lossy(&std::fs::read(process.join(file)).unwrap_or_default()).into_owned()
    };
    let processes = std::fs::read_dir("/proc").expect("proc").flatten().map(|process| process.path());
    let ours = processes.filter(|process| read(process, "environ").contains(&wanted));
    ours.map(|process| format!("{} {}", process.display(), read(&process, "cmdline").replace('\0', " "))).collect()
}

/// Waits until no process has the mark; an error names those that do.
fn all_gone(mark: &str, after: &str) -> Result {
    let mut left = Vec::new();
    let gone = until("every process to be gone", GONE, || {
        left = marked(mark);
        left.is_empty().then_some(())
    });
    gone.map_err(|error| LabError::Malformed(format!("{after}: {error}; left are\n{}", left.join("\n"))))
}

fn demo(lab: &Lab, mark: &str) -> Result<Program> {
    demo_with(lab, mark, "--once")
}

fn demo_with(lab: &Lab, mark: &str, how: &str) -> Result<Program> {
    // Its own folder of files, so that what it leaves there can be seen.
    let files = lab.folder().join("tmp");
    std::fs::create_dir_all(&files).expect("a folder of ours");
    // Built here, so that the demo does not wait for a compiler.
    for name in ["khan", "khan-agent", "khan-controller"] {
        binaries::path(name)?;
    }
    let built = binaries::path("khan-lab")?;
    let folder = built.parent().expect("a file in a folder");
    let demo = Program::new(&built).args(["demo", how]).env(binaries::BIN_FOLDER, folder);
    Ok(demo.env(MARK, mark).env("TMPDIR", files))
}

#[test]
fn once_prints_the_leak_first_and_leaves_nothing() -> Result {
    let lab = Lab::new()?;
    let mark = format!("once-{}", std::process::id());
    let ended = demo(&lab, &mark)?.output(PATIENCE)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut lines = ended.stdout.lines();
    let header = lines.next().unwrap_or_default();
    assert!(header.contains("SOURCE") && header.contains("DESTINATION"), "{ended:?}");
    let first = lines.next().unwrap_or_default();
    assert!(first.contains("shop/checkout") && first.contains("data/postgres"), "{}", ended.stdout);
    for edge in [("shop/cart", "shop/web"), ("shop/cart", "data/redis"), ("shop/web", "data/postgres")] {
        let shown = ended.stdout.lines().any(|line| line.contains(edge.0) && line.contains(edge.1));
        assert!(shown, "{edge:?} is not in\n{}", ended.stdout);
    }
    for (kind, says) in [
        ("unanswered", "shop/mailer gets no answer from "),
        ("stalled", "shop/uploader"),
        ("limit", "data/redis: 5 of 6 connections, shop/cart holds all of them"),
        ("snat", "node-1 uses 10 of 12 ports of "),
        ("dead-backend", "3 of 3 connections from shop/cart to data/sessions:11211 still go to data/sessions-0"),
        (
            "dead-backend",
            "2 of 2 connections from shop/web to monitoring/statsd:8125/udp still go to monitoring/statsd-",
        ),
        ("churn", "shop/sync opens and closes "),
        ("imbalance", "3 endpoints, 22 connections: 21 on search-0, 1 on search-1, none on search-2"),
    ] {
        let told = ended.stdout.lines().any(|line| line.contains(kind) && line.contains(says));
        assert!(told, "{kind}: {says} is not in\n{}", ended.stdout);
    }
    assert_eq!(marked(&mark), Vec::<String>::new());
    Ok(())
}

/// The leaker's connections are in eBPF maps only, and its node's agent is the one that counts them.
#[test]
fn a_leak_that_only_an_ebpf_map_has_is_seen() -> Result {
    let lab = Lab::new()?;
    let mark = format!("cilium-{}", std::process::id());
    let ended = demo(&lab, &mark)?.args(["--cilium"]).output(PATIENCE)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let first = ended.stdout.lines().nth(1).unwrap_or_default();
    assert!(first.contains("shop/checkout") && first.contains("data/postgres"), "{}", ended.stdout);
    all_gone(&mark, "the end")
}

#[test]
fn a_signal_at_any_time_leaves_nothing() -> Result {
    let lab = Lab::new()?;
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::TERM, Some(143)), (Signal::KILL, None)] {
        for stage in ["Building", "Starting", "Waiting"] {
            let mark = format!("{}-{stage}-{}", signal.as_raw(), std::process::id());
            let mut running = demo(&lab, &mark)?.start()?;
            running.wait_for_line(stage, PATIENCE, |line| line.contains(stage).then_some(()))?;
            running.signal(signal)?;
            assert_eq!(running.wait(PATIENCE)?.code(), code, "{stage}: {}", running.log());
            all_gone(&mark, &format!("{signal:?} while {stage}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_kill_among_the_starts_of_programs_leaves_nothing() -> Result {
    let lab = Lab::new()?;
    for started in [1, 4, 8, 12, 16, 20] {
        let mark = format!("started-{started}-{}", std::process::id());
        let mut running = demo(&lab, &mark)?.start()?;
        until(&format!("{started} processes of the demo"), PATIENCE, || {
            (marked(&mark).len() >= started).then_some(())
        })?;
        running.signal(Signal::KILL)?;
        running.wait(PATIENCE)?;
        all_gone(&mark, &format!("SIGKILL with {started} processes running"))?;
    }
    Ok(())
}

#[test]
fn what_a_program_of_the_demo_leaves_behind_ends_with_it() -> Result {
    let lab = Lab::new()?;
    let mark = format!("daemon-{}", std::process::id());
    // In a session of its own, with no parent that could be told of, and no wish to die.
    let shell = lab.file("shell", "#!/bin/sh\ntrap '' HUP TERM INT\nsetsid tail -f /dev/null >/dev/null 2>&1 &\n")?;
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).expect("a file of ours");
    let ended = demo_with(&lab, &mark, "--shell")?.env("SHELL", &shell).output(PATIENCE)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    all_gone(&mark, "the end of the shell")
}
