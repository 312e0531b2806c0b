//! A progress bar on a terminal, and nothing elsewhere; log lines that keep off it.
//! It only shows; what it shows comes from the pipeline.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::layout::on_stderr;
use crate::pipeline::{Observer, Progress};
use crate::stop::Stopper;

/// The bar that is on the terminal, for whoever writes beside it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// How often the time on the bar is written anew while nothing else comes.
const TICK: Duration = Duration::from_secs(1);

/// Does a run, with a bar as long as it lasts.
pub(super) async fn shown<T>(stopper: &Stopper, run: impl AsyncFnOnce(&Observer<'_>) -> T) -> T {
    let bar = Bar::new();
    let show = |progress| bar.show(progress);
    let observer = Observer::new(&show).stopped_by(stopper.listen());
    let outcome = run(&observer).await;
    bar.clear();
    outcome
}

/// Stderr for log lines: where a bar is shown it makes room for each, and comes back below it.
pub(super) struct BesideTheBar;

impl Write for BesideTheBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a line comes whole, with its end
        let line = String::from_utf8_lossy(bytes);
        let line = on_stderr(line.trim_end_matches('\n'));
        let write = || writeln!(io::stderr(), "{line}");
        let bar = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        match bar.as_ref() {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A bar on stderr; hidden where stderr is no terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        // as wide as the terminal leaves room for: a line that is broken would stay there
        let style =
            ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos} of {len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_none() {
            *shown = Some(self.0.clone());
            self.0.enable_steady_tick(TICK);
        }
        drop(shown);
        self.0.set_length(progress.expected);
        self.0.set_position(progress.received);
        let left = by_pace(progress).map_or(self.0.eta(), |paced| paced.max(self.0.eta()));
        let left = HumanDuration(left);
        self.0
            .set_message(format!("{}, about {left} left", progress.unit));
    }

    pub(super) fn clear(&self) {
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    /// A run that is dropped half done leaves no bar behind.
    fn drop(&mut self) {
        self.clear();
    }
}

/// How long the rest takes at the plan's pace, however fast the first calls were.
fn by_pace(progress: Progress) -> Option<Duration> {
    let rest = progress.expected.saturating_sub(progress.received);
    let minutes = rest / u64::from(progress.per_minute?.max(1));
    Some(Duration::from_secs(minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Unit;

    #[test]
    fn the_plan_s_pace_is_known_before_the_first_call() {
        let progress = |received| Progress {
            received,
            expected: 20,
            unit: Unit::Charts,
            per_minute: Some(5),
        };
        assert_eq!(by_pace(progress(0)), Some(Duration::from_secs(240)));
        // what a minute still takes goes out at once
        assert_eq!(by_pace(progress(16)), Some(Duration::ZERO));
        let unlimited = Progress {
            per_minute: None,
            ..progress(0)
        };
        assert_eq!(by_pace(unlimited), None);
    }
}
