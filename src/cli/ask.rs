//! What is asked before something large begins.
//! Only on a terminal: a script has said what it wants.

use std::io::{self, IsTerminal as _, Write as _};

use super::layout::on_stderr;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pipeline::{self, Backfill};

/// From which part of the month on a backfill asks, in percent.
const LARGE: f64 = 10.0;

/// Says what a backfill takes, and asks where that is much.
///
/// # Errors
/// [`Error::Argument`] where the response is no; as [`pipeline::estimate`].
pub(super) async fn before_a_backfill(
    settings: &Settings,
    wanted: &Backfill,
    yes: bool,
) -> Result<()> {
    let estimate = pipeline::estimate(settings, wanted).await?;
    if estimate.calls == 0 {
        return Ok(());
    }
    let mut stderr = io::stderr();
    let _unread = writeln!(stderr, "{}", on_stderr(&estimate.to_string()));
    let is_large = estimate.month_pct.is_some_and(|part| part > LARGE);
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if yes || !is_large || !can_ask {
        return Ok(());
    }
    let _unread = write!(stderr, "begin? [y/N] ").and_then(|()| stderr.flush());
    let response = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let said = response
        .await
        .ok()
        .and_then(io::Result::ok)
        .unwrap_or_default();
    if matches!(said.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::argument(
        "not begun, and nothing was called: --yes begins without asking",
    ))
}
