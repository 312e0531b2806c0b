//! One client for the market API: timeouts, the plan's pace, backoff, `Retry-After`, and one error for every refusal.
//! It knows nothing of whom it asks nor of what a body means: the plan and the meaning of a refusal are `provider`'s, endpoints
//! and their parsing `coingecko`'s.

mod limiter;
mod refusal;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

pub use refusal::{Refusal, refusal};

use crate::clock::Clock;
use crate::config::{ClockSetting, Settings};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::landing::BODY_LIMIT;
use crate::provider::USEFUL_HEADERS;
use crate::stop::Stop;
use limiter::Limiter;

/// How coinmill introduces itself.
pub const USER_AGENT: &str = concat!(
    "coinmill/",
    env!("CARGO_PKG_VERSION"),
    " (market data pipeline)"
);

/// A request: a path below the base URL, and its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path segments, unencoded.
    pub path: Vec<String>,
    /// Names and values, unencoded.
    pub query: Vec<(&'static str, String)>,
}

impl Request {
    /// The whole URL. It never holds a key: keys go into a header.
    pub fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path
            .iter()
            .try_for_each(|segment| write!(f, "/{segment}"))
    }
}

/// What was received: one HTTP response with its whole body, decompressed.
#[derive(Debug, Clone)]
pub struct Response {
    /// The requested URL, without the key.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers worth keeping, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// When the last byte had arrived, by our clock.
    pub received_at: DateTime<Utc>,
}

impl Response {
    /// The API's clock when it responded: its `Date` header.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        self.headers
            .get("date")
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .map(DateTime::from)
    }
}

/// Who says when a call may begin, beside the client's own pace: other processes may use the same key.
pub trait Turns: Send + Sync {
    /// Returns when one more call may begin, which it then has to.
    fn turn(&self) -> BoxFuture<'_, Result<()>>;

    /// Lets no call begin for so long: the API has asked for it.
    fn hold(&self, wait: Duration) -> BoxFuture<'_, Result<()>>;
}

/// How many calls a client has made. A call is a request sent; a credit is what the API charges, for a 200.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Requests sent, tries included.
    pub calls: u64,
    /// Responses with status 200.
    pub credits: u64,
}

/// A client of the market API that keeps to the plan.
pub struct Client {
    inner: reqwest::Client,
    base: Url,
    key: Option<String>,
    limiter: Limiter,
    turns: Option<Arc<dyn Turns>>,
    clock: Clock,
    stop: Stop,
    attempts: usize,
    max_wait: Duration,
    calls: AtomicU64,
    credits: AtomicU64,
}

