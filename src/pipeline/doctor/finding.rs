//! A finding: what was looked at, and whether it is well.
//! Findings are made by the neighbours.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};

/// The longest that one check may take: a server that drops what is sent must not hold up the others.
const LONGEST: Duration = Duration::from_secs(12);

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing has to be done.
    Ok,
    /// Runs work, and something should be looked at.
    Warning,
    /// Runs fail until it is corrected.
    Failed,
}

impl Health {
    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How well it is.
    pub state: Health,
    /// What was found, and the remedy where one is needed. It holds no secret.
    pub message: String,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            state: Health::Ok,
            message: message.into(),
        }
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            state: Health::Warning,
            message: message.into(),
        }
    }

    pub(super) fn failed(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            state: Health::Failed,
            message: message.into(),
        }
    }

    pub(super) fn of_error(check: &'static str, error: &Error) -> Self {
        Self::failed(check, error.chain())
    }
}

/// What comes of a look within its time.
pub(super) async fn in_time<T>(look: impl Future<Output = Result<T>>) -> Result<T> {
    let looked = tokio::time::timeout(LONGEST, look).await;
    looked.unwrap_or_else(|_| {
        Err(Error::Store {
            message: format!(
                "no response within {} s: see whether it is overloaded, or whether a firewall drops what is sent",
                LONGEST.as_secs()
            ),
            retryable: true,
            cause: None,
        })
    })
}
