//! Waiting for Rust from Python: the interpreter is free meanwhile, and signals are looked at.
//! The only place that makes a runtime.

use std::future::Future;
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::errors::{StoreError, to_exception};
use crate::error::Result;

/// How often Python's signal handlers get a chance.
const SIGNALS: Duration = Duration::from_millis(100);

/// The longest wait, at the end of a call, for threads of the runtime that are still at work.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// A runtime for one call or one object.
pub(super) fn runtime() -> PyResult<Runtime> {
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("coinmill")
        .enable_all()
        .build();
    built.map_err(|error| StoreError::new_err(format!("the system gives no threads: {error}")))
}

/// Runs a future to its end with the interpreter released. Where a signal handler raises, the future is dropped and the
/// exception goes on: Ctrl-C and SIGTERM handlers work as they do in Python.
pub(super) fn block_on<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = Result<T>> + Send,
) -> PyResult<T> {
    py.detach(|| {
        let runtime = runtime()?;
        let outcome = runtime.block_on(async {
            tokio::pin!(future);
            let mut signals = tokio::time::interval(SIGNALS);
            loop {
                tokio::select! {
                    outcome = &mut future => {
                        return outcome.map_err(|error| Python::attach(|py| to_exception(py, &error)));
                    }
                    _ = signals.tick() => Python::attach(|py| py.check_signals())?,
                }
            }
        });
        runtime.shutdown_timeout(SHUTDOWN);
        outcome
    })
}
