//! Replies on their way into the landing: the one place that knows both.

use crate::error::Result;
use crate::http::{Reply, Request};
use crate::landing::{Arrival, Landed, RunFolder};

/// Lands a reply as it was received.
pub(super) fn land(folder: &RunFolder, request: &Request, reply: &Reply) -> Result<Landed> {
    let arrival = Arrival {
        url: &reply.url,
        status: reply.status,
        headers: &reply.headers,
        body: &reply.body,
        received_at: reply.received_at,
    };
    folder.land(&request.to_string(), arrival)
}
