//! The command line, as clap reads it. Flags keep kubectl's spelling where kubectl has them, and each has a `KHAN_`
//! variable.

pub(crate) mod kube_args;
pub(crate) mod output_args;
pub(crate) mod prom_args;
pub(crate) mod query_args;
pub(crate) mod balance_args;
pub(crate) mod diff_args;
pub(crate) mod problem_args;
pub(crate) mod shell;
pub(crate) mod source_args;
mod help;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use khan_serve::exit::{self, Failure};

use crate::config::{self, ConfigError};
use balance_args::BalanceArgs;
use diff_args::DiffArgs;
use kube_args::KubeArgs;
use output_args::OutputArgs;
use problem_args::ProblemsArgs;
use prom_args::PromArgs;
use query_args::{LeakArgs, QueryArgs};
use shell::Shell;
use source_args::SourceArgs;

/// Who holds these connections?
#[derive(Clone, Debug, Parser)]
#[command(
    name = "khan",
    version,
    max_term_width = 110,
    disable_help_subcommand = true,
    about = "Who holds these connections? Kubernetes names for the kernel's connection tracking table",
    after_help = "Examples:\n  \
        khan top                                  who holds connections, live\n  \
        khan top --source local                   this host alone, without a cluster\n  \
        khan top app/checkout -n shop             one app, either end\n  \
        khan top --once -o json --agent http://10.0.0.7:14718\n  \
        khan problems                             what is wrong, why, and what to do next\n  \
        khan leaks --window 15m --exit-code       for cron: exit code 5 on a leak\n  \
        khan diff --against 1d                    what is new since yesterday? (needs Prometheus)\n  \
        khan who 10.40.7.19                       whose address, and who talks to it?\n\n\
        Exit codes:\n  \
        0    fine\n  \
        1    failed\n  \
        3    with --strict: a part of the data is missing or old\n  \
        4    nothing that could be asked answers\n  \
        5    --exit-code: problems, leaks or balance has found something, diff a difference\n  \
        64   wrong flag, variable or configuration file\n  \
        130  interrupted\n  \
        143  terminated"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to reach the cluster.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// Where connections are known.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Prometheus.
    #[command(flatten)]
    pub prometheus: PromArgs,
    /// What is printed, and how.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Print every flag, with its variable and default
    #[arg(long, global = true, action = ArgAction::HelpLong, help_heading = "Other")]
    pub help_all: Option<bool>,
    /// Keys of the terminal interface; only the configuration file has them.
    #[arg(skip)]
    pub keys: Vec<(String, Vec<String>)>,
    /// Saved views of the terminal interface by name: what each sets. Only the configuration file has them.
    #[arg(skip)]
    pub views: Vec<(String, Vec<(String, String)>)>,
    /// Settings that stand on this command line itself, and not in a variable or the file, which are for every command.
    #[arg(skip)]
    pub typed: Vec<&'static str>,
}

/// Reads the command line, the environment and the configuration file. `Err` is how the process ends instead.
pub fn parse() -> Result<Cli, ExitCode> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let refused = |failure| exit::report::<()>("khan", Err(failure));
    let unusable = |error: ConfigError| refused(Failure::configuration(error));
    let named = named(&words);
    let path = config::path(named.as_deref());
    let settings = config::read(path.as_deref()).map_err(unusable)?;
    let mut command = each_argument(Cli::command(), &forget_empty);
    if let Some(path) = &path {
        command = config::apply(command, &settings, path).map_err(unusable)?;
    }
    command = help::prepare(command, &mut words);
    // As a plugin of kubectl, usage lines must be what the user types.
    let plugin = words
        .first()
        .and_then(|word| Path::new(word).file_name())
        .is_some_and(|name| name.to_string_lossy().starts_with("kubectl-"));
    if plugin {
        command = command.bin_name("kubectl khan");
    }
    let misspelt = |error| ExitCode::from(exit::refuse("khan", &error));
    let matches = command.try_get_matches_from(words).map_err(misspelt)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(misspelt)?;
    cli.output.columns_are_typed = is_typed(&matches, "columns");
    if let Some(reason) = unread(named.as_deref(), &cli).or_else(|| without_effect(&cli, &matches)) {
        return Err(refused(Failure::usage(reason)));
    }
    let kept = [("filter", "filter"), ("group-by", "group_by"), ("sort-by", "sort_by"), ("columns", "columns")];
    let typed = kept.into_iter().filter(|(_, id)| is_typed(&matches, id)).map(|(name, _)| name).collect();
    Ok(Cli { keys: settings.keys, views: settings.views, typed, ..cli })
}

