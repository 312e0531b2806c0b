//! `coinmill doctor`: a line for each thing that was looked at, and one exit code.
//! Looking is the pipeline's work.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::layout::{harmless, wrapped};
use super::settings::SettingArguments;
use super::{COMPLETE, failure, print};
use crate::error::Result;
use crate::pipeline::{self, Doctor, Health};

/// Where what was found begins.
const FOUND: usize = 28;

pub(super) async fn doctor(is_offline: bool, settings: SettingArguments, json: bool) -> Result<u8> {
    let settings = settings.load()?;
    let doctor = pipeline::doctor(&settings, is_offline).await;
    print(json, &doctor, || text(&doctor))?;
    Ok(match doctor.state {
        Health::Ok | Health::Warning => COMPLETE,
        Health::Failed => failure::FAILED,
    })
}

fn text(doctor: &Doctor) -> String {
    let mut text = String::new();
    for finding in &doctor.checks {
        let color = match finding.state {
            Health::Ok => AnsiColor::Green,
            Health::Warning => AnsiColor::Yellow,
            Health::Failed => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        let found = wrapped(&harmless(&finding.message), FOUND);
        let _infallible = writeln!(
            text,
            "{style}{:<8}{style:#} {:<18} {found}",
            finding.state.name(),
            finding.check
        );
    }
    text
}
