//! Puts a response on the wire, dated by the simulator's clock, and delivers it whole, in part, slowly or blown up.
//! It decides nothing about what is sent.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{self, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use super::faults::http_date;
use super::response::{Delivery, Response};
use super::swell;

// Often enough that a client which waits for a pause waits for ever.
const DRIP: Duration = Duration::from_millis(50);

/// A response as HTTP sends it; one without an end ends when `stop` turns true.
pub fn sent(
    response: Response,
    now: DateTime<Utc>,
    stop: watch::Receiver<bool>,
) -> http::Response<Body> {
    let length = response.body.len();
    let body = match response.delivery {
        Delivery::Drip => dripping(&response.body, stop),
        Delivery::Huge(mb) => Body::from_stream(stream::iter(
            swell::plain(&response.body, mb).map(Ok::<_, io::Error>),
        )),
        Delivery::Bomb(mb) => Body::from(swell::packed(&response.body, mb)),
        Delivery::Whole => Body::from(response.body),
        Delivery::Stall => half(&response.body, async move { stopped(stop).await }),
        Delivery::Cut => half(&response.body, flushed()),
    };
    let mut sent = http::Response::new(body);
    *sent.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fixed = [
        ("date", http_date(now)),
        ("content-type", response.content_type.to_owned()),
    ];
    // A short body is only seen as short against the length that was promised.
    let further = match response.delivery {
        Delivery::Stall | Delivery::Cut => Some(("content-length", length.to_string())),
        Delivery::Bomb(_) => Some(("content-encoding", "gzip".to_owned())),
        _ => None,
    };
    for (name, value) in fixed.into_iter().chain(further).chain(response.headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            sent.headers_mut().insert(name, value);
        }
    }
    sent
}

/// Resolves when the server is to end.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error says that the server's handle is gone, which means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn half(body: &Bytes, end: impl Future<Output = ()> + Send + 'static) -> Body {
    let first = body.slice(..body.len() / 2);
    let end = async move {
        end.await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    Body::from_stream(stream::iter([Ok(first)]).chain(stream::once(end)))
}

fn dripping(body: &Bytes, stop: watch::Receiver<bool>) -> Body {
    let first = body.slice(..body.len().min(1));
    let drops = stream::unfold(Some(stop), |stop| async {
        let stop = stop?;
        let waited = tokio::time::timeout(DRIP, stopped(stop.clone())).await;
        // A proper end would make the body whole.
        Some(match waited {
            Ok(()) => (Err(io::ErrorKind::ConnectionAborted.into()), None),
            Err(_) => (Ok(Bytes::from_static(b" ")), Some(stop)),
        })
    });
    Body::from_stream(stream::iter([Ok::<_, io::Error>(first)]).chain(drops))
}

// The server writes its buffer while the body makes it wait; an error at once would drop the first half unsent.
async fn flushed() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}