/// Whether the flag stands on the command line itself. Commands that end at once do not have every flag.
fn is_typed(matches: &ArgMatches, flag: &str) -> bool {
    let sub = matches.subcommand().map(|(_, sub)| sub);
    sub.is_some_and(|sub| sub.try_contains_id(flag).is_ok() && sub.value_source(flag) == Some(ValueSource::CommandLine))
}

/// A configuration file that was asked for by name and does not exist, unless it is about to be written.
fn unread(named: Option<&Path>, cli: &Cli) -> Option<String> {
    let about_it = matches!(&cli.command, Command::Config { action: ConfigAction::Path | ConfigAction::Init });
    let missing = named.filter(|path| !about_it && !path.exists())?;
    Some(format!("configuration file {}: it does not exist (khan config init writes one)", missing.display()))
}

/// A flag on this command line that the command would not look at. What variables and the file say is for every command, so
/// it may be of no use to this one.
fn without_effect(cli: &Cli, matches: &ArgMatches) -> Option<String> {
    let (name, _) = matches.subcommand()?;
    let typed = |flag| is_typed(matches, flag);
    if typed("watch") && !matches!(name, "top" | "problems" | "balance" | "agents") {
        let others = "khan top, khan problems, khan balance and khan agents can watch";
        return Some(format!("--watch: khan {name} prints once; {others}"));
    }
    if typed("count") && !cli.output.watch {
        return Some("--count says how many times --watch prints: give --watch too".to_owned());
    }
    for (flag, name) in [("record_for", "--record-for"), ("record_size", "--record-size")] {
        if typed(flag) && cli.source.record.is_none() {
            return Some(format!("{name} bounds a recording: give --record FILE too"));
        }
    }
    (typed("columns")
        && !matches!(
            name,
            "top" | "problems" | "balance" | "leaks" | "diff" | "replay" | "conns" | "agents" | "doctor"
        ))
    .then(|| format!("--columns: khan {name} prints no table"))
}

/// Changes every argument of a command and of those below it.
fn each_argument(command: clap::Command, change: &impl Fn(Arg) -> Arg) -> clap::Command {
    command.mut_args(change).mut_subcommands(|sub| each_argument(sub, change))
}

/// A variable that is set to nothing is as good as not set, as everywhere on Unix.
fn forget_empty(arg: Arg) -> Arg {
    let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if empty { arg.env(Resettable::Reset) } else { arg }
}

