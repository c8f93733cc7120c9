//! Command line of the bench's own program.

mod demo;
mod load;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use khan_lab::Result;

/// Network namespaces, traffic and a demo cluster for trying Khan.
#[derive(Debug, Parser)]
#[command(name = "khan-lab", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build a two-node cluster from network namespaces with one client that leaks, and watch it with `khan top`
    Demo(demo::Demo),
    /// Echo everything, over TCP and UDP, until killed
    Serve {
        /// Address to serve; repeatable
        #[arg(long = "listen", value_name = "ADDR:PORT", required = true)]
        addresses: Vec<SocketAddr>,
    },
    /// Keep connections open and use them: a well-behaved client
    Client(Client),
    /// Open connections and never close or use them again: a leak
    Leak {
        /// Server to connect to
        #[arg(long, value_name = "ADDR:PORT")]
        target: SocketAddr,
        /// Connections to open at once, before the first pause
        #[arg(long, value_name = "N", default_value_t = 0)]
        begin: usize,
        /// Pause between two connections
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
        every: Duration,
    },
}

/// A well-behaved client.
#[derive(Clone, Copy, Debug, Args)]
struct Client {
    /// Server to connect to
    #[arg(long, value_name = "ADDR:PORT")]
    target: SocketAddr,
    /// Connections to keep open
    #[arg(long, value_name = "N", default_value_t = 1)]
    connections: usize,
    /// Pause between two requests on each connection
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    every: Duration,
    /// Pause before the first connection
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    after: Duration,
    /// Close each connection after one request and open the next after the pause
    #[arg(long)]
    short: bool,
    /// Send datagrams instead of using a connection
    #[arg(long, conflicts_with = "short")]
    udp: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Demo(demo) => demo.run(),
        Command::Serve { addresses } => load::serve(&addresses),
        Command::Client(client) => load::client(client),
        Command::Leak { target, begin, every } => load::leak(target, begin, every),
    }
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
