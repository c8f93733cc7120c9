//! Asks the controller: in, the addresses of a scan; out, a better [`Identities`].

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khan_api::{Cursor, NodePort, ResolveAnswer, ResolveRequest, ServicePort, Timestamp, routes};
use khan_serve::clock;
use reqwest::header::DATE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode};
use url::Url;

use super::lookup::Lookup;
use super::{Held, Identities, answer};
use crate::flows::Address;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long all the answers about one table may take.
const WHOLE_PATIENCE: Duration = Duration::from_secs(30);
/// Addresses in one request: an answer is held twice while it is read, so it has to be small.
const PORTION: usize = 2048;
/// Addresses that are asked about at all. A scan of the cluster's ranges leaves more in the table, and few have an owner.
const MOST: usize = 32_768;

/// Where the controller is and how to speak to it.
#[derive(Clone, Debug)]
pub struct Controller {
    /// Its base URL.
    pub url: Url,
    /// Certificates that sign the controller's own, in PEM; else the system's.
    pub ca: Option<PathBuf>,
    /// A file with the token to send; read anew for each request, since Kubernetes rotates it.
    pub token: Option<PathBuf>,
}

/// Why the controller was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The URL cannot be extended with a path.
    #[error("--controller-url {0} is not a base URL")]
    Url(Url),
    /// The file of certificates cannot be used.
    #[error("cannot use --controller-ca-file {path}")]
    Ca {
        /// The file.
        path: String,
        /// What TLS or the parser says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The token would be read by whoever is on the way.
    #[error(
        "--controller-token-file needs a --controller-url that begins with https://: no token goes over plain http"
    )]
    PlainToken,
    /// The token's file cannot be read.
    #[error("cannot read --controller-token-file {path}")]
    Token {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No connection, or no answer in time.
    #[error("cannot reach the controller")]
    Request(#[source] reqwest::Error),
    /// Answers came, but too slowly.
    #[error("the controller took longer than {} s to answer", WHOLE_PATIENCE.as_secs())]
    Slow,
    /// An answer with another status than 200.
    #[error("the controller answered {0}")]
    Status(StatusCode),
    /// An answer larger than any honest one.
    #[error("the controller's answer about {asked} addresses and ports is larger than {} bytes", answer::most_bytes(*asked))]
    TooLarge {
        /// How many addresses and node ports were asked about.
        asked: usize,
    },
    /// An answer that is not the documented JSON.
    #[error("the controller's answer is not what it should be")]
    Answer(#[from] serde_json::Error),
}

impl From<reqwest::Error> for ResolveError {
    /// The URL may hold a password, and people know it anyway.
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
}

/// A client of one controller.
#[derive(Debug)]
pub struct Resolver {
    client: Client,
    endpoint: Url,
    token: Option<PathBuf>,
    identities: Arc<Mutex<Identities>>,
}

impl Resolver {
    /// Prepares a client; connects to nobody yet.
    pub fn new(controller: &Controller, identities: Arc<Mutex<Identities>>) -> Result<Self, ResolveError> {
        let mut endpoint = controller.url.clone();
        endpoint
            .path_segments_mut()
            .map_err(|()| ResolveError::Url(controller.url.clone()))?
            .pop_if_empty()
            .extend(routes::RESOLVE.trim_start_matches('/').split('/'));
        if controller.token.is_some() && endpoint.scheme() == "http" {
            return Err(ResolveError::PlainToken);
        }
        let mut client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .dns_resolver(Lookup::default())
            // The controller sends nobody elsewhere; a token or password is for its own ears.
            .redirect(Policy::none())
            // An answer that grows while it is unpacked is bounded no worse, but no controller packs.
            .no_gzip()
            .pool_max_idle_per_host(1)
            .user_agent(concat!("khan-agent/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &controller.ca {
            let error = |source| ResolveError::Ca { path: path.display().to_string(), source };
            let pem = std::fs::read(path).map_err(|source| error(source.into()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|source| error(source.into()))?;
            if certificates.is_empty() {
                return Err(error("it holds no certificate in PEM".into()));
            }
            client = client.tls_certs_only(certificates);
        } else if endpoint.scheme() == "http" {
            // The image holds no certificates, and looking for the system's would fail before it is clear that none is needed.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build()?, endpoint, token: controller.token.clone(), identities })
    }

    /// Brings the identities of what a table holds up to date.
    pub async fn refresh(&self, held: &Held) -> Result<(), ResolveError> {
        let asked = tokio::time::timeout(WHOLE_PATIENCE, self.ask(held)).await;
        let outcome = asked.unwrap_or(Err(ResolveError::Slow));
        if let Err(error) = &outcome {
            self.with(|identities| identities.failed(khan_serve::exit::chain(error)));
        }
        outcome
    }

    fn with<R>(&self, act: impl FnOnce(&mut Identities) -> R) -> R {
        act(&mut self.identities.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask(&self, held: &Held) -> Result<(), ResolveError> {
        let (cursor, has_ranges) = self.with(|identities| {
            identities.tell_dialled(held.hides_services);
            (identities.names().cursor, identities.has_ranges())
        });
        if !has_ranges {
            // Which addresses are worth asking for comes first: a table may hold the whole internet's.
            let answer = self.post(ResolveRequest::default(), false).await?;
            self.with(|identities| identities.apply(&[], &[], answer));
        }
        let (known, new, ports) = self.with(|identities| {
            let (known, new) = identities.to_ask(addresses(identities, held).into_iter());
            let (known, new) = most(known, new, |address| identities.is_owned(address));
            (known, new, identities.node_ports_to_ask(held))
        });
        let mut heard = Heard::default();
        let tell = held.hides_services;
        self.ask_about((cursor, tell), &known, &new, &ports, &mut heard).await?;
        let mut asked: HashSet<_> = known.into_iter().chain(new).collect();
        // The answer may have brought ranges that hold more of the table, nodes at which ports were dialled, and services that the
        // table does not show: once more, lest these be unknown until the next scan.
        let (mut known, mut new, mut more) = self.with(|identities| {
            let rest = addresses(identities, held).into_iter().filter(|address| !asked.contains(address));
            let (known, new) = identities.to_ask(rest);
            (known, new, identities.node_ports_to_ask(held))
        });
        known.truncate(MOST.saturating_sub(asked.len()));
        new.truncate(MOST.saturating_sub(asked.len() + known.len()));
        more.retain(|port| ports.binary_search(port).is_err());
        if !known.is_empty() || !new.is_empty() || !more.is_empty() {
            self.ask_about((cursor, tell), &known, &new, &more, &mut heard).await?;
            asked.extend(known.into_iter().chain(new));
        }
        self.with(|identities| {
            identities.retain(|address| asked.contains(&address));
            identities.set_node_ports(heard.node_ports);
            if let Some(cursor) = heard.cursor {
                identities.succeeded(cursor, Timestamp::now());
            }
        });
        Ok(())
    }

    /// Asks in portions, the first of which has the ports. With `tell`, also for what was dialled.
    async fn ask_about(
        &self,
        (cursor, tell): (Option<Cursor>, bool),
        known: &[Address],
        new: &[Address],
        ports: &[NodePort],
        heard: &mut Heard,
    ) -> Result<(), ResolveError> {
        let mut ports = ports.to_vec();
        for (known, new) in portions(known, new) {
            let ips = |addresses: &[Address]| addresses.iter().map(|address| address.ip()).collect();
            let node_ports = std::mem::take(&mut ports);
            let request = ResolveRequest { cursor, ips: ips(known), new: ips(new), node_ports };
            let mut answer = self.post(request, tell).await?;
            heard.node_ports.append(&mut answer.node_ports);
            // Portions may be answered by different processes; one that did not give the cursor answers everything next time.
            heard.cursor = Some(match heard.cursor {
                Some(before) if (before.epoch, before.revision) <= (answer.cursor.epoch, answer.cursor.revision) => {
                    before
                }
                _ => answer.cursor,
            });
            self.with(|identities| identities.apply(if cursor.is_none() { known } else { &[] }, new, answer));
        }
        Ok(())
    }

    async fn post(&self, body: ResolveRequest, tell: bool) -> Result<ResolveAnswer, ResolveError> {
        let asked = answer::Asked::of(&body);
        let mut url = self.endpoint.clone();
        if tell {
            url.set_query(Some(routes::DIALLED));
        }
        let mut request = self.client.post(url).json(&body);
        if let Some(path) = &self.token {
            let token = std::fs::read_to_string(path)
                .map_err(|source| ResolveError::Token { path: path.display().to_string(), source })?;
            request = request.bearer_auth(token.trim());
        }
        let sent = Timestamp::now();
        let mut response = request.send().await?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let ahead = date.and_then(|date| clock::ahead(date, sent, Timestamp::now()));
        if response.status() != StatusCode::OK {
            return Err(ResolveError::Status(response.status()));
        }
        let (mut body, most) = (Vec::new(), answer::most_bytes(asked.len()));
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > most {
                return Err(ResolveError::TooLarge { asked: asked.len() });
            }
            body.extend_from_slice(&chunk);
        }
        let answer = answer::read(&body, &asked)?;
        if let Some(millis) = ahead {
            self.with(|identities| identities.clock_is_ahead(millis));
        }
        Ok(answer)
    }
}

/// What the answers about one table say together.
#[derive(Debug, Default)]
struct Heard {
    /// What every answer so far has reached.
    cursor: Option<Cursor>,
    node_ports: Vec<ServicePort>,
}

/// The addresses in a table, each once, and those of the services that are known to lead to them where the table does not show
/// that.
fn addresses(identities: &Identities, held: &Held) -> Vec<Address> {
    let mut addresses = held.addresses.clone();
    if held.hides_services {
        addresses.extend(identities.services_dialled());
        addresses.sort_unstable();
        addresses.dedup();
    }
    addresses
}

/// At most [`MOST`] addresses: first those that have an owner, then new ones, since of the others nobody is known yet.
fn most(
    mut known: Vec<Address>,
    mut new: Vec<Address>,
    is_owned: impl Fn(Address) -> bool,
) -> (Vec<Address>, Vec<Address>) {
    if known.len() + new.len() > MOST {
        known.sort_by_key(|address| !is_owned(*address));
        let owned = known.partition_point(|address| is_owned(*address)).min(MOST);
        new.truncate(MOST - owned);
        known.truncate(MOST - new.len());
    }
    (known, new)
}

/// What one request may hold, as often as needed; once even for nothing, which refreshes the ranges.
fn portions<'a>(known: &'a [Address], new: &'a [Address]) -> Vec<(&'a [Address], &'a [Address])> {
    let nothing: &[Address] = &[];
    if known.len() + new.len() <= PORTION {
        return vec![(known, new)];
    }
    let known = known.chunks(PORTION).map(|portion| (portion, nothing));
    known.chain(new.chunks(PORTION).map(|portion| (nothing, portion))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_addresses_those_with_owners_come_first() {
        let addresses = |range: std::ops::Range<u32>| range.map(Address::from_v4).collect::<Vec<_>>();
        let owned = |address: Address| address.v4().is_some_and(|bits| bits % 2 == 0);
        let (known, new) = most(addresses(0..40_000), addresses(100_000..120_000), owned);
        assert_eq!((known.len(), new.len()), (20_000, 12_768));
        assert!(known.iter().all(|address| owned(*address)));
        let (known, new) = most(addresses(0..40_000), addresses(100_000..100_010), owned);
        assert_eq!((known.len(), new.len()), (MOST - 10, 10));
        let (known, new) = most(addresses(0..200_000), addresses(200_000..200_010), owned);
        assert_eq!((known.len(), new.len()), (MOST, 0));
    }
}