/// `--config`, before anything else is read.
fn named(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(|file| PathBuf::from(&*file));
        }
        if let Some(file) = word.strip_prefix("--config=") {
            return Some(PathBuf::from(file));
        }
    }
    std::env::var_os("KHAN_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show connections by source and destination: live on a terminal, once into a pipe
    #[command(after_help = "Examples:\n  \
        khan top                                       all namespaces, largest first\n  \
        khan top ns/shop                               either end in a namespace\n  \
        khan top --to app/data/postgres                who talks to postgres\n  \
        khan top --group-by dst --sort-by delta -w     what grows, block after block\n  \
        khan top --since 6h --prometheus-url URL       now against six hours ago\n  \
        khan top --filter 'dst:postgres conns>100 -src:shop/*'\n  \
        khan top --once -o custom-columns=FROM:.source.text,N:.conns\n\n\
        Filter fields: src dst any ns app pod svc workload ip type node port proto state is conns delta rate est idle \
        halfclosed. Terms side by side must all hold; \"or\" and brackets join them otherwise, - before a term turns it \
        round, a comma inside one means \"or\", and src~^check compares with a regular expression.")]
    Top(TopArgs),
    /// List what is wrong, worst first, with the evidence and what to do next
    #[command(after_help = "Examples:\n  \
        khan problems                             what agents see now\n  \
        khan problems ns/shop --kind stalled -w   again and again\n  \
        khan problems --exit-code -q              for cron: exit code 5 on a problem\n  \
        khan problems -o wide                     with evidence and what to do next\n\n\
        Minimum numbers are those between two apps. Kinds: dead-backend (packets to a pod that is gone), unanswered (tries \
        without an answer), stalled (data without an acknowledgement), table (a connection table that is nearly full, or drops), \
        limit (nearly as many connections as the destination can take), blind (an agent that is away or does not see \
        everything), leak (connections that keep growing, see khan leaks), snat (ports for a destination that run out), churn \
        (connections opened and closed all the time), imbalance (connections on few of a service's endpoints, see khan \
        balance), new-client (one that was not there before holds a large share). A kind that the source cannot tell is listed on \
        stderr as not known from here.")]
    Problems(ProblemsArgs),
    /// Show how the connections to services are spread over their endpoints, those with none included
    #[command(
        mut_arg("group_by", |arg| arg.hide(true)),
        mut_arg("sort_by", |arg| arg.hide(true)),
        mut_arg("window", |arg| arg.hide(true)),
        mut_arg("min", |arg| arg.hide(true)),
        after_help = "Examples:\n  \
        khan balance                          every service, the most uneven first\n  \
        khan balance svc/data/redis -o wide   one of them, with every endpoint\n  \
        khan balance ns/shop --exit-code -q   for cron: fails when one is uneven\n  \
        khan balance -w --controller http://127.0.0.1:14719\n\n\
        Only established TCP connections count, of clients whose connections last at least --balance-lasts on average. UNEVEN: one \
        endpoint holds --balance-skew times the mean of those that have been ready for --balance-ready, and more than \
        chance would give it. UNUSED: an endpoint holds nothing, where chance would give it some. TOO FEW: fewer than two endpoints, fewer \
        than --balance-min connections, or so few that chance explains it. A client that keeps to one endpoint counts once, because session affinity would do \
        the same. khan-controller tells the endpoints."
    )]
    Balance(BalanceArgs),
    /// List rows that look like leaks, and why
    #[command(after_help = "Examples:\n  \
        khan leaks --prometheus-url http://prometheus:9090   at once, from the past\n  \
        khan leaks --window 10m --exit-code                  watch for ten minutes\n  \
        khan leaks ns/shop -o json\n\n\
        WATCH: over the window at least --leak-growth connections were added, --leak-rising of the steps did not fall, \
        no step was more than --leak-step of the growth, and each quarter of the window grew. How many connections \
        there were before does not matter. LIKELY: there is further evidence: one of several pods holds most of it, it \
        is idle, one side does not close, or it grows much faster than ever before. TOO NEW: it grows, but has fewer \
        snapshots than --leak-samples. Load that rises through the whole window cannot be told from a leak.\n\n\
        Ctrl-C prints the verdict so far and exits with 130.")]
    Leaks(LeaksArgs),
    /// Show what is new, gone, grown and shrunk between two moments
    #[command(
        mut_arg("sort_by", |arg| arg.default_value("delta")),
        mut_arg("window", |arg| arg.hide(true)),
        after_help = "Examples:\n  \
        khan diff before.khan after.khan         the last rounds of two recordings\n  \
        khan diff before.khan                    a recording and now\n  \
        khan diff --against 1d --prometheus-url http://prometheus:9090\n  \
        khan diff --against 1d --to data/postgres --group-by src --show new\n  \
        khan diff --against 1h --group-by dst --min-change 100 --exit-code\n  \
        khan diff --replay incident.khan --against 10m\n\n\
        The fourth lists the new clients of data/postgres since yesterday. \
        Rows are sorted by change, the largest first. What one side does not know, because a node did not answer or its \
        agent left out small rows, is neither new nor gone: it is said, and --strict turns it into exit code 3."
    )]
    Diff(DiffArgs),
    /// List recordings and what is in them
    #[command(after_help = "Examples:\n  \
        khan replay                          the recordings in this folder\n  \
        khan replay /var/log/khan            those in another\n  \
        khan replay incident.khan -o json\n  \
        khan top --replay incident.khan      play one")]
    Replay(ReplayArgs),
    /// List single connections, read now from the nodes that hold them
    #[command(after_help = "Examples:\n  \
        khan conns app/shop/checkout --to app/data/postgres\n  \
        khan conns --from 10.1.0.4 --state close_wait --limit 200 -o wide\n  \
        khan conns --source local --port 5432")]
    Conns(ConnsArgs),
    /// Show who owns an address, who owned it before, and who talks to it
    #[command(after_help = "Examples:\n  \
        khan who 10.40.7.19               owner with history, peers\n  \
        khan who 192.168.0.11:40312       the real client behind a masquerading node\n  \
        khan who pod/checkout-6d9f7c-x2k4p\n  \
        khan who app/shop/checkout -o json")]
    Who(WhoArgs),
    /// Show the health of the agent on every node
    #[command(after_help = "Examples:\n  \
        khan agents                     version, age, table fill, last error per node\n  \
        khan agents -o wide -w          again and again\n\n\
        Exit code 1 when an agent does not answer or its data is old (3 with --strict), 4 when none answers.")]
    Agents,
    /// Check what works from here and how to fix what does not
    #[command(after_help = "Examples:\n  \
        khan doctor\n  \
        khan doctor --as jane            what another user would find\n  \
        khan doctor 2> missing.yaml      then kubectl apply -f missing.yaml\n  \
        khan doctor -o json --prometheus-url http://prometheus:9090\n\n\
        Looks at the kubeconfig, permissions, agents, Prometheus, this host and the terminal. When permissions are \
        missing, stderr is a manifest that grants them. Exit code 1 when a check fails, 3 when one warns and --strict is \
        given, 4 when nothing from here can show connections.")]
    Doctor,
    /// Show or create the configuration file
    #[command(after_help = "Examples:\n  \
        khan config init      write one in which every flag is explained\n  \
        khan config view      what it says, and which variables come before it\n\n\
        A flag overrides its KHAN_ variable, which overrides the file.")]
    Config {
        /// What to do
        #[arg(value_enum)]
        action: ConfigAction,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  \
        source <(khan completion bash)\n  \
        khan completion zsh > \"${fpath[1]}/_khan\"\n  \
        khan completion kubectl > ~/bin/kubectl_complete-khan  # make it executable")]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Candidates for kubectl
    #[command(name = "__complete", hide = true)]
    Complete {
        /// Words typed so far; the last one may be empty
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Print or write the man pages
    #[command(after_help = "Examples:\n  \
        khan man | man -l -\n  \
        khan man --directory ~/.local/share/man/man1")]
    Man {
        /// Write one page per command here
        #[arg(long, env = "KHAN_MAN_DIRECTORY", value_name = "FOLDER")]
        directory: Option<PathBuf>,
    },
    /// Print the version
    #[command(after_help = "Examples:\n  \
        khan version\n  \
        khan version -o json     with the snapshot format that agents must speak")]
    Version,
}

