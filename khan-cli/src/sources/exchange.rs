//! One HTTP exchange, whatever way it takes: a bounded answer or the reason why there is none.
//!
//! The reasons are written as the rest of a sentence that begins with who was asked: "`URL` refused the
//! connection".

use std::error::Error;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, DATE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use khan_api::{Sentence, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::http_config::plain::Elsewhere;
use super::rbac::{Denial, manifest};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Method.
    pub method: Method,
    /// Path and query, beginning with a slash.
    pub path: String,
    /// Headers in addition to `Host`, `Accept-Encoding` and those of the route itself.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Bytes,
}

impl Ask {
    /// `GET path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// Bounds of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connecting, asking and reading the whole answer take at most this long.
    pub deadline: Duration,
    /// The answer's body has at most this many bytes, before and after unpacking.
    pub body: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), body: 24 << 20 }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, unpacked.
    pub body: Bytes,
    /// When the question was sent, by our clock.
    pub sent: Timestamp,
    /// When the head of the answer came, by our clock.
    pub received: Timestamp,
}

impl Reply {
    /// The header's text, when it is there and is text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first line of the body that says anything, cut to a length that fits a message.
    pub fn first_line(&self) -> Sentence {
        first_line(&self.body)
    }

    /// The answerer's clock minus ours, in milliseconds; zero within what a `Date` in whole seconds can tell.
    pub fn clock_skew_millis(&self) -> Option<i64> {
        khan_serve::clock::ahead(self.header(DATE)?, self.sent, self.received)
    }
}

/// As [`Reply::first_line`], of any text.
pub fn first_line(body: &[u8]) -> Sentence {
    const LONGEST: usize = 200;
    let head = String::from_utf8_lossy(&body[..body.len().min(4 * LONGEST)]);
    let line = head.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let end = line.char_indices().nth(LONGEST).map(|(end, _)| end);
    end.map_or_else(|| line.into(), |end| Sentence::of(format_args!("{}...", &line[..end])))
}

/// Why there is no answer. Written as the rest of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing listens there.
    #[error("refused the connection")]
    Refused,
    /// The name has no address.
    #[error("has a host name that cannot be resolved ({0})")]
    Unresolved(Sentence),
    /// No way there.
    #[error("cannot be reached ({0})")]
    Unreachable(Sentence),
    /// The certificate, or something else about TLS.
    #[error("failed to set up TLS ({0})")]
    Tls(Sentence),
    /// What came back in the handshake is no TLS.
    #[error("does not speak TLS: if plain HTTP is meant, write http:// in its URL")]
    Plain,
    /// Too slow.
    #[error("did not answer within {0:?}")]
    Timeout(Duration),
    /// Closed before the answer's head was complete.
    #[error("closed the connection without an answer")]
    Closed,
    /// Closed in the middle of the body.
    #[error("broke off in the middle of its answer, after {0} bytes")]
    Truncated(usize),
    /// More than [`Bounds::body`].
    #[error("sent more than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// `Content-Encoding: gzip`, and it is not.
    #[error("sent gzip that cannot be unpacked ({0})")]
    Gzip(Sentence),
    /// The peer does not speak HTTP.
    #[error("answered something that is not HTTP: a port that speaks TLS wants https:// in its URL")]
    NotHttp,
    /// A redirect to another host. What is sent to one host is for that host alone.
    #[error("redirects to {0}, where Khan does not follow: if that is meant, give that URL")]
    Redirected(Sentence),
    /// A secret that the request needs could not be had.
    #[error("was not asked, because {0}")]
    Credentials(Sentence),
    /// The API server does not know who we are.
    #[error("was not asked, because the API server does not accept these credentials ({0}): log in again")]
    NotAccepted(Sentence),
    /// The API server does not let us; one entry for each way that was tried.
    #[error("was not asked, because {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and "))]
    Denied(Vec<Denial>),
    /// The API server has no such proxy.
    #[error("was not asked, because the API server has no proxy to it ({0})")]
    NoProxy(Sentence),
    /// The pod or service does not exist any more.
    #[error("is gone")]
    Gone,
    /// The API server answered, but could not reach the pod or service.
    #[error("cannot be reached from the API server ({0})")]
    Behind(Sentence),
    /// Anything else.
    #[error("could not be asked ({0})")]
    Other(Sentence),
}

impl ExchangeError {
    /// Whether permissions are missing.
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }

    /// What makes it work, to be piped into `kubectl apply -f -`, when permissions are missing.
    pub fn remedy(&self) -> Option<String> {
        let Self::Denied(denials) = self else { return None };
        (!denials.is_empty()).then(|| manifest(denials))
    }

    /// Finds the reason in an error's chain of causes.
    pub fn find(error: &(dyn Error + 'static)) -> Self {
        let mut innermost = String::new();
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = Self::one(error) {
                return found;
            }
            innermost = error.to_string();
            if innermost == "dns error" {
                return Self::Unresolved(error.source().map_or(innermost.into(), Sentence::of));
            }
            // tokio-rustls identifies this error by its text only.
            if innermost == "tls handshake eof" {
                return Self::Tls("it hung up during the handshake".into());
            }
            next = error.source();
        }
        Self::Other(innermost.into())
    }

    fn handshake(error: &rustls::Error) -> Self {
        match error {
            // The first bytes of an answer in plain text.
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::Plain,
            other => Self::Tls(Sentence::of(other)),
        }
    }

    fn one(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(Elsewhere(origin)) = error.downcast_ref::<Elsewhere>() {
            return Some(Self::Redirected(origin.as_str().into()));
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Self::handshake(tls));
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return match () {
                () if error.is_parse() || error.is_parse_too_large() => Some(Self::NotHttp),
                () if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => Some(Self::Closed),
                () => None,
            };
        }
        let io = error.downcast_ref::<std::io::Error>()?;
        // An io::Error leaves what it wraps out of its chain, be it another io::Error.
        let mut wrapped = io.get_ref();
        while let Some(inner) = wrapped {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return Some(Self::handshake(tls));
            }
            wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        }
        match io.kind() {
            ErrorKind::ConnectionRefused => Some(Self::Refused),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Some(Self::Closed),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
                Some(Self::Unreachable(Sentence::of(io.kind())))
            }
            ErrorKind::TimedOut => Some(Self::Unreachable("the connection timed out".into())),
            _ => None,
        }
    }
}

