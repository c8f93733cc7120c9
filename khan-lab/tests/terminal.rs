//! `khan top` on the demo in a real terminal: tmux draws it, presses keys and says what state it was left in.

use std::time::Duration;

use khan_lab::program::Running;
use khan_lab::{Lab, Program, Result, binaries, until};

const PATIENCE: Duration = Duration::from_secs(90);

/// A tmux server of our own with one window.
struct Terminal {
    socket: String,
    _server: Running,
}

impl Terminal {
    fn open(lab: &Lab, width: u16, height: u16) -> Result<Self> {
        let socket = lab.folder().join("tmux").display().to_string();
        // In the foreground, so that it dies with the test.
        let server = Program::new("tmux").args(["-f", "/dev/null", "-S", &socket, "-D"]).start()?;
        let terminal = Self { socket, _server: server };
        until("tmux to start", PATIENCE, || terminal.tmux(&["list-sessions"]).is_ok().then_some(()))?;
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&[
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            &height,
            // Where CI is set, khan prints a table instead.
            "env -u CI PS1='$ ' LC_ALL=C.UTF-8 bash --norc",
        ])?;
        Ok(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let ended = Program::new("tmux").args(["-S", &self.socket]).args(arguments).output(PATIENCE)?;
        if ended.code == Some(0) { Ok(ended.stdout) } else { Err(khan_lab::LabError::Malformed(ended.stderr)) }
    }

    fn type_line(&self, text: &str) -> Result {
        self.tmux(&["send-keys", "-l", text])?;
        self.press("Enter")
    }

    fn press(&self, key: &str) -> Result {
        self.tmux(&["send-keys", key]).map(drop)
    }

    fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut last = String::new();
        let found = until(what, PATIENCE, || {
            last = self.screen().unwrap_or_default();
            find(&last)
        });
        found.map_err(|error| khan_lab::LabError::Malformed(format!("{error}; the screen is\n{last}")))
    }

    /// Whether the alternate screen is on, and whether the cursor shows.
    fn modes(&self) -> Result<(bool, bool)> {
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])?;
        let mut modes = modes.split_whitespace().map(|flag| flag == "1");
        Ok((modes.next().unwrap_or_default(), modes.next().unwrap_or_default()))
    }
}

/// Connections in the first row below the table's header, when that row is the leak.
fn leak_on_top(screen: &str) -> Option<u64> {
    let mut rows = screen.lines().skip_while(|line| !(line.contains("SOURCE") && line.contains("CONNS"))).skip(1);
    let row = rows.next()?;
    let after = row.split_once("shop/checkout")?.1.split_once("data/postgres")?.1;
    // The port stands before the count.
    let numbers = after.split_whitespace().filter_map(|word| word.replace(',', "").parse().ok());
    numbers.into_iter().find(|number| *number != 5432)
}

#[test]
fn the_leaker_is_on_top_and_rises_and_quitting_gives_the_terminal_back() -> Result {
    let lab = Lab::new()?;
    let program = binaries::path("khan-lab")?;
    // The demo looks for the others beside itself.
    for name in ["khan", "khan-agent", "khan-controller"] {
        binaries::path(name)?;
    }
    let terminal = Terminal::open(&lab, 120, 30)?;
    let (before, after) = (lab.folder().join("before"), lab.folder().join("after"));
    terminal.type_line(&format!("stty -a > {}", before.display()))?;
    let folder = program.parent().expect("a file in a folder").display();
    terminal.type_line(&format!(
        "{}={folder} {} demo; stty -a > {}; echo ended with $?",
        binaries::BIN_FOLDER,
        program.display(),
        after.display()
    ))?;
    let first = terminal.wait_for("the leak on top", |screen| leak_on_top(screen).filter(|count| *count > 8))?;
    assert!(terminal.modes()?.0, "the alternate screen");
    terminal.wait_for("the leak to rise", |screen| leak_on_top(screen).filter(|count| *count >= first + 5))?;
    terminal.press("q")?;
    terminal.wait_for("the end", |screen| screen.contains("ended with 0").then_some(()))?;
    assert_eq!(terminal.modes()?, (false, true), "the usual screen and a cursor");
    let read = |path| std::fs::read_to_string(path).expect("written by stty");
    assert_eq!(read(&before), read(&after));
    Ok(())
}
