//! `coinmill check`: one line and one exit code about the newest snapshot.
//! The verdict is the pipeline's.

use std::time::Duration;

use super::settings::SettingArguments;
use super::{COMPLETE, PARTIAL, failure, print};
use crate::error::Result;
use crate::pipeline::{self, Verdict};

#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// The oldest that the newest snapshot may be, counted from the start of its half-hour: 45m, 90min, 2h
    #[arg(long, value_name = "TIME", default_value = "45m", value_parser = duration)]
    max_age: Duration,
    #[command(flatten)]
    settings: SettingArguments,
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|error| format!("{error}; write a number and its unit, such as 45m, 90min or 2h"))
}

pub(super) async fn check(arguments: CheckArguments, json: bool) -> Result<u8> {
    let settings = arguments.settings.load()?;
    let check = pipeline::check(&settings, arguments.max_age).await?;
    print(json, &check, || check.reason.clone())?;
    Ok(match check.state {
        Verdict::Complete => COMPLETE,
        Verdict::Partial => PARTIAL,
        Verdict::Late | Verdict::Missing => failure::FAILED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        let minutes = |text| duration(text).map(|time| time.as_secs() / 60);
        for (text, time) in [("45m", 45), ("90min", 90), ("1h 30m", 90), ("2 hours", 120)] {
            assert_eq!(minutes(text), Ok(time), "{text}");
        }
        for text in ["45", "", "-5m", "soon", "5x"] {
            let error = minutes(text).unwrap_err();
            assert!(error.contains("such as 45m"), "{text}: {error}");
        }
    }
}
