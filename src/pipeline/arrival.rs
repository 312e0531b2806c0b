//! Responses on their way into the landing: the one place that knows both.

use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::landing::{Arrival, Landed, RunFolder};

/// Lands a response as it was received.
pub(super) fn land(folder: &RunFolder, request: &Request, response: &Response) -> Result<Landed> {
    let arrival = Arrival {
        url: &response.url,
        status: response.status,
        headers: &response.headers,
        body: &response.body,
        received_at: response.received_at,
    };
    folder.land(&request.to_string(), arrival)
}

/// Does work that waits for the disk on a thread of its own, so that nothing else waits for it. It begins at once.
///
/// # Errors
/// The work's own.
pub(super) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let done = tokio::task::spawn_blocking(work);
    async {
        let done = done.await;
        done.map_err(|error| Error::data("work on the disk was lost").because(error))?
    }
}
