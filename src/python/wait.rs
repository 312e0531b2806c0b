//! Waiting for Rust from Python: the interpreter is free meanwhile, and signals are looked at.
//! The only place that makes a runtime.

use std::future::Future;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

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

/// Does something that makes a runtime wait: on a thread of its own where this one belongs to a runtime, as it does in a function
/// that a run calls, and tokio lets none wait within another.
pub(super) fn outside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if Handle::try_current().is_err() {
        return work();
    }
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// How a wait ended.
pub(super) enum Ended<T, R> {
    /// The work is done.
    Done(T),
    /// Somebody asked for the end; the work's own outcome, where it came in time.
    Stopped(R, Option<T>),
}

/// Waits for work until somebody asks for its end. Then work that listens to the stopper gets [`GRACE`] to end in good
/// order, unless somebody asks again, and any other is dropped.
pub(super) async fn until<T, R>(
    work: impl Future<Output = T>,
    stopper: &Stopper,
    stopped: impl Future<Output = R>,
    again: impl Future<Output = R>,
) -> Ended<T, R> {
    tokio::pin!(work);
    let reason = tokio::select! {
        outcome = &mut work => return Ended::Done(outcome),
        reason = stopped => reason,
    };
    let mut outcome = None;
    if stopper.stop() {
        tokio::select! {
            done = work => outcome = Some(done),
            _ = again => {}
            () = tokio::time::sleep(GRACE) => {}
        }
    }
    Ended::Stopped(reason, outcome)
}

/// Does some work with the interpreter released. Where a signal handler raises, the work is asked to end, and the exception
/// goes on: Ctrl-C and SIGTERM handlers work as they do in Python.
pub(super) fn block_on<T: Send, F: Future<Output = Result<T>> + Send>(
    py: Python<'_>,
    work: impl FnOnce(Stopper) -> F + Send,
) -> PyResult<T> {
    py.detach(|| {
        let runtime = runtime()?;
        let stopper = Stopper::default();
        let work = work(stopper.clone());
        // who presses Ctrl-C twice does not want to wait
        let ended = outside(|| {
            let ended = runtime.block_on(until(work, &stopper, raised(), raised()));
            runtime.shutdown_timeout(SHUTDOWN);
            ended
        });
        match ended {
            Ended::Stopped(raised, _) => Err(raised),
            Ended::Done(outcome) => Python::attach(|py| match PyErr::take(py) {
                Some(raised) => Err(raised),
                None => outcome.map_err(|error| to_exception(py, &error)),
            }),
        }
    })
}

/// Returns what a signal handler raises. Python may have called it while it wrote a log record of ours; then it is waiting.
async fn raised() -> PyErr {
    let mut signals = tokio::time::interval(SIGNALS);
    loop {
        signals.tick().await;
        let raised = Python::attach(|py| match PyErr::take(py) {
            Some(raised) => Err(raised),
            None => py.check_signals(),
        });
        if let Err(raised) = raised {
            return raised;
        }
    }
}
