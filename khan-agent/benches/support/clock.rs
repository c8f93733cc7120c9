//! CPU time, and ratios of it. Other work shares the machine, so what is compared is measured in turns and its ratio is
//! taken in every turn.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// CPU time of the calling thread while it works, in user space and in the kernel: `getrusage(RUSAGE_THREAD)`, finer.
pub(crate) fn cpu<E>(work: impl FnOnce() -> Result<(), E>) -> Result<Duration, E> {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    };
    let before = now();
    work()?;
    Ok(now().saturating_sub(before))
}

/// CPU time of a single-threaded program from its start to its end; its output is thrown away.
pub(crate) fn cpu_of(command: &mut Command) -> io::Result<Duration> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = child.id();
    let id = Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    // Its numbers can be read between its end and the moment when it is collected.
    waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let schedstat = std::fs::read_to_string(format!("/proc/{pid}/schedstat"));
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("{command:?} ended with {status}")));
    }
    let nanos = schedstat?.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("/proc/PID/schedstat holds no number"))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of the ratios of each turn.
pub(crate) fn ratio(some: &[Duration], of: &[Duration]) -> f64 {
    median(some.iter().zip(of).map(|(some, of)| some.as_secs_f64() / of.as_secs_f64()).collect())
}

/// What the fastest turn of `some` took beyond that of `less`, in nanoseconds for each of `count` things. Other work on
/// the machine only adds to a turn.
pub(crate) fn nanos_each(some: &[Duration], less: &[Duration], count: f64) -> f64 {
    let least = |times: &[Duration]| times.iter().min().map_or(0.0, Duration::as_secs_f64);
    (least(some) - least(less)) * 1e9 / count
}
