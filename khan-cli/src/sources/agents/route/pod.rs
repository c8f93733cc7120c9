//! To a pod by the best way that is open.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use khan_api::Sentence;

use super::forward::Forward;
use super::proxy::Proxied;
use super::{Direct, DirectClient};
use crate::sources::cluster::Cluster;
use crate::sources::exchange::{Ask, Bounds, ExchangeError, Reply};

/// `--connect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connect {
    /// The pod proxy; where that is refused or leads nowhere, a port-forward.
    #[default]
    Auto,
    /// The API server's pod proxy.
    Proxy,
    /// A port-forward through the API server.
    PortForward,
    /// The pod's address, from inside the cluster or a VPN.
    Direct,
}

impl Connect {
    /// Every way with its name.
    pub const NAMES: [(Self, &'static str); 4] =
        [(Self::Auto, "auto"), (Self::Proxy, "proxy"), (Self::PortForward, "port-forward"), (Self::Direct, "direct")];

    /// As `--connect` takes it.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(connect, _)| *connect == self).map_or("", |(_, name)| name)
    }
}

/// A word that names no way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way to an agent; choose from auto, proxy, port-forward, direct")]
pub struct ConnectError(String);

impl FromStr for Connect {
    type Err = ConnectError;

    fn from_str(text: &str) -> Result<Self, ConnectError> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(connect, _)| *connect).ok_or_else(|| ConnectError(text.to_owned()))
    }
}

/// An agent's pod.
#[derive(Debug)]
pub struct PodRoute {
    cluster: Arc<Cluster>,
    connect: Connect,
    proxy: Proxied,
    forward: Forward,
    direct: Option<Direct>,
    /// The proxy is closed to us, which one pod's route learns for all.
    proxy_closed: Arc<AtomicBool>,
    /// The proxy does not reach this pod, and a port-forward does.
    proxy_blind: AtomicBool,
    /// The proxy led to this pod when it was tried last.
    proxy_proven: AtomicBool,
}

impl PodRoute {
    /// A route whose ways are yet to be tried. `direct` is needed for [`Connect::Direct`] only.
    pub fn new(
        cluster: Arc<Cluster>,
        connect: Connect,
        proxy: Proxied,
        port: u16,
        direct: Option<Direct>,
        client: DirectClient,
        proxy_closed: Arc<AtomicBool>,
    ) -> Self {
        let host = direct.as_ref().map_or_else(|| proxy.name.clone(), |direct| direct.url.host());
        let tls = proxy.https.then_some(host);
        let forward = Forward::new(proxy.namespace.clone(), proxy.name.clone(), port, tls, client);
        let (proxy_blind, proxy_proven) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { cluster, connect, proxy, forward, direct, proxy_closed, proxy_blind, proxy_proven }
    }

    /// Asks.
    pub async fn exchange(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        match (self.connect, &self.direct) {
            (Connect::Auto, _) => self.exchange_auto(ask, bounds).await,
            (Connect::Proxy, _) => self.proxy.exchange(&self.cluster, ask, bounds).await,
            (Connect::PortForward, _) => self.forwarded(ask, bounds).await,
            (Connect::Direct, Some(direct)) => direct.exchange(ask, bounds).await,
            (Connect::Direct, None) => Err(ExchangeError::Unreachable("its pod has no address yet".into())),
        }
    }

    async fn exchange_auto(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let closed = self.proxy_closed.load(Ordering::Relaxed);
        if closed || self.proxy_blind.load(Ordering::Relaxed) {
            let answer = self.forwarded(ask, bounds).await;
            let Err(ExchangeError::Denied(_) | ExchangeError::Behind(_) | ExchangeError::Closed) = answer else {
                return answer;
            };
            // What was closed may be open by now.
            self.proxy_closed.store(false, Ordering::Relaxed);
            self.proxy_blind.store(false, Ordering::Relaxed);
        }
        let refusal = match self.proxied(ask, bounds).await {
            Err(refusal @ (ExchangeError::Denied(_) | ExchangeError::NoProxy(_) | ExchangeError::Behind(_))) => refusal,
            answer => return answer,
        };
        let answer = self.forwarded(ask, bounds).await;
        match (answer, refusal) {
            (Ok(reply), refusal) => {
                let blind = matches!(refusal, ExchangeError::Behind(_));
                let lesson = if blind { &self.proxy_blind } else { self.proxy_closed.as_ref() };
                lesson.store(true, Ordering::Relaxed);
                Ok(reply)
            }
            (Err(ExchangeError::Denied(more)), ExchangeError::Denied(mut denials)) => {
                denials.extend(more);
                Err(ExchangeError::Denied(denials))
            }
            // The way that was refused says less than the one that was open and failed.
            (Err(error), ExchangeError::Denied(_) | ExchangeError::NoProxy(_)) => Err(error),
            (Err(_), refusal) => Err(refusal),
        }
    }

    /// Until the proxy has worked once it gets half of the time, so that a port-forward can be tried in the rest: an API
    /// server that cannot reach the nodes' network says so only after a long wait.
    async fn proxied(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let proven = self.proxy_proven.load(Ordering::Relaxed);
        let deadline = if proven { bounds.deadline } else { bounds.deadline / 2 };
        let answer = tokio::time::timeout(deadline, self.proxy.exchange(&self.cluster, ask, bounds)).await;
        let late = |_| {
            Err(ExchangeError::Behind(Sentence::of(format_args!(
                "no answer through the pod proxy within {deadline:?}"
            ))))
        };
        let answer = answer.unwrap_or_else(late);
        self.proxy_proven.store(answer.is_ok(), Ordering::Relaxed);
        answer
    }

    async fn forwarded(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        self.forward.exchange(&self.cluster, ask, bounds).await
    }
}
