//! A progress bar on a terminal, and nothing elsewhere.
//! It only shows; what it shows comes from the pipeline.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::pipeline::{Observer, Progress};
use crate::stop::Stopper;

/// Does a run, with a bar as long as it lasts.
pub(super) async fn shown<T>(stopper: &Stopper, run: impl AsyncFnOnce(&Observer<'_>) -> T) -> T {
    let bar = Bar::new();
    let show = |progress| bar.show(progress);
    let observer = Observer::new(&show).stopped_by(stopper.listen());
    let outcome = run(&observer).await;
    bar.clear();
    outcome
}

/// A bar on stderr; hidden where stderr is no terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style =
            ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos} of {len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.expected);
        self.0.set_position(progress.received);
        let left = by_pace(progress).map_or(self.0.eta(), |paced| paced.max(self.0.eta()));
        let left = HumanDuration(left);
        self.0
            .set_message(format!("{}, about {left} left", progress.unit));
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
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

    #[test]
    fn the_plan_s_pace_is_known_before_the_first_call() {
        let progress = |received| Progress {
            received,
            expected: 20,
            unit: "charts",
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
