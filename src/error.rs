//! The one error of the crate, with variants by what the caller does next.
//! It does not know HTTP, SQL or Python: those layers turn their own errors into these.

use std::error::Error as StdError;

use serde::{Deserialize, Serialize};

/// The underlying cause of an [`Error`], kept for `source()` and never repeated in the message.
pub type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// What a fallible operation of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The most characters of a text from outside that a message repeats.
const REPEATED: usize = 60;

/// A text from outside as a message repeats it: the beginning, where it is long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(REPEATED) {
        None => text.to_owned(),
        Some(_) => text.chars().take(REPEATED - 1).chain(['…']).collect(),
    }
}

/// What went wrong, sorted by what the caller can do about it.
///
/// Messages are lower case, name the thing and the remedy, and never hold a key or a password.
/// What it is caused by is not serialised: [`Error::in_one_text`] keeps the words.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Error {
    /// An argument cannot be used: correct the call.
    #[error("{message}")]
    Argument {
        /// What is wrong and what would be right.
        message: String,
    },
    /// A setting cannot be used, or something outside the call has to be set up first: correct it, then call again.
    #[error("{message}")]
    Config {
        /// What is wrong and how to set it right.
        message: String,
        /// The error underneath.
        #[source]
        #[serde(skip)]
        cause: Option<Cause>,
    },
    /// The market API refused, or could not be reached.
    #[error("{message}")]
    Source {
        /// The API's own words, with the remedy where one is known.
        message: String,
        /// The HTTP status, where a response was received.
        status: Option<u16>,
        /// The API's own error code (such as 10011), where the response held one.
        code: Option<i64>,
        /// True where the same call may succeed later.
        retryable: bool,
        /// The error underneath.
        #[source]
        #[serde(skip)]
        cause: Option<Cause>,
    },
    /// The plan's calls are spent: wait for the next month, or raise the plan's numbers.
    #[error("{message}")]
    Budget {
        /// What is spent and when it is renewed.
        message: String,
    },
    /// What was received, landed or stored is damaged, or not what it has to be.
    #[error("{message}")]
    Data {
        /// What is wrong with it and what to do.
        message: String,
        /// The error underneath.
        #[source]
        #[serde(skip)]
        cause: Option<Cause>,
    },
    /// A database or the landing folder refused or could not be reached.
    #[error("{message}")]
    Store {
        /// What failed and the remedy.
        message: String,
        /// True where the same call may succeed later.
        retryable: bool,
        /// The error underneath.
        #[source]
        #[serde(skip)]
        cause: Option<Cause>,
    },
    /// Another run holds the slot or the series: let it finish.
    #[error("{message}")]
    Held {
        /// What is held.
        message: String,
    },
    /// The slot is over, and the API serves only the present: nothing can be done.
    #[error("{message}")]
    Past {
        /// Which slot.
        message: String,
    },
    /// The caller asked the run to stop: run it again to resume.
    #[error("{message}")]
    Stopped {
        /// What to do to go on.
        message: String,
    },
    /// The run committed less than the set completeness: run again where that can help, it asks only for the rest.
    #[error("{message}")]
    Incomplete {
        /// What is missing.
        message: String,
        /// True where another run can bring more.
        retryable: bool,
        /// The run's report, as JSON.
        report: Box<serde_json::Value>,
    },
}

impl Error {
    /// A bad argument.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::Argument {
            message: message.into(),
        }
    }

    /// A setting or set-up that has to be corrected.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config {
            message: message.into(),
            cause: None,
        }
    }

    /// Spent calls.
    pub fn budget(message: impl Into<String>) -> Self {
        Self::Budget {
            message: message.into(),
        }
    }

    /// Data that cannot be believed.
    pub fn data(message: impl Into<String>) -> Self {
        Self::Data {
            message: message.into(),
            cause: None,
        }
    }

    /// A database or folder that refuses, for good.
    pub fn store(message: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Store {
            message: message.into(),
            retryable: false,
            cause: Some(cause.into()),
        }
    }

    /// A run that was asked to stop.
    pub fn stopped() -> Self {
        Self::Stopped {
            message: "stopped; run it again to resume".to_owned(),
        }
    }

    /// The same error of the API, for the first of several calls that failed.
    #[must_use]
    pub fn and_more(mut self, more: usize) -> Self {
        if let (Self::Source { message, .. }, 1..) = (&mut self, more) {
            message.push_str(&format!("; and {more} more failed"));
        }
        self
    }

    /// The same error with its underlying cause; the variants without one are returned as they are.
    #[must_use]
    pub fn because(mut self, because: impl Into<Cause>) -> Self {
        match &mut self {
            Self::Config { cause, .. }
            | Self::Source { cause, .. }
            | Self::Data { cause, .. }
            | Self::Store { cause, .. } => *cause = Some(because.into()),
            _ => {}
        }
        self
    }

    /// The same error with its whole [`Error::chain`] as its message, as it goes to another process.
    #[must_use]
    pub fn in_one_text(mut self) -> Self {
        let text = self.chain();
        match &mut self {
            Self::Argument { message }
            | Self::Config { message, .. }
            | Self::Source { message, .. }
            | Self::Budget { message }
            | Self::Data { message, .. }
            | Self::Store { message, .. }
            | Self::Held { message }
            | Self::Past { message }
            | Self::Stopped { message }
            | Self::Incomplete { message, .. } => *message = text,
        }
        self
    }

    /// The name of its variant, in lower case.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Argument { .. } => "argument",
            Self::Config { .. } => "config",
            Self::Source { .. } => "source",
            Self::Budget { .. } => "budget",
            Self::Data { .. } => "data",
            Self::Store { .. } => "store",
            Self::Held { .. } => "held",
            Self::Past { .. } => "past",
            Self::Stopped { .. } => "stopped",
            Self::Incomplete { .. } => "incomplete",
        }
    }

    /// True where the same call may succeed later. The only retry policy of the crate.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Source { retryable, .. }
            | Self::Store { retryable, .. }
            | Self::Incomplete { retryable, .. } => *retryable,
            Self::Held { .. } | Self::Stopped { .. } => true,
            _ => false,
        }
    }

    /// The message followed by every cause, outermost first, joined with `: `. Repeated texts are said once.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let said = cause.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            next = cause.source();
        }
        text
    }
}
