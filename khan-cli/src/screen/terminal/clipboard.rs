//! Text to the clipboard: through the terminal, and through a program of this computer, because not every terminal can.

use std::io::Write;
use std::process::{Command, Stdio};

/// The programs that would do it here, the best first; none through ssh, where they would fill a clipboard far away.
fn programs(macos: bool, has: impl Fn(&str) -> bool) -> Vec<&'static [&'static str]> {
    let mut programs: Vec<&'static [&'static str]> = Vec::new();
    if has("SSH_CONNECTION") || has("SSH_TTY") {
        return programs;
    }
    if macos {
        programs.push(&["pbcopy"]);
    }
    if has("WAYLAND_DISPLAY") {
        programs.push(&["wl-copy"]);
    }
    if has("DISPLAY") {
        programs.extend([&["xclip", "-selection", "clipboard"][..], &["xsel", "-ib"]]);
    }
    programs
}

/// The request that makes the terminal put `text` on the clipboard (OSC 52), which also works through ssh.
pub(crate) fn request(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    format!("\x1b]52;c;{encoded}\x07").into_bytes()
}

/// Feeds the text to the first program that is there. Nobody waits for it, and a failure is silent: the terminal was asked
/// as well.
pub(crate) fn feed(text: String) {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let programs = programs(cfg!(target_os = "macos"), has);
    if programs.is_empty() {
        return;
    }
    // A thread of its own, detached: it waits for the program, which leaves no zombie and holds up no runtime that ends.
    std::thread::spawn(move || {
        let silent = |program: &&[&str]| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().ok()
        };
        let Some(mut child) = programs.iter().find_map(silent) else { return };
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(text.as_bytes());
        }
        let _ = child.wait();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_that_of_the_display_and_none_through_ssh() {
        let names = |macos, set: &[&str]| -> Vec<_> {
            programs(macos, |name| set.contains(&name)).iter().map(|program| program[0]).collect()
        };
        assert_eq!(names(false, &["DISPLAY"]), ["xclip", "xsel"]);
        assert_eq!(names(false, &["WAYLAND_DISPLAY", "DISPLAY"]), ["wl-copy", "xclip", "xsel"]);
        assert_eq!(names(true, &[]), ["pbcopy"]);
        assert!(names(false, &[]).is_empty());
        assert!(names(true, &["SSH_TTY"]).is_empty() && names(false, &["DISPLAY", "SSH_CONNECTION"]).is_empty());
    }
}
