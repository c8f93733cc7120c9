//! Flags to what agents and controllers want of a client: TLS, passwords, tokens.

use std::path::Path;

use crate::args::Cli;
use crate::sources::agents::route::pod::Connect;
use crate::sources::http_config::HttpConfig;
use khan_serve::exit::Failure;

/// How to talk to agents (`--agent-config`).
pub(crate) fn agents(cli: &Cli) -> Result<HttpConfig, Failure> {
    read("--agent-config", cli.source.agent_config.as_deref())
}

/// How to talk to khan-controller (`--controller-config`, and over it `--controller-token-file`).
pub(crate) fn controller(cli: &Cli) -> Result<HttpConfig, Failure> {
    let mut config = read("--controller-config", cli.source.controller_config.as_deref())?;
    if let Some(file) = &cli.source.controller_token_file {
        config.bearer_token_file = Some(file.clone());
    }
    let checked = config.check().and_then(|()| config.headers());
    checked.map_err(|error| Failure::usage(format_args!("--controller-token-file: {error}")))?;
    Ok(config)
}

/// The way to agents' pods. The API server's proxy keeps a request's credentials for itself and shows no certificate, so
/// what agents are to see of either goes through a port-forward.
pub(crate) fn way(connect: Connect, config: &HttpConfig) -> Result<Connect, Failure> {
    match connect {
        Connect::Auto if config.has_credentials() => Ok(Connect::PortForward),
        Connect::Proxy if config.has_credentials() => Err(Failure::usage(
            "--agent-config holds credentials, which the API server's pod proxy does not pass on: use --connect port-forward or \
             --connect direct",
        )),
        connect => Ok(connect),
    }
}

fn read(flag: &str, file: Option<&Path>) -> Result<HttpConfig, Failure> {
    let Some(file) = file else { return Ok(HttpConfig::default()) };
    HttpConfig::read(file).map_err(|error| Failure::usage(format_args!("{flag} {error}")))
}