impl Client {
    /// A client by these settings, which ends every call as soon as a stop is asked for. Each call waits for its turn.
    ///
    /// # Errors
    /// [`Error::Config`] when the plan needs a key and there is none, or the system's certificates or proxy settings cannot be used.
    pub fn new(
        settings: &Settings,
        clock: Clock,
        stop: Stop,
        turns: Option<Arc<dyn Turns>>,
    ) -> Result<Self> {
        settings.check_key()?;
        let mut headers = HeaderMap::new();
        let key = settings.api_key.as_ref().map(|key| key.expose().to_owned());
        if let Some(key) = &key {
            let mut value = HeaderValue::from_str(key).map_err(|_| {
                Error::config("api_key holds characters that no key has: copy the key again")
            })?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(settings.plan.key_header()), value);
        }
        let inner = builder()
            .default_headers(headers)
            .timeout(settings.timeout)
            .build()
            .map_err(|error| Error::config("the HTTP client cannot be set up").because(error))?;
        Ok(Self {
            inner,
            base: settings.api_url.clone(),
            key,
            limiter: Limiter::per_minute(settings.plan.calls_per_minute),
            turns,
            clock,
            stop,
            attempts: settings.attempts,
            max_wait: settings.max_wait,
            calls: AtomicU64::new(0),
            credits: AtomicU64::new(0),
        })
    }

    /// The URL of a request, as it is landed.
    pub fn url(&self, request: &Request) -> String {
        request.url(&self.base).into()
    }

    /// What has been spent so far.
    pub fn spent(&self) -> Spent {
        Spent {
            calls: self.calls.load(Ordering::Relaxed),
            credits: self.credits.load(Ordering::Relaxed),
        }
    }

    /// Sends a request until there is a response to believe, within the plan's pace. Every whole response, refusals
    /// included, is first handed to `land`; one that is no refusal then to `read`, whose retryable errors are tried
    /// again like the API's own.
    ///
    /// # Errors
    /// [`Error::Source`] with the API's code and words once the tries are used up or trying again is no use; whatever
    /// `land` returns, at once; [`Error::Stopped`].
    pub async fn get<L, T>(
        &self,
        request: &Request,
        land: impl FnMut(&Response) -> Result<L>,
        read: impl FnMut(L, &Response) -> Result<T>,
    ) -> Result<T> {
        self.stop.or(self.fetch(request, land, read)).await
    }

    async fn fetch<L, T>(
        &self,
        request: &Request,
        mut land: impl FnMut(&Response) -> Result<L>,
        mut read: impl FnMut(L, &Response) -> Result<T>,
    ) -> Result<T> {
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(self.max_wait)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build();
        let mut tries = 0;
        loop {
            tries += 1;
            let refused = match self.once(request).await {
                Ok(response) => {
                    failpoint::pass(failpoint::RESPONSE_RECEIVED);
                    let landed = land(&response)?;
                    match refusal(request, &response, self.key.as_deref()) {
                        None => match read(landed, &response) {
                            Err(error) if error.is_retryable() => Refusal {
                                error,
                                retry_after: None,
                            },
                            read => return read,
                        },
                        Some(refused) => refused,
                    }
                }
                Err(error) => Refusal {
                    error,
                    retry_after: None,
                },
            };
            let Refusal { error, retry_after } = refused;
            if !error.is_retryable() {
                return Err(error);
            }
            let Some(delay) = delays.next() else {
                return Err(given_up(error, tries));
            };
            // jitter may go beyond the longest wait, which only the API's own request may not
            let delay = delay.min(self.max_wait);
            let wait = retry_after.map_or(delay, |asked| asked.max(delay));
            if wait > self.max_wait {
                return Err(given_up(error, tries));
            }
            tracing::warn!(
                "{}; trying again in {:.1} s ({tries} of {})",
                error.chain(),
                wait.as_secs_f64(),
                self.attempts
            );
            if retry_after.is_some() {
                self.limiter.hold(wait);
                if let Some(turns) = &self.turns {
                    turns.hold(wait).await?;
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, request: &Request) -> Result<Response> {
        self.limiter.wait().await;
        if let Some(turns) = &self.turns {
            turns.turn().await?;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let url = request.url(&self.base);
        let mut response = self
            .inner
            .get(url.clone())
            .send()
            .await
            .map_err(|error| unreachable(&self.base, error))?;
        let status = response.status().as_u16();
        if status == 200 {
            self.credits.fetch_add(1, Ordering::Relaxed);
        }
        let headers = USEFUL_HEADERS
            .iter()
            .filter_map(|&name| {
                Some((
                    name.to_owned(),
                    response.headers().get(name)?.to_str().ok()?.to_owned(),
                ))
            })
            .collect();
        let body = whole(&mut response, BODY_LIMIT).await;
        let body = body.map_err(|error| cut_short(request, error))?;
        let body = body.ok_or_else(|| Error::Source {
            message: format!(
                "the API's body for {request} is over {} MB, which no real one is: not read",
                BODY_LIMIT >> 20
            ),
            status: Some(status),
            code: None,
            retryable: false,
            cause: None,
        })?;
        let response = Response {
            url: url.into(),
            status,
            headers,
            body,
            received_at: self.clock.now(),
        };
        tracing::debug!(
            "{} {} ({} bytes)",
            response.status,
            response.url,
            response.body.len()
        );
        Ok(response)
    }
}

/// A body, decompressed; `None` as soon as it is longer than that, and then no more of it is read.
async fn whole(response: &mut reqwest::Response, most: usize) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

fn builder() -> reqwest::ClientBuilder {
    // reqwest is built without a TLS provider of its own, so that the tree holds one (ring) instead of two
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(Duration::from_secs(10))
        // a redirect would carry the key to wherever the response says
        .redirect(reqwest::redirect::Policy::none())
}

fn given_up(error: Error, tries: usize) -> Error {
    match error {
        Error::Source {
            message,
            status,
            code,
            retryable,
            cause,
        } if tries > 1 => Error::Source {
            message: format!("{message} (tried {tries} times)"),
            status,
            code,
            retryable,
            cause,
        },
        error => error,
    }
}

fn unreachable(base: &Url, error: reqwest::Error) -> Error {
    let what = if error.is_timeout() {
        "did not respond in time"
    } else {
        "cannot be reached"
    };
    let remedy = "check the network, the proxy variables and COINMILL_API_URL";
    transport(
        format!(
            "the API at {} {what}: {remedy}",
            base.host_str().unwrap_or_default()
        ),
        error,
    )
}

fn cut_short(request: &Request, error: reqwest::Error) -> Error {
    let what = if error.is_timeout() {
        "stalled"
    } else {
        "was cut short"
    };
    transport(format!("the API's body for {request} {what}"), error)
}

fn transport(message: String, error: reqwest::Error) -> Error {
    let error = error.without_url();
    Error::Source {
        message,
        status: None,
        code: None,
        retryable: true,
        cause: Some(error.into()),
    }
}

/// The most bytes of a simulated market's clock.
const CLOCK_LIMIT: usize = 1 << 16;

/// The present instant by the clock that a setting names, or by the machine's where the simulated market does not say its own: for
/// looking at what is stored, which needs no market.
pub async fn now(settings: &Settings) -> DateTime<Utc> {
    clock(settings)
        .await
        .map_or_else(|_| Utc::now(), Clock::now)
}

/// The clock that a setting names. The simulated market is asked for its own; that is no API call.
///
/// # Errors
/// [`Error::Config`] when the server at the API's address is not a `coinmill sim`.
pub async fn clock(settings: &Settings) -> Result<Clock> {
    #[derive(Deserialize)]
    struct Told {
        now: DateTime<Utc>,
        frozen: bool,
    }
    match settings.clock {
        ClockSetting::System => Ok(Clock::System),
        ClockSetting::Frozen(instant) => Ok(Clock::Frozen(instant)),
        ClockSetting::Sim => {
            let remedy = "clock is `sim`, but the server at COINMILL_API_URL gives no clock: start `coinmill sim`, or set \
                          COINMILL_CLOCK=system";
            let mut url = settings.api_url.clone();
            url.set_path("/sim/clock");
            let client = builder().timeout(settings.timeout).build();
            let client = client.map_err(|error| {
                Error::config("the HTTP client cannot be set up").because(error)
            })?;
            let told = async {
                let response = client.get(url).send().await?;
                whole(&mut response.error_for_status()?, CLOCK_LIMIT).await
            };
            let told = told
                .await
                .map_err(|error| Error::config(remedy).because(error.without_url()))?
                .ok_or_else(|| Error::config(remedy))?;
            let told: Told = serde_json::from_slice(&told)
                .map_err(|error| Error::config(remedy).because(error))?;
            Ok(if told.frozen {
                Clock::Frozen(told.now)
            } else {
                Clock::Shifted(told.now - Utc::now())
            })
        }
    }
}
