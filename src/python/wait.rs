//! Waiting for Rust from Python: the interpreter is free meanwhile, and signals are looked at.
//! The only place that makes a runtime.

use std::future::Future;
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::errors::{StoreError, to_exception};
use crate::error::Result;
use crate::stop::Stopper;

/// How often Python's signal handlers get a chance.
const SIGNALS: Duration = Duration::from_millis(100);

/// The longest wait, at the end of a call, for threads of the runtime that are still at work.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// How long a run that was asked to stop may take to write down how it ended.
const GRACE: Duration = Duration::from_secs(2);

/// A runtime for one call or one object.
pub(super) fn runtime() -> PyResult<Runtime> {
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("coinmill")
        .enable_all()
        .build();
    built.map_err(|error| StoreError::new_err(format!("the system gives no threads: {error}")))
}

/// Does some work with the interpreter released. Where a signal handler raises, work that listens to the stopper gets
/// [`GRACE`] to end in good order and any other is dropped; then the exception goes on: Ctrl-C and SIGTERM handlers work as
/// they do in Python.
pub(super) fn block_on<T: Send, F: Future<Output = Result<T>> + Send>(
    py: Python<'_>,
    work: impl FnOnce(&Stopper) -> F + Send,
) -> PyResult<T> {
    py.detach(|| {
        let runtime = runtime()?;
        let stopper = Stopper::default();
        let outcome = runtime.block_on(async {
            let work = work(&stopper);
            tokio::pin!(work);
            let raised = tokio::select! {
                outcome = &mut work => {
                    return outcome.map_err(|error| Python::attach(|py| to_exception(py, &error)));
                }
                raised = raised() => raised,
            };
            if stopper.stop() {
                tokio::select! {
                    _ = work => {}
                    // who presses Ctrl-C twice does not want to wait
                    _ = self::raised() => {}
                    () = tokio::time::sleep(GRACE) => {}
                }
            }
            Err(raised)
        });
        runtime.shutdown_timeout(SHUTDOWN);
        outcome
    })
}

/// Returns what a signal handler raises.
async fn raised() -> PyErr {
    let mut signals = tokio::time::interval(SIGNALS);
    loop {
        signals.tick().await;
        if let Err(raised) = Python::attach(|py| py.check_signals()) {
            return raised;
        }
    }
}
