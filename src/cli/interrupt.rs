//! Ctrl-C and SIGTERM: a run ends in good order, anything else at once.
//! Which signal it was decides the exit code, as shells count it.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::failure;
use crate::error::{Error, Result};
use crate::stop::Stopper;

/// How long a run that was asked to stop may take to write down how it ended.
const GRACE: Duration = Duration::from_secs(3);

/// The exit code of a command that SIGINT ended (128 and the signal's number, as shells have it).
const INTERRUPTED: u8 = 130;

/// The exit code of a command that SIGTERM ended.
#[cfg(unix)]
const TERMINATED: u8 = 143;

/// What a signal asks to stop, and which signal it was.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    pub(super) stopper: Stopper,
    code: AtomicU8,
}

impl Interrupt {
    /// The exit code that an error asks for.
    pub(super) fn code_of(&self, error: &Error) -> u8 {
        match error {
            Error::Stopped { .. } => self.code.load(Ordering::Relaxed),
            error => failure::code(error),
        }
    }

    /// Waits for a command. On a signal, one that listens to the stopper is asked to end and has [`GRACE`] for it, unless a
    /// second signal comes; any other is dropped.
    pub(super) async fn or_stopped(
        &self,
        json: bool,
        command: impl Future<Output = Result<u8>>,
    ) -> Result<u8> {
        tokio::pin!(command);
        let code = tokio::select! {
            done = &mut command => return done,
            code = signal() => code,
        };
        self.code.store(code, Ordering::Relaxed);
        if !self.stopper.stop() {
            return Ok(failure::interrupted(code, json));
        }
        tokio::select! {
            done = command => match done {
                Err(error @ Error::Stopped { .. }) => Ok(failure::told(&error, code, json)),
                done => done,
            },
            _ = signal() => Ok(failure::interrupted(code, json)),
            () = tokio::time::sleep(GRACE) => Ok(failure::told(&Error::stopped(), code, json)),
        }
    }
}

#[cfg(unix)]
async fn signal() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!("SIGTERM cannot be listened to: {error}");
            return interrupt().await;
        }
    };
    tokio::select! {
        code = interrupt() => code,
        _ = terminate.recv() => TERMINATED,
    }
}

#[cfg(not(unix))]
async fn signal() -> u8 {
    interrupt().await
}

async fn interrupt() -> u8 {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!("Ctrl-C cannot be listened to: {error}");
        std::future::pending::<()>().await;
    }
    INTERRUPTED
}
