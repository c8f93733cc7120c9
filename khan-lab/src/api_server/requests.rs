//! Requests in, answers out: lists, token reviews, and what is refused. Watches go on in [`watch`](super::watch).

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::parameters::{Parameters, refuse, selected};
use super::{ApiServer, Streaming, watch};

pub(super) fn router(server: ApiServer) -> Router {
    Router::new()
        .route("/api/v1/{resource}", get(collection))
        .route("/apis/networking.k8s.io/{version}/servicecidrs", get(service_cidrs))
        .route("/apis/discovery.k8s.io/v1/{resource}", get(collection))
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
        .with_state(server)
}

async fn service_cidrs(
    State(server): State<ApiServer>,
    Path(version): Path<String>,
    parameters: Query<Parameters>,
) -> Response {
    {
        let mut shared = server.shared.lock().unwrap();
        // A real server asks first whether somebody may, and then whether there is such a thing.
        let is_there = shared.service_cidrs == version;
        let stock = shared.stocks.entry("servicecidrs".into()).or_default();
        if stock.faults.forbid.is_empty() && !is_there {
            stock.asked.absent += 1;
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        }
    }
    collection(State(server), Path("servicecidrs".into()), parameters).await
}

async fn collection(
    State(server): State<ApiServer>,
    Path(resource): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let verb = if parameters.watch { "watch" } else { "list" };
    let silent = {
        let mut shared = server.shared.lock().unwrap();
        let stock = shared.stocks.entry(resource.clone()).or_default();
        if stock.faults.forbid.contains(&verb) {
            return refuse(403, "Forbidden", &format!("{resource} is forbidden: User \"test\" cannot {verb} resource"));
        }
        if let Some((code, left)) = &mut stock.faults.fail
            && *left > 0
        {
            *left -= 1;
            return refuse(*code, "Fault", "told to fail");
        }
        stock.asked.streamed += usize::from(parameters.send_initial_events);
        parameters.send_initial_events && stock.faults.streaming == Streaming::Silent
    };
    if silent {
        std::future::pending::<()>().await;
    }
    if parameters.watch { watch::watch(&server, &resource, parameters) } else { list(&server, &resource, &parameters) }
}

fn list(server: &ApiServer, resource: &str, parameters: &Parameters) -> Response {
    let mut shared = server.shared.lock().unwrap();
    let version = shared.version;
    let stock = shared.stocks.entry(resource.into()).or_default();
    // Version 0 makes a real server ignore the limit.
    assert_ne!(parameters.resource_version.as_deref(), Some("0"), "asked for one giant body");
    let limit = parameters.limit.expect("a list without a limit is one giant body");
    let after = parameters.r#continue.clone().unwrap_or_default();
    let mut items: Vec<(&String, &Value)> =
        stock.objects.iter().filter(|(key, object)| **key > after && selected(object, parameters)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(|(key, _)| (*key).clone()) } else { None };
    let items: Vec<Value> = items.into_iter().map(|(_, object)| object.clone()).collect();
    stock.asked.lists += 1;
    stock.asked.largest_page = stock.asked.largest_page.max(items.len());
    let body = json!({
        "kind": "List",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version.to_string(), "continue": next},
        "items": items,
    })
    .to_string();
    let (cut, stall) = (stock.faults.cut_lists > 0, stock.faults.stall_lists);
    stock.faults.cut_lists = stock.faults.cut_lists.saturating_sub(1);
    drop(shared);
    if cut || stall {
        let half = Bytes::from(body[..body.len() / 2].to_owned());
        let begin = futures::stream::iter([Ok::<_, std::io::Error>(half)]);
        let end: futures::stream::BoxStream<'static, _> = if cut {
            Box::pin(futures::stream::iter([Err(std::io::Error::other("cut"))]))
        } else {
            Box::pin(futures::stream::pending())
        };
        return Body::from_stream(futures::StreamExt::chain(begin, end)).into_response();
    }
    ([("content-type", "application/json")], body).into_response()
}

async fn review(State(server): State<ApiServer>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let token = request["spec"]["token"].as_str().unwrap_or_default().to_owned();
    let mut shared = server.shared.lock().unwrap();
    shared.reviewed.push(token.clone());
    let accepted = shared.tokens.iter().find(|(known, _)| *known == token).map(|(_, status)| status.clone());
    let status = accepted.unwrap_or_else(|| json!({"authenticated": false, "error": "invalid bearer token"}));
    let mut answer = request;
    answer["status"] = status;
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}
