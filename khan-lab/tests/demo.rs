//! The demo as a user starts it, and what it leaves behind.

use std::time::Duration;

use khan_lab::{Lab, Program, Result, binaries, until};
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_mins(2);
const MARK: &str = "KHAN_DEMO_TEST_MARK";

/// Processes that inherited the mark.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}\0");
    std::fs::read_dir("/proc")
        .expect("proc")
        .flatten()
        .filter(|process| {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&wanted)
        })
        .map(|process| process.path().display().to_string())
        .collect()
}

fn demo(lab: &Lab, mark: &str) -> Result<Program> {
    // Its own folder of files, so that what it leaves there can be seen.
    let files = lab.folder().join("tmp");
    std::fs::create_dir_all(&files).expect("a folder of ours");
    // Built here, so that the demo does not wait for a compiler.
    for name in ["khan", "khan-agent", "khan-controller"] {
        binaries::path(name)?;
    }
    let built = binaries::path("khan-lab")?;
    let folder = built.parent().expect("a file in a folder");
    let demo = Program::new(&built).args(["demo", "--once"]).env(binaries::BIN_FOLDER, folder);
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
    assert_eq!(marked(&mark), Vec::<String>::new());
    Ok(())
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
            assert_eq!(running.wait(Duration::from_secs(20))?.code(), code, "{stage}: {}", running.log());
            until("every process to be gone", Duration::from_secs(10), || marked(&mark).is_empty().then_some(()))?;
        }
    }
    Ok(())
}
