//! `khan-lab demo`: a two-node cluster with real traffic, Khan on it, and `khan top` in front.

mod apps;
mod cilium;
mod held;
mod interrupt;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cilium::Cilium;
use clap::Args;
use interrupt::Interrupt;
use khan_lab::cluster::node_name;
use khan_lab::{Cluster, Host, Khan, Lab, LabError, Program, Result, until};
use rustix::event::{PollFd, PollFlags};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
/// How long the banner is shown.
const READING: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Print one table and what is wrong as soon as the leak is the largest edge and the rest is known, and exit
    #[arg(long)]
    once: bool,
    /// Open a shell on the host outside the cluster instead of `khan top`
    #[arg(long, conflicts_with = "once")]
    shell: bool,
    /// Let node-2 track its pods' connections as Cilium does: in eBPF maps, and not in the kernel's table (needs root)
    #[arg(long)]
    cilium: bool,
    /// Pipe that signals come from, for the first process in the demo's pid namespace
    #[arg(long, hide = true, value_name = "PATH")]
    pipe: Option<PathBuf>,
    /// Further arguments for `khan top`
    #[arg(last = true, value_name = "ARGUMENT")]
    top: Vec<String>,
}

impl Demo {
    pub(super) fn run(self) -> Result<ExitCode> {
        let Some(pipe) = &self.pipe else { return held::run() };
        let pipe = File::open(pipe).map_err(LabError::io("cannot open the pipe from the demo's outer process"))?;
        let lab = Lab::new()?;
        let interrupt = Interrupt::follow(pipe, lab.folder().to_owned());
        let ended = self.show(&lab, &interrupt);
        // What failed after a signal failed because of it.
        interrupt.code().map_or(ended, |code| Ok(ExitCode::from(code)))
    }

    fn show(&self, lab: &Lab, interrupt: &Interrupt) -> Result<ExitCode> {
        say("[2/3] Building two nodes and their pods out of network namespaces");
        let mut cluster = Cluster::start(lab, apps::plan())?;
        let (desk, _) = cluster.outside(lab, "desk")?;
        if self.cilium {
            cluster.bypass_tracking(cilium::NODE)?;
        }
        interrupt.check()?;
        let own = std::env::current_exe().map_err(LabError::io("cannot find this program's own file"))?;
        let _apps = apps::start(lab, &mut cluster, &own)?;
        interrupt.check()?;
        say("[3/3] Starting khan-controller and one khan-agent on each node");
        let cilium = self.cilium.then(|| Cilium::start(&cluster)).transpose()?;
        let maps = cilium.as_ref().map(|cilium| cilium.root().display().to_string());
        let khan = Khan::start_with(lab, &cluster, |node| {
            let mut arguments = vec!["--interval", "1s", "--snat-ports", apps::SNAT_PORTS];
            if let Some(maps) = maps.as_deref().filter(|_| node == cilium::NODE) {
                arguments.extend(["--bpf-fs", maps]);
            }
            arguments
        })?;
        apps::delete_backends(lab, &mut cluster)?;
        let top = self.top(&desk, &cluster)?;
        let _later = if self.once { Vec::new() } else { apps::start_later(&cluster, &own)? };
        if self.once {
            say("Waiting for the leak to become the largest edge");
            wait_for_the_leak(&khan, interrupt)?;
            say(&format!(
                "Waiting for what is wrong to be found, minutes sooner than usual ({})",
                apps::SOONER.join(" ")
            ));
            wait_for_problems(&desk, &cluster, interrupt)?;
        } else if !self.shell {
            banner(self.cilium, interrupt)?;
        }
        let mut status = interrupt.on_this_terminal(&top)?;
        if self.once && status.success() {
            println!();
            status = interrupt.on_this_terminal(&khan_on(&desk, &cluster, "problems")?.args(apps::SOONER))?;
        }
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
    }

    fn top(&self, desk: &Host, cluster: &Cluster) -> Result<Program> {
        if self.shell {
            let agents: Vec<String> = agents(cluster).map(|url| format!("--agent {url}")).collect();
            say(&format!("For example: khan top {} --controller {}", agents.join(" "), Khan::controller_url(cluster)?));
            for node in 1..=cluster.plan().nodes {
                say(&format!(
                    "The table of {}: nsenter --net={} conntrack -L",
                    node_name(node),
                    cluster.node(node).path()
                ));
            }
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            return Ok(Program::new(Path::new(&shell)).inside(desk));
        }
        let top = khan_on(desk, cluster, "top")?;
        Ok(if self.once { top.args(["--once"]) } else { top }.args(&self.top))
    }
}