/// What `khan config` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ConfigAction {
    /// Print its path
    Path,
    /// Print its settings and the environment variables that override them
    View,
    /// Write one that explains every flag
    Init,
}

/// Arguments of `khan conns`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which connections")]
pub struct ConnsArgs {
    /// Only connections of pods with these labels, for example app=web,tier!=cache (needs the API server)
    #[arg(short = 'l', long, env = "KHAN_SELECTOR", value_name = "LABELS")]
    pub selector: Option<String>,
    /// Either end: app/NAME, pod/NAME, ns/NAME, node/NAME, ip/ADDRESS, or part of a name
    #[arg(value_name = "SELECTOR", help_heading = Resettable::Reset)]
    pub selectors: Vec<String>,
    /// Client
    #[arg(long, env = "KHAN_FROM", value_name = "SELECTOR")]
    pub from: Vec<String>,
    /// Destination, dialled or answering
    #[arg(long, env = "KHAN_TO", value_name = "SELECTOR")]
    pub to: Vec<String>,
    /// Filter expression as for khan top, with terms about connections only
    #[arg(long, env = "KHAN_FILTER", value_name = "EXPRESSION", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// State of the connections.
    #[arg(long, env = "KHAN_STATE", value_name = "STATE", help = "State, for example established or close_wait")]
    pub state: Option<String>,
    /// tcp, udp or sctp
    #[arg(long, env = "KHAN_PROTO", value_name = "NAME")]
    pub proto: Option<String>,
    /// Port dialled or answering
    #[arg(long, env = "KHAN_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Maximum number of connections; 0 for all that nodes list (up to 1000 each)
    #[arg(long, env = "KHAN_LIMIT", value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

/// Arguments of `khan who`.
#[derive(Clone, Debug, Args)]
pub struct WhoArgs {
    /// ADDRESS, ADDRESS:PORT, pod/NAME, app/NAME, svc/NAME, node/NAME
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
    /// Maximum number of peers in each direction
    #[arg(long, env = "KHAN_LIMIT", value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

/// Arguments of `khan replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Recordings, or folders with recordings (default: this folder)
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `khan leaks`.
#[derive(Clone, Debug, Args)]
pub struct LeaksArgs {
    /// Which connections, as for khan top
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    /// Exit with code 5 if a leak is likely
    #[arg(long, env = "KHAN_EXIT_CODE")]
    pub exit_code: bool,
    /// Filter and shape.
    #[command(flatten)]
    pub query: QueryArgs,
    /// The leak rule.
    #[command(flatten)]
    pub leak: LeakArgs,
}

/// Arguments of `khan top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Which connections: app/NAME, pod/NAME, svc/NAME, ns/NAME, node/NAME, ip/ADDRESS, ip/CIDR, or part of a name
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
    /// Filter and shape.
    #[command(flatten)]
    pub query: QueryArgs,
    /// The leak rule.
    #[command(flatten)]
    pub leak: LeakArgs,
    /// Look back this far: changes and trends over this time, and rows that were there and are gone (needs Prometheus or a
    /// recording)
    #[arg(long, env = "KHAN_SINCE", value_name = "DURATION", value_parser = crate::duration::parse, help_heading = "Rows")]
    pub since: Option<Duration>,
    /// Keep the view, grouping, order and columns of each context for the next time
    #[arg(long, env = "KHAN_REMEMBER", help_heading = "Terminal")]
    pub remember: bool,
    /// Print once instead of opening the terminal interface
    #[arg(long, env = "KHAN_ONCE", help_heading = "Output")]
    pub once: bool,
}
