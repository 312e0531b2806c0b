//! Serves the market and its control calls over HTTP until it is told to stop.
//! What is answered is decided in `routes` and `control`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Held;
use axum::http::header::USER_AGENT;
use axum::http::{self, HeaderMap, Method, Uri};
use axum::serve::ListenerExt;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;

use super::bodies;
use super::calls::Call;
use super::control;
use super::lock::lock;
use super::plan::Keys;
use super::query::parameters;
use super::response::Response;
use super::routes::{self, Request};
use super::state::State;
use super::wire::{sent, stopped};

/// The root of the market's endpoints.
pub const ROOT: &str = "/api/v3";

/// Serves until the state's `stop` turns true.
///
/// # Errors
/// The error of the listening socket.
pub async fn serve(listener: TcpListener, state: Arc<State>) -> std::io::Result<()> {
    let stop = state.stop.clone();
    let app = Router::new().fallback(handle).with_state(state);
    // Two small writes in a row would otherwise wait for the client's acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("a connection keeps its delay: {error}");
        }
    });
    axum::serve(listener, app)
        .with_graceful_shutdown(stopped(stop))
        .await
}

async fn handle(
    Held(state): Held<Arc<State>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> http::Response<Body> {
    let now = state.clock.now();
    let response = if let Some(path) = below(uri.path(), "/sim") {
        control::respond(&state, method.as_str(), path, &body)
    } else {
        // one instant for what it shows and for its date: the clock may be moved meanwhile
        market(&state, &method, &uri, &headers, now)
    };
    // A control call may have moved the clock, and its response is dated after that.
    let now = if uri.path().starts_with(ROOT) {
        now
    } else {
        state.clock.now()
    };
    sent(response, now, state.stop.clone())
}

fn market(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Response {
    let Some(path) = below(uri.path(), ROOT) else {
        return Response::refused(404, bodies::NOT_FOUND);
    };
    let query = uri.query().unwrap_or("");
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let request = Request {
        method: method.as_str(),
        path,
        query,
        has_user_agent: headers
            .get(USER_AGENT)
            .is_some_and(|agent| !agent.as_bytes().trim_ascii().is_empty()),
        keys: Keys {
            demo: header("x-cg-demo-api-key"),
            pro: header("x-cg-pro-api-key"),
        },
    };
    let response = routes::respond(state, &request, now);
    let target = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    lock(&state.calls).push(Call {
        method: method.to_string(),
        path: target,
        status: response.status,
        key: has_key(headers, query),
    });
    response
}

// Wider than what lets a caller in: a key that reaches the wrong host under any name has leaked.
fn has_key(headers: &HeaderMap, query: &str) -> bool {
    let names_key = |name: &str| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        name.contains("api_key") || name.contains("authorization") || name == "cookie"
    };
    headers
        .iter()
        .any(|(name, value)| names_key(name.as_str()) && !value.as_bytes().trim_ascii().is_empty())
        || parameters(query)
            .iter()
            .any(|(name, value)| names_key(name) && !value.is_empty())
}

fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    path.strip_prefix(root)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}