/// Where the agents are.
fn agents(cluster: &Cluster) -> impl Iterator<Item = String> {
    (1..=cluster.plan().nodes).map(Khan::agent_url)
}

/// `khan` with a command for the demo's agents, outside the cluster.
fn khan_on(desk: &Host, cluster: &Cluster, command: &str) -> Result<Program> {
    let agents = agents(cluster).flat_map(|url| ["--agent".to_owned(), url]);
    let controller = ["--controller".to_owned(), Khan::controller_url(cluster)?];
    let khan = Program::workspace("khan")?.args([command]).args(agents).args(controller);
    Ok(khan.inside(desk).without_env("KUBECONFIG"))
}

/// What there is to see, before a screen covers it; a terminal shows it until Enter, or for as long as it takes to read.
fn banner(cilium: bool, interrupt: &Interrupt) -> Result {
    const WHAT: [&str; 10] = [
        "",
        "Ready. In khan top, look at",
        "  shop/checkout -> data/postgres   it grows by one connection a second: a leak; Enter shows which pod",
        "  6                                what is wrong, one of each kind: nobody answers, data is stuck, ports run out, redis is full,",
        "                                   sync reconnects all the time; packets to deleted pods after 1 minute, the leak after 6 rounds,",
        "                                   search's load on one pod after 5 minutes, and report, which is new, after 6",
        "  external -> shop/web             clients outside, through a node port; 4 shows how full the nodes' tables are",
        "  , and L                          a round back, and live again",
        "q quits and removes everything.",
        "",
    ];
    if cilium {
        eprintln!(
            "\n{}'s pods are tracked in eBPF maps, as Cilium does: its kernel has none of their connections.",
            node_name(cilium::NODE)
        );
    }
    for line in WHAT {
        eprintln!("{line}");
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(());
    }
    eprintln!("Enter opens khan top; so does waiting {} s.", READING.as_secs());
    let stdin = std::io::stdin();
    let timeout = rustix::event::Timespec { tv_sec: i64::try_from(READING.as_secs()).unwrap_or(0), tv_nsec: 0 };
    // A signal ends the wait, and the check after it says so.
    let ready = rustix::event::poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout)).unwrap_or(0);
    interrupt.check()?;
    if ready > 0 {
        let mut line = String::new();
        stdin.read_line(&mut line).map_err(LabError::io("cannot read from the terminal"))?;
    }
    Ok(())
}

/// Progress, kept apart from the table on standard output.
fn say(what: &str) {
    eprintln!("demo: {what}");
}

fn wait_for_the_leak(khan: &Khan, interrupt: &Interrupt) -> Result {
    let mut edges = BTreeMap::new();
    let waited = until("the leak to become the largest edge", PATIENCE, || {
        if interrupt.code().is_some() {
            return Some(());
        }
        edges = khan.edges().ok()?;
        let (largest, count) = edges.iter().max_by_key(|(_, count)| **count)?;
        ((largest.0.as_str(), largest.1.as_str()) == apps::LEAK && *count > apps::LEAKED).then_some(())
    });
    waited.map_err(|error| LabError::Malformed(format!("{error}; the edges are {edges:?}")))?;
    interrupt.check()
}

fn wait_for_problems(desk: &Host, cluster: &Cluster, interrupt: &Interrupt) -> Result {
    let khan = khan_on(desk, cluster, "problems")?.args(["-o", "json"]).args(apps::SOONER);
    let mut last = String::new();
    let waited = until("the problems", PATIENCE, || {
        if interrupt.code().is_some() {
            return Some(());
        }
        last = khan.output(PATIENCE).ok()?.stdout;
        let told: Value = serde_json::from_str(&last).ok()?;
        let all = told["items"].as_array()?;
        let found = |(kind, owner): &(&str, &str)| {
            let is_of = |one: &Value| one["owners"].as_array().is_some_and(|owners| owners.iter().any(|o| o == owner));
            all.iter().any(|one| one["kind"] == *kind && is_of(one))
        };
        apps::PROBLEMS.iter().all(found).then_some(())
    });
    waited.map_err(|error| LabError::Malformed(format!("{error}; there are {last}")))?;
    interrupt.check()
}
