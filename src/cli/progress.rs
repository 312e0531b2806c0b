//! A progress bar on a terminal, and nothing elsewhere.
//! It only shows; what it shows comes from the pipeline.

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::Progress;

/// A bar on stderr; hidden where stderr is no terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template(
            "{elapsed_precise} [{bar:40}] {pos} of {len} {msg}, about {eta} left",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.expected);
        self.0.set_position(progress.received);
        self.0.set_message(progress.unit);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
