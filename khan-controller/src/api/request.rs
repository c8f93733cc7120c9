//! `POST /v1/resolve`: the request, and what is wrong with it.

use std::pin::pin;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use khan_api::node_port::MAX_NODE_PORTS;
use khan_api::resolve::MAX_ADDRESSES;
use khan_api::routes;
use khan_serve::exchange::Exchange;
use khan_serve::gate::Pass;

use super::answer::{self, Answer};
use super::parse::{Asked, ParseError, Parser};
use super::{Api, Refusal};

/// The longest address is 39 characters, with quotes and comma 42; a node port is as long. And some room for spaces.
const MOST_BYTES: usize = (MAX_ADDRESSES + MAX_NODE_PORTS) * 64;

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::TooMany | ParseError::TooManyPorts => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            _ => Self::new(StatusCode::BAD_REQUEST, format!("not a resolve request: {error}")),
        }
    }
}

pub(super) async fn resolve(State(api): State<Api>, exchange: Exchange, request: Request) -> Response {
    let begun = Instant::now();
    let metrics = api.metrics.clone();
    let dialled = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == routes::DIALLED));
    match ask(&api, &exchange, request.into_body()).await {
        Ok((asked, pass)) => {
            metrics.resolved_addresses(asked.len());
            Answer::new(api, asked, dialled, pass, begun).into_response()
        }
        Err(refusal) => {
            metrics.resolved(refusal.status(), begun.elapsed());
            refusal.into_response()
        }
    }
}

async fn ask(api: &Api, exchange: &Exchange, body: Body) -> Result<(Asked, Pass), Refusal> {
    let pass = api.gate.enter(exchange).await?;
    let asked = read(body, &pass).await?;
    api.check_ready()?;
    Ok((asked, pass))
}

/// Reads to the end even what is refused, so that the connection can go on; what is held of it is in `pass`.
async fn read(body: Body, pass: &Pass) -> Result<Asked, Refusal> {
    let mut body = pin!(body);
    let (mut parser, mut wrong, mut bytes) = (Parser::new(), None, 0);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body did not arrive: {error}")))?;
        let Some(piece) = frame.data_ref() else { continue };
        bytes += piece.len();
        if bytes > MOST_BYTES {
            return Err(ParseError::TooMany.into());
        }
        if wrong.is_none() {
            wrong = parser.feed(piece).err();
            pass.hold(answer::size(parser.size()))?;
        }
    }
    match wrong {
        Some(error) => Err(error.into()),
        None => Ok(parser.finish()?),
    }
}
