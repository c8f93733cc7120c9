//! Which process has a socket: its number stands among the process's open files, as far as this user may look.

use std::collections::{HashMap, HashSet};
use std::fs::{read_dir, read_link, read_to_string};
use std::io::ErrorKind;
use std::path::Path;

use khan_api::text::printable;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// The processes of sockets.
#[derive(Debug, Default)]
pub(super) struct Processes {
    /// By the socket's inode.
    pub(super) of: HashMap<u32, Process>,
    /// Processes that this user may not look into.
    pub(super) closed: usize,
}

/// Looks for the sockets with these inodes below `proc`. Of several processes that share one, the first by number has it.
pub(super) fn find(proc: &Path, inodes: &HashSet<u32>) -> Processes {
    let mut found = Processes::default();
    let entries = read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        let folder = proc.join(pid.to_string());
        let files = match read_dir(folder.join("fd")) {
            Ok(files) => files,
            Err(error) => {
                // One that has ended meanwhile has no sockets.
                found.closed += usize::from(error.kind() == ErrorKind::PermissionDenied);
                continue;
            }
        };
        let held = files.flatten().filter_map(|file| inode(&read_link(file.path()).ok()?));
        let held: Vec<_> = held.filter(|inode| inodes.contains(inode)).collect();
        if held.is_empty() {
            continue;
        }
        let name = read_to_string(folder.join("comm")).unwrap_or_default();
        let process = Process { pid, name: printable(name.trim_end()).into_owned() };
        for inode in held {
            found.of.entry(inode).or_insert_with(|| process.clone());
        }
    }
    found
}

/// `socket:[4026]`
fn inode(link: &Path) -> Option<u32> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn sockets_are_found_among_open_files() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, name, links) in [
            ("7", "cu\u{1b}rl\n", &["socket:[11]", "/dev/null"][..]),
            ("12", "nginx\n", &["socket:[11]", "socket:[13]"]),
        ] {
            let folder = proc.path().join(pid);
            std::fs::create_dir_all(folder.join("fd")).unwrap();
            std::fs::write(folder.join("comm"), name).unwrap();
            for (number, link) in links.iter().enumerate() {
                symlink(link, folder.join("fd").join(number.to_string())).unwrap();
            }
        }
        std::fs::create_dir(proc.path().join("self")).unwrap();
        let found = find(proc.path(), &HashSet::from([11, 13, 17]));
        let process = |inode| found.of.get(&inode).map(|process| (process.pid, process.name.as_str()));
        assert_eq!([process(11), process(13), process(17)], [Some((7, "cu\u{fffd}rl")), Some((12, "nginx")), None]);
    }
}
