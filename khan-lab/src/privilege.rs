//! Checks whether this process may create network namespaces, and if not, re-executes it in a user namespace where it may.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use crate::{LabError, Result};

/// Set in the process that was started inside the user namespace, so that it never tries again.
const INSIDE: &str = "KHAN_LAB_USER_NAMESPACE";

/// Returns once namespaces can be created; replaces this process with one in a user namespace if needed.
pub fn ensure() -> Result {
    static RAISED: OnceLock<()> = OnceLock::new();
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
    let have = capabilities(None).map_err(LabError::io("cannot read this process's capabilities"))?;
    if have.effective.contains(needed) {
        RAISED.get_or_init(raise_open_files);
        return Ok(());
    }
    if env::var_os(INSIDE).is_some() {
        return Err(LabError::Missing(
            "the user namespace gives neither CAP_NET_ADMIN nor CAP_SYS_ADMIN: run this as root".into(),
        ));
    }
    let trial = unshare().arg("true").stdin(Stdio::null()).output().map_err(LabError::io("unshare (util-linux)"))?;
    if !trial.status.success() {
        return Err(LabError::Missing(format!(
            "this needs root, or the right to make user namespaces (see kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns and user.max_user_namespaces): {}",
            String::from_utf8_lossy(&trial.stderr).trim()
        )));
    }
    let program = env::current_exe().map_err(LabError::io("cannot find this program's own file"))?;
    let failure = unshare().arg(program).args(env::args_os().skip(1)).env(INSIDE, "1").exec();
    Err(LabError::Io { what: "unshare".into(), source: failure })
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
    command
}

/// Tests hold thousands of sockets, and the usual soft limit is 1,024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(1 << 20, |maximum| maximum.min(1 << 20));
    if limit.current.is_some_and(|current| current < wanted) {
        // Where it is refused, the test that needs more says so when it opens its sockets.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}
