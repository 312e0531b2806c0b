//! Replies on their way into the landing: the one place that knows both.

use crate::error::{Error, Result};
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

/// Does work that waits for the disk on a thread of its own, so that nothing else waits for it.
///
/// # Errors
/// The work's own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::data("work on the disk was lost").because(error))?
}
