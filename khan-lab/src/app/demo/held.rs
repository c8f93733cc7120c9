//! Keeps the whole demo in a pid namespace: when its first process exits, the kernel kills all others, whatever they do.
//!
//! The process that the user started stays outside. A pipe leads to the first process inside: each byte is a signal that
//! arrived outside, and the pipe closes when the outside process exits, even by SIGKILL. Unlike a parent-death signal, the
//! pipe cannot be set up too late.

use std::env;
use std::io::{PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use khan_lab::{LabError, Result};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Runs `khan-lab demo --pipe PATH` inside, with this process's arguments, and exits with its exit code.
pub(super) fn run() -> Result<ExitCode> {
    khan_lab::ensure_privileges()?;
    let (inside, outside) = std::io::pipe().map_err(LabError::io("cannot make a pipe"))?;
    fcntl_setfd(&inside, FdFlags::empty()).map_err(LabError::io("cannot hand a pipe on"))?;
    // Before the start, so that no signal comes between the two.
    forward_signals(outside)?;
    let own = env::current_exe().map_err(LabError::io("cannot find this program's own file"))?;
    let mut command = in_pid_namespace()?;
    let pipe = format!("--pipe=/proc/self/fd/{}", inside.as_raw_fd());
    command.arg(own).args(["demo", &pipe]).args(env::args_os().skip(2));
    let mut child: Child = command.spawn().map_err(LabError::io("cannot run unshare (util-linux)"))?;
    drop(inside);
    let ended = child.wait().map_err(LabError::io("cannot wait for the demo"))?;
    Ok(code(ended))
}

/// `unshare` into a pid namespace, with a `/proc` to match where the system allows mounting one.
fn in_pid_namespace() -> Result<Command> {
    let mut refusal = String::new();
    for more in [&["--mount-proc"][..], &[]] {
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork"]).args(more).arg("--");
            command
        };
        let trial =
            unshare().arg("true").stdin(Stdio::null()).output().map_err(LabError::io("unshare (util-linux)"))?;
        if trial.status.success() {
            return Ok(unshare());
        }
        refusal = String::from_utf8_lossy(&trial.stderr).into_owned();
    }
    Err(LabError::Missing(format!("the demo needs the right to make a pid namespace: {}", refusal.trim())))
}

/// Writes each terminating signal into the pipe; the second one ends this process, which closes the pipe.
fn forward_signals(mut pipe: PipeWriter) -> Result {
    let failed = || LabError::io("cannot wait for signals");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed())?;
    let inside = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed())?;
    drop(inside);
    thread::spawn(move || {
        runtime.block_on(async {
            let mut asked = false;
            loop {
                let signal = tokio::select! {
                    _ = interrupt.recv() => Signal::INT,
                    _ = terminate.recv() => Signal::TERM,
                    _ = hangup.recv() => Signal::HUP,
                };
                let number = u8::try_from(signal.as_raw()).unwrap_or_default();
                if asked || pipe.write_all(&[number]).is_err() {
                    std::process::exit(of_signal(number).into());
                }
                asked = true;
            }
        });
    });
    Ok(())
}

/// The exit code with which a shell reports a program that was killed by a signal.
pub(super) const fn of_signal(number: u8) -> u8 {
    128u8.saturating_add(number)
}

fn code(ended: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let of_signal = || ended.signal().and_then(|number| u8::try_from(number).ok()).map(of_signal);
    let code = ended.code().and_then(|code| u8::try_from(code).ok()).or_else(of_signal);
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