/// A body up to here is taken as it comes. Larger ones wait for their turn, so that whoever is asked at the same time
/// cannot fill the memory together.
const SMALL: usize = 1 << 20;
/// Bytes in a piece of a body.
const PIECE: usize = 64 << 10;
/// How many large bodies there are at a time in the whole process.
static LARGE: Semaphore = Semaphore::const_new(2);

/// A large body's bytes, whose turn ends when they are dropped.
struct Turn<T> {
    bytes: T,
    _permit: Option<SemaphorePermit<'static>>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Turn<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// Bytes of which nobody knows how many come. A buffer that grows takes twice as much as it holds, and of each that it outgrows
/// the system's allocator keeps as much for later. So they are kept in pieces, however small they come, until they are complete.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Vec<u8>>,
    length: usize,
}

impl Pieces {
    fn push(&mut self, mut data: &[u8]) {
        self.length += data.len();
        while !data.is_empty() {
            let mut room = self.pieces.last().map_or(0, |piece| PIECE - piece.len());
            if room == 0 {
                self.pieces.push(Vec::with_capacity(PIECE));
                room = PIECE;
            }
            let (fits, rest) = data.split_at(data.len().min(room));
            if let Some(piece) = self.pieces.last_mut() {
                piece.extend_from_slice(fits);
            }
            data = rest;
        }
    }

    fn whole(self) -> Vec<u8> {
        self.pieces.concat()
    }
}

async fn turn(taken: &mut Option<SemaphorePermit<'static>>) {
    if taken.is_none() {
        // Nobody closes it.
        *taken = LARGE.acquire().await.ok();
    }
}

/// Reads the body within `bounds` and unpacks it.
pub async fn collect<B>(response: http::Response<B>, sent: Timestamp, bounds: Bounds) -> Result<Reply, ExchangeError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let received = Timestamp::now();
    let (head, mut body) = response.into_parts();
    let (mut packed, mut permit) = (Pieces::default(), None);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(ExchangeError::Truncated(packed.length)) };
        if let Some(data) = frame.data_ref() {
            if packed.length + data.len() > bounds.body {
                return Err(ExchangeError::TooLarge(bounds.body));
            }
            if packed.length + data.len() > SMALL {
                turn(&mut permit).await;
            }
            packed.push(data);
        }
    }
    let packed = packed.whole();
    let gzip = head.headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let body = if gzip && !packed.is_empty() {
        let small = unpack(&packed, SMALL.min(bounds.body));
        let body = match small {
            Err(ExchangeError::TooLarge(_)) if bounds.body > SMALL => {
                turn(&mut permit).await;
                unpack(&packed, bounds.body)?
            }
            small => small?,
        };
        Bytes::from_owner(Turn { bytes: body, _permit: permit })
    } else {
        Bytes::from_owner(Turn { bytes: packed, _permit: permit })
    };
    Ok(Reply { status: head.status, headers: head.headers, body, sent, received })
}

fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, ExchangeError> {
    let (mut decoder, mut body, mut buffer) = (MultiGzDecoder::new(packed), Pieces::default(), vec![0; PIECE]);
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(body.whole()),
            Ok(read) if body.length + read > most => return Err(ExchangeError::TooLarge(most)),
            Ok(read) => body.push(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(ExchangeError::Truncated(packed.len()));
            }
            Err(error) => return Err(ExchangeError::Gzip(Sentence::of(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_a_message_is_short_and_plain() {
        assert_eq!(first_line(b"\n \r\n  upstream\x1b[31m is red \nmore"), "upstream\u{fffd}[31m is red");
        assert_eq!(first_line(b""), "");
        assert_eq!(first_line("é".repeat(500).as_bytes()).chars().count(), 203);
    }

    #[test]
    fn pieces_are_full_however_small_they_come() {
        let sent: Vec<u8> = (0..=255).cycle().take(3 * PIECE + 7).collect();
        for size in [1, 1000, PIECE, sent.len()] {
            let mut pieces = Pieces::default();
            for data in sent.chunks(size) {
                pieces.push(data);
            }
            assert_eq!((pieces.pieces.len(), pieces.length), (4, sent.len()), "of {size}");
            assert!(pieces.whole() == sent, "of {size}");
        }
        assert!(Pieces::default().whole().is_empty());
    }

    #[test]
    fn gzip_is_bounded_after_unpacking_too() {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&vec![b'x'; 100_000]).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpack(&packed, 100_000).unwrap().len(), 100_000);
        assert_eq!(unpack(&packed, 99_999), Err(ExchangeError::TooLarge(99_999)));
        assert_eq!(unpack(&packed[..packed.len() - 9], 100_000), Err(ExchangeError::Truncated(packed.len() - 9)));
        assert!(matches!(unpack(b"not gzip at all, really", 100), Err(ExchangeError::Gzip(_))));
    }
}
