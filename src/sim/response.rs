//! A response before it is sent: status, headers, bytes, and how the bytes are delivered.
//! It knows no sockets; `wire` sends it.

use bytes::Bytes;

/// What every response of the market itself is typed as.
pub const JSON: &str = "application/json; charset=utf-8";
/// The type of the pages of the network in front.
pub const HTML: &str = "text/html; charset=UTF-8";
/// The type of the bare words that are sometimes sent.
pub const PLAIN: &str = "text/plain; charset=utf-8";

/// How the bytes of a response leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// All of them.
    #[default]
    Whole,
    /// Half of them, under a length that promises all; then nothing on an open connection.
    Stall,
    /// Half of them, under a length that promises all; then the connection closes.
    Cut,
    /// The first byte, then a blank now and again, for ever and without a length.
    Drip,
    /// With so many megabytes of blanks after the first byte, without a length.
    Huge(u32),
    /// The same, packed by gzip.
    Bomb(u32),
}

/// A response as decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// Further headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// How the body is delivered.
    pub delivery: Delivery,
}

impl Response {
    /// A good response in JSON, which may be cached as the real one.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, JSON, body).with("cache-control", "public, max-age=30")
    }

    /// A refusal in JSON.
    pub fn refused(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, JSON, body).with("cache-control", "no-cache")
    }

    /// A response of any kind.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// The same response with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same response with only the first half of its body, as if that were all.
    #[must_use]
    pub fn truncated(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    /// The same response, delivered as told.
    #[must_use]
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }
}
