//! `--require-token-audience`: who is calling? The API server knows (TokenReview), and is asked once a token and a while.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::resolve::Refusal;

/// How long the API server's word is good. A pod that was deleted is let in for this long.
const ACCEPTED: Duration = Duration::from_mins(5);
const REFUSED: Duration = Duration::from_secs(30);
/// While the API server does not answer, those that it knew before are let in for this long: the life of a usual token.
const GRACE: Duration = Duration::from_hours(1);
/// Twice the agents of the largest cluster. About 100 bytes each.
const MOST_REMEMBERED: usize = 10_000;
/// Questions to the API server at one time, and how long one may take with its wait for a place.
const QUESTIONS: usize = 32;
const QUESTION_TIME: Duration = Duration::from_secs(5);

/// Asks the API server about tokens.
pub struct Authenticator {
    reviews: Api<TokenReview>,
    audience: String,
    metrics: Arc<Metrics>,
    // Tokens are remembered by two keyed hashes, never as themselves.
    keys: [RandomState; 2],
    remembered: Mutex<HashMap<[u64; 2], Remembered>>,
    places: Semaphore,
    failing: Mutex<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    verdict: Verdict,
    at: Instant,
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

impl Verdict {
    fn good_for(self) -> Duration {
        if self == Self::Accepted { ACCEPTED } else { REFUSED }
    }
}

impl Authenticator {
    /// Asks through `client` whether tokens are meant for `audience`.
    pub fn new(client: Client, audience: String, metrics: Arc<Metrics>) -> Self {
        Self {
            reviews: Api::all(client),
            audience,
            metrics,
            keys: [RandomState::new(), RandomState::new()],
            remembered: Mutex::default(),
            places: Semaphore::new(QUESTIONS),
            failing: Mutex::new(false),
        }
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or_else(|| {
            let reason = format!("a bearer token for the audience {} is required", self.audience);
            Refusal::new(StatusCode::UNAUTHORIZED, reason)
        })?;
        match self.judge(token).await? {
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

    async fn judge(&self, token: &str) -> Result<Verdict, Refusal> {
        let key = self.keys.each_ref().map(|key| key.hash_one(token));
        let known = self.remembered(|all| all.get(&key).copied());
        if let Some(known) = known.filter(|known| known.at.elapsed() < known.verdict.good_for()) {
            return Ok(known.verdict);
        }
        match tokio::time::timeout(QUESTION_TIME, self.ask(token)).await.unwrap_or(Err("it does not answer".into())) {
            Ok(verdict) => {
                self.works();
                self.remember(key, verdict);
                Ok(verdict)
            }
            Err(error) => {
                self.failed(&error);
                let known = known.filter(|known| known.verdict == Verdict::Accepted && known.at.elapsed() < GRACE);
                known.map(|known| known.verdict).ok_or_else(|| {
                    let reason = format!("cannot ask the API server about this token: {error}");
                    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason)
                })
            }
        }
    }

    async fn ask(&self, token: &str) -> Result<Verdict, String> {
        let _place = self.places.acquire().await.map_err(|error| error.to_string())?;
        let spec = TokenReviewSpec { audiences: Some(vec![self.audience.clone()]), token: token.into() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = self.reviews.create(&PostParams::default(), &review).await;
        self.metrics.reviewed(answer.is_ok());
        let status = answer.map_err(|error| khan_serve::exit::chain(&error))?.status.unwrap_or_default();
        Ok(match (status.authenticated, status.audiences) {
            (Some(true), Some(audiences)) if audiences.contains(&self.audience) => Verdict::Accepted,
            // An API server that does not know of audiences leaves them out and has not checked them.
            (Some(true), _) => Verdict::OtherAudience,
            _ => Verdict::Unknown,
        })
    }

    fn remember(&self, key: [u64; 2], verdict: Verdict) {
        self.remembered(|all| {
            if all.len() >= MOST_REMEMBERED {
                all.retain(|_, known| known.at.elapsed() < known.verdict.good_for());
            }
            // Still full: of strangers, who are not worth remembering. Those let in stay.
            if all.len() >= MOST_REMEMBERED {
                all.retain(|_, known| known.verdict == Verdict::Accepted);
            }
            if all.len() < MOST_REMEMBERED {
                all.insert(key, Remembered { verdict, at: Instant::now() });
            }
        });
    }

    fn remembered<T>(&self, f: impl FnOnce(&mut HashMap<[u64; 2], Remembered>) -> T) -> T {
        f(&mut self.remembered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn failed(&self, error: &str) {
        if !std::mem::replace(&mut *self.failing.lock().unwrap_or_else(PoisonError::into_inner), true) {
            warn!(error, "Cannot review tokens; callers that were known are let in");
        }
    }

    fn works(&self) {
        if std::mem::take(&mut *self.failing.lock().unwrap_or_else(PoisonError::into_inner)) {
            info!("Reviews tokens again");
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Lets a request pass, or refuses it with the reason.
pub(crate) async fn require(State(authenticator): State<Arc<Authenticator>>, request: Request, next: Next) -> Response {
    match authenticator.admit(request.headers()).await {
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
