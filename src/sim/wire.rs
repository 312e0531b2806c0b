//! Puts a reply on the wire, dated by the simulator's clock, and delivers it whole, stalled or cut.
//! It decides nothing about what is sent.

use std::io;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use super::faults::http_date;
use super::reply::{Delivery, Reply};

/// The HTTP response of a reply; one that stalls ends when `stop` turns true.
pub fn response(reply: Reply, now: DateTime<Utc>, stop: watch::Receiver<bool>) -> Response<Body> {
    let length = reply.body.len();
    let body = match reply.delivery {
        Delivery::Whole => Body::from(reply.body),
        Delivery::Stall => half(&reply.body, async move { stopped(stop).await }),
        Delivery::Cut => half(&reply.body, flushed()),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fixed = [
        ("date", http_date(now)),
        ("content-type", reply.content_type.to_owned()),
    ];
    // A short body is only seen as short against the length that was promised.
    let promised =
        (reply.delivery != Delivery::Whole).then(|| ("content-length", length.to_string()));
    for (name, value) in fixed.into_iter().chain(promised).chain(reply.headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
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

// The server writes its buffer while the body makes it wait; an error at once would drop the first half unsent.
async fn flushed() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}
