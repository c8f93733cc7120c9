//! A real terminal: tmux draws it, presses keys and reports the state it was left in.

use std::time::Duration;

use crate::program::Running;
use crate::{Host, Lab, LabError, Program, Result, until};

const PATIENCE: Duration = Duration::from_secs(90);

/// A private tmux server with one window.
#[derive(Debug)]
pub struct Terminal {
    socket: String,
    _server: Running,
}

impl Terminal {
    /// Runs a shell command in a window of `width` x `height` cells, inside `host` when there is one.
    pub fn open(lab: &Lab, host: Option<&Host>, (width, height): (u16, u16), command: &str) -> Result<Self> {
        let socket = lab.folder().join("tmux").display().to_string();
        // In the foreground, so that it dies with the test.
        let mut server = Program::new("tmux").args(["-f", "/dev/null", "-S", &socket, "-D"]);
        if let Some(host) = host {
            server = server.inside(host);
        }
        let terminal = Self { socket, _server: server.start()? };
        until("tmux to start", PATIENCE, || terminal.tmux(&["list-sessions"]).is_ok().then_some(()))?;
        let (width, height) = (width.to_string(), height.to_string());
        // Where CI is set, khan prints a table instead.
        let command = format!("exec env -u CI {command}");
        terminal.tmux(&["new-session", "-d", "-x", &width, "-y", &height, &command])?;
        Ok(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let ended = Program::new("tmux").args(["-S", &self.socket]).args(arguments).output(PATIENCE)?;
        if ended.code == Some(0) { Ok(ended.stdout) } else { Err(LabError::Malformed(ended.stderr)) }
    }

    /// Types a line and the key Enter.
    pub fn type_line(&self, text: &str) -> Result {
        self.tmux(&["send-keys", "-l", text])?;
        self.press("Enter")
    }

    /// Presses a key, by tmux's name for it.
    pub fn press(&self, key: &str) -> Result {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// The text on its screen.
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits for a screen that `find` accepts.
    pub fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut last = String::new();
        let found = until(what, PATIENCE, || {
            last = self.screen().unwrap_or_default();
            find(&last)
        });
        found.map_err(|error| LabError::Malformed(format!("{error}; the screen is\n{last}")))
    }

    /// Whether the alternate screen is on, and whether the cursor shows.
    pub fn modes(&self) -> Result<(bool, bool)> {
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])?;
        let mut modes = modes.split_whitespace().map(|flag| flag == "1");
        Ok((modes.next().unwrap_or_default(), modes.next().unwrap_or_default()))
    }

    /// Process id of the command.
    pub fn pid(&self) -> Result<u32> {
        let pid = self.tmux(&["display-message", "-p", "#{pane_pid}"])?;
        pid.trim().parse().map_err(|_| LabError::Malformed(format!("tmux says that its window's process is {pid:?}")))
    }
}
