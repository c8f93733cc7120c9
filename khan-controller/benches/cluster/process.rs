//! The controller as a process of its own, and what the kernel says of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts the controller on a free port and waits until it listens.
    pub(crate) fn controller(kubeconfig: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_khan-controller"));
        command.args(["--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig.to_str().unwrap()]);
        // As the image has it.
        command.envs([("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "1")]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended").unwrap();
            if let Some((_, address)) = line.split_once("Listening on ") {
                break address.trim().parse().unwrap();
            }
        };
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| line.contains("WARN") || line.contains("ERROR")) {
                println!("  controller: {line}");
            }
        });
        Self { child, address }
    }

    fn status(&self, field: &str) -> f64 {
        status(&format!("/proc/{}/status", self.child.id()), field)
    }

    /// Resident memory now, in MiB.
    pub(crate) fn rss(&self) -> f64 {
        self.status("VmRSS")
    }

    /// The most resident memory since the start or the last call of [`Process::forget_peak`], in MiB.
    pub(crate) fn peak(&self) -> f64 {
        self.status("VmHWM")
    }

    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// CPU time of all threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(&format!("/proc/{}/stat", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of this program so far: of the API server and the agents.
pub(crate) fn own_cpu() -> Duration {
    cpu("/proc/self/stat")
}

/// A size in `/proc/PID/status`, in MiB.
pub(crate) fn status(path: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().unwrap();
    kib / 1024.0
}

fn cpu(path: &str) -> Duration {
    let text = std::fs::read_to_string(path).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, in hundredths of a second on every Linux that Debian ships.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
