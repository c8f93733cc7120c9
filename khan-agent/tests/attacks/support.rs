//! Clients that behave badly, and what the program takes.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use khan_lab::program::Running;
use khan_lab::{Host, LabError, Program, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// What the image sets (`deploy/images/Dockerfile`).
const IMAGE: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "1")];

/// The agent as it runs in the image.
pub(crate) fn agent(host: &Host, arguments: &[&str]) -> Result<Running> {
    let mut program = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .inside(host);
    for (name, value) in IMAGE {
        program = program.env(name, value);
    }
    program.start()
}

/// Asks for `path` on so many connections, and reads nothing.
pub(crate) fn deaf(host: &Host, agent: SocketAddr, count: usize, path: &str) -> Vec<TcpStream> {
    let ask = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect_timeout(&agent.into(), Duration::from_secs(20))?;
        let mut stream = TcpStream::from(socket);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: n1\r\n\r\n")?;
        Ok::<_, std::io::Error>(stream)
    };
    host.enter(|| (0..count).map(|_| ask().expect("a connection that takes a request")).collect())
}

/// A size in `/proc/PID/status`, in KiB.
pub(crate) fn status(agent: &Running, name: &str) -> Result<u64> {
    let path = format!("/proc/{}/status", agent.pid());
    let status = std::fs::read_to_string(&path).map_err(|error| LabError::Malformed(format!("{path}: {error}")))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.trim().split(' ').next()?.parse().ok());
    line.ok_or_else(|| LabError::Malformed(format!("no {name} in {path}")))
}

/// CPU time of the threads with these names, and how many threads there are.
pub(crate) fn threads(agent: &Running, names: &[&str]) -> Result<(Duration, usize)> {
    let folder = format!("/proc/{}/task", agent.pid());
    let failed = |error: std::io::Error| LabError::Malformed(format!("{folder}: {error}"));
    let (mut ticks, mut count) = (0, 0);
    for thread in std::fs::read_dir(&folder).map_err(failed)? {
        // A thread may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(thread.map_err(failed)?.path().join("stat")) else { continue };
        count += 1;
        let (name, fields) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).expect("(NAME)");
        if names.contains(&name) {
            // The 14th and 15th field: in user space and in the kernel (proc_pid_stat(5)).
            let used = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
            ticks += used.sum::<u64>();
        }
    }
    Ok((Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()), count))
}
