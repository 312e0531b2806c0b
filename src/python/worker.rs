//! The far side of a call on SQLite: a process that does one call and sends its result.
//! It imports no Python code, reads no setting, and ends with its parent.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use pyo3::prelude::*;

use super::wait::{self, Ended};
use crate::config::{Layers, Settings};
use crate::error::{Error, Result};
use crate::remote::call::Returned;
use crate::remote::wire::{self, Logged, Order, Request, Said};
use crate::stop::{Stop, Stopper};

/// How often it looks whether its parent lives.
#[cfg(unix)]
const PARENT: std::time::Duration = std::time::Duration::from_millis(250);

/// Does the one call that is asked for over standard input, and ends the process.
#[pyfunction]
pub(super) fn _work(py: Python<'_>) -> PyResult<()> {
    py.detach(|| {
        let parent = parent();
        let mouth = Mouth::default();
        wire::greet(&mut io::stdout(), env!("CARGO_PKG_VERSION"))?;
        let Some(Order::Begin(request)) = Order::read(&mut io::stdin().lock())? else {
            return Ok(());
        };
        mouth.listen_to_logs();
        let ending = Stopper::default();
        end_with(parent, &ending);
        let said = match work(request, &ending, &mouth)? {
            Ok(returned) => Said::Done(returned),
            Err(error) => Said::Failed(error.in_one_text()),
        };
        mouth.say(&said)?;
        // nothing of Python is in use, and its own ending would only take time
        std::process::exit(0)
    })
}

fn work(request: Request, ending: &Stopper, mouth: &Mouth) -> PyResult<Result<Returned>> {
    let runtime = wait::runtime()?;
    let outcome = runtime.block_on(async {
        let layers = Layers::default().with_arguments(request.settings)?;
        let settings = Settings::resolve(&layers)?;
        let (stopper, ended) = (Stopper::default(), ending.listen());
        let tell = |progress| {
            let _nobody = mouth.say(&Said::Progress(progress));
        };
        let work = request.call.run(&settings, &stopper, &tell);
        match wait::until(work, &stopper, end_of(&ended), std::future::pending()).await {
            Ended::Done(outcome) | Ended::Stopped((), Some(outcome)) => outcome,
            Ended::Stopped((), None) => Err(Error::stopped()),
        }
    });
    // a thread that dropped work left busy must not keep the process
    runtime.shutdown_background();
    Ok(outcome)
}

/// Returns when the parent asks for the end, has gone, or somebody sends SIGTERM to all that runs on the machine.
async fn end_of(ended: &Stop) {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            () = ended.requested() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    ended.requested().await;
}

/// Asks for the end as soon as the parent does, or is gone. The end of standard input alone would not tell: a fork of the
/// parent, made while the pipe was open, keeps it open.
fn end_with(parent: u32, ending: &Stopper) {
    let told = ending.clone();
    thread::spawn(move || {
        // an order to stop, the end of the pipe and nonsense all mean the same
        let _order = Order::read(&mut io::stdin().lock());
        told.stop();
    });
    #[cfg(unix)]
    {
        let gone = ending.clone();
        thread::spawn(move || {
            while self::parent() == parent {
                thread::sleep(PARENT);
            }
            gone.stop();
        });
    }
}

#[cfg(unix)]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent() -> u32 {
    0
}

/// Standard output, which the result and all log records share.
#[derive(Default, Clone)]
struct Mouth(Arc<Mutex<()>>);

impl Mouth {
    fn say(&self, said: &Said) -> io::Result<()> {
        let _whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        said.write(&mut out)?;
        out.flush()
    }

    /// The parent's logger asks Python's for levels each time; what it would never let through stays here.
    fn listen_to_logs(&self) {
        if log::set_boxed_logger(Box::new(self.clone())).is_ok() {
            log::set_max_level(log::LevelFilter::Debug);
        }
    }
}

impl log::Log for Mouth {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        super::is_told(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            // a parent that has gone hears nothing, and the work ends by itself
            let _nobody = self.say(&Said::Log(Logged::from(record)));
        }
    }

    fn flush(&self) {}
}
