//! `--require-token-audience`: who is calling? The API server knows (TokenReview), and is asked once a token and a while.
//!
//! What it said is believed for `--token-review-ttl` and no longer, whether it can be asked or not: a token that was revoked
//! works for two minutes at most, and while the API server is away, callers are answered 503 once that time is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use khan_serve::exchange::Exchange;
use khan_serve::gate::{Bounds, Gate};
use khan_serve::remember::{Fingerprint, Keys, Remembered};
use khan_serve::shed::Shed;
use kube::api::PostParams;
use kube::{Api, Client};
use tracing::{info, warn};

use crate::api::Refusal;
use crate::metrics::Metrics;

/// How long the API server's word is good unless `--token-review-ttl` says otherwise, and the most that it may say: a
/// revoked token is believed for so long.
pub(crate) const LONGEST_TTL: Duration = Duration::from_mins(2);
/// How long a refusal is good: long enough that repeating it costs little, short enough that a mended role is noticed.
const REFUSED: Duration = Duration::from_secs(10);
/// Twice the agents of the largest cluster, and as many strangers as are worth remembering. About 100 bytes each.
const MOST_ACCEPTED: usize = 10_000;
const MOST_REFUSED: usize = 1_000;
/// Questions to the API server at one time, those that may wait for it, and how long one may take with its wait for a place.
const QUESTIONS: usize = 32;
const WAITING: usize = 1_000;
const QUESTION_TIME: Duration = Duration::from_secs(5);
/// The same while the last answer is still good: in the last quarter of its time it is asked for again, so that an API server
/// that is away for a moment keeps nobody out.
const REFRESH_TIME: Duration = Duration::from_secs(1);

/// Asks the API server about tokens.
pub(crate) struct Authenticator {
    reviews: Api<TokenReview>,
    audience: String,
    ttl: Duration,
    metrics: Arc<Metrics>,
    // Tokens are remembered by their fingerprints, never as themselves; strangers apart, so that they drive nobody out.
    keys: Keys,
    accepted: Mutex<Remembered<()>>,
    refused: Mutex<Remembered<Verdict>>,
    questions: Gate,
    failing: Mutex<bool>,
}

/// What is known of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    /// Not a token of this cluster, or expired.
    Unknown,
    /// A token of this cluster, but made for something else.
    OtherAudience,
}

/// Reads `--token-review-ttl`.
pub(crate) fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = khan_api::duration::parse(text).map_err(|error| error.to_string())?;
    if ttl > LONGEST_TTL || ttl < Duration::from_secs(1) {
        return Err("expected 1s to 2m: a revoked token is believed for this long".into());
    }
    Ok(ttl)
}

impl Authenticator {
    /// Asks through `client` whether tokens are meant for `audience`, and believes the answer for `ttl`.
    pub(crate) fn new(client: Client, audience: String, ttl: Duration, metrics: Arc<Metrics>) -> Self {
        let questions = Gate::new(Bounds {
            name: "token reviews",
            capacity: QUESTIONS,
            entry: 1,
            waiting: WAITING,
            patience: QUESTION_TIME,
            grace: None,
        });
        Self {
            reviews: Api::all(client),
            audience,
            ttl,
            metrics,
            keys: Keys::default(),
            accepted: Mutex::new(Remembered::new(MOST_ACCEPTED)),
            refused: Mutex::new(Remembered::new(MOST_REFUSED)),
            questions,
            failing: Mutex::new(false),
        }
    }

    /// Lets in only callers whose token the API server accepts.
    pub(crate) fn guard(self, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::new(self), require))
    }

    async fn admit(&self, exchange: &Exchange, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or_else(|| {
            let reason = format!("a bearer token for the audience {} is required", self.audience);
            Refusal::new(StatusCode::UNAUTHORIZED, reason)
        })?;
        match self.judge(exchange, token).await? {
            Verdict::Accepted => Ok(()),
            Verdict::Unknown => {
                Err(Refusal::new(StatusCode::UNAUTHORIZED, "the API server does not accept this token"))
            }
            Verdict::OtherAudience => {
                let reason = format!("this token is not meant for the audience {}", self.audience);
                Err(Refusal::new(StatusCode::FORBIDDEN, reason))
            }
        }
    }

    async fn judge(&self, exchange: &Exchange, token: &str) -> Result<Verdict, Refusal> {
        let key = self.keys.fingerprint(&token);
        let refused = held(&self.refused).get(&key);
        if let Some((verdict, _)) = refused.filter(|(_, age)| *age < REFUSED) {
            return Ok(verdict);
        }
        let age = held(&self.accepted).get(&key).map(|((), age)| age).filter(|age| *age < self.ttl);
        if age.is_some_and(|age| age < self.ttl * 3 / 4) {
            return Ok(Verdict::Accepted);
        }
        let patience = if age.is_some() { REFRESH_TIME } else { QUESTION_TIME };
        let answer = tokio::time::timeout(patience, self.ask(exchange, token)).await;
        let error = match answer.unwrap_or_else(|_| Err(Unasked::Failed("it does not answer".into()))) {
            Ok(verdict) => {
                self.works();
                self.remember(key, verdict);
                return Ok(verdict);
            }
            Err(error) => error,
        };
        if let Unasked::Failed(error) = &error {
            self.failed(error);
        }
        match error {
            _ if age.is_some() => Ok(Verdict::Accepted),
            Unasked::Shed(shed) => Err(shed.into()),
            Unasked::Failed(error) => {
                let reason = format!("cannot ask the API server about this token: {error}");
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason))
            }
        }
    }

    async fn ask(&self, exchange: &Exchange, token: &str) -> Result<Verdict, Unasked> {
        let _pass = self.questions.enter(exchange).await.map_err(Unasked::Shed)?;
        let spec = TokenReviewSpec { audiences: Some(vec![self.audience.clone()]), token: token.into() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = self.reviews.create(&PostParams::default(), &review).await;
        self.metrics.reviewed(answer.is_ok());
        let status =
            answer.map_err(|error| Unasked::Failed(khan_serve::exit::chain(&error)))?.status.unwrap_or_default();
        Ok(match (status.authenticated, status.audiences) {
            (Some(true), Some(audiences)) if audiences.contains(&self.audience) => Verdict::Accepted,
            // An API server that does not know of audiences leaves them out and has not checked them.
            (Some(true), _) => Verdict::OtherAudience,
            _ => Verdict::Unknown,
        })
    }

    fn remember(&self, key: Fingerprint, verdict: Verdict) {
        if verdict == Verdict::Accepted {
            held(&self.accepted).insert(key, ());
        } else {
            held(&self.accepted).remove(&key);
            held(&self.refused).insert(key, verdict);
        }
    }

    fn failed(&self, error: &str) {
        if !std::mem::replace(&mut *held(&self.failing), true) {
            let ttl = self.ttl.as_secs();
            warn!(
                error,
                "Cannot review tokens; those that were accepted are let in for {ttl} s after their last review"
            );
        }
    }

    fn works(&self) {
        if std::mem::take(&mut *held(&self.failing)) {
            info!("Reviewing tokens again");
        }
    }
}

/// Why the API server said nothing about a token.
enum Unasked {
    /// It was not asked: too many wait for it.
    Shed(Shed),
    Failed(String),
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Lets a request pass, or refuses it with the reason.
async fn require(
    State(authenticator): State<Arc<Authenticator>>,
    exchange: Exchange,
    request: Request,
    next: Next,
) -> Response {
    match authenticator.admit(&exchange, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let challenge = refusal.status() == StatusCode::UNAUTHORIZED;
            let mut response = refusal.into_response();
            if challenge {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}
