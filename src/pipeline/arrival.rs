//! Responses on their way into the landing: the one place that knows both.

use crate::error::Result;
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
