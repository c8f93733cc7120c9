//! What one peer, or all together, may take of a server: connections and time.

use std::time::Duration;

/// How much of the server one peer, or all together, may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections, as far as there are file descriptors for them. When all are taken, a new one displaces another: of
    /// the peer that has most, the one that has kept the server waiting for longest.
    pub connections: usize,
    /// Requests that are computed at the same moment: the number of threads of the runtime.
    pub threads: usize,
    /// From the first byte of a request head to its last, and for a TLS handshake.
    pub head: Duration,
    /// Between two requests. Longer than the usual scrape intervals, so that scrapers keep their connection.
    pub idle: Duration,
    /// Without a byte of progress while a request body is read or an answer written.
    pub stall: Duration,
    /// A whole exchange, from the end of the request head on; a peer that trickles is cut here.
    pub exchange: Duration,
    /// Between the request to stop and the moment when what is still being served is cut.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            threads: 1,
            head: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            stall: Duration::from_secs(15),
            exchange: Duration::from_mins(2),
            drain: Duration::from_secs(4),
        }
    }
}
