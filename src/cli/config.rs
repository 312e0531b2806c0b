//! `coinmill config`: each setting, its value in force, and where that comes from.
//! Values and their origins are known to `config`.

use std::fmt::Write as _;

use super::layout::wrapped;
use super::settings::{SettingArguments, flag};
use super::{COMPLETE, print};
use crate::config::{ShownSetting, ShownSettings};
use crate::error::Result;

/// Where the values begin: two columns after the longest name.
const VALUE: usize = 24;

pub(super) fn config(settings: SettingArguments, json: bool) -> Result<u8> {
    let shown = settings.show()?;
    print(json, &shown, || text(&shown))?;
    Ok(COMPLETE)
}

fn text(shown: &ShownSettings) -> String {
    let mut text = String::new();
    for setting in &shown.settings {
        let value = setting.value.as_deref().unwrap_or("-");
        let said = format!("{value} ({})", origin(setting));
        let said = wrapped(&said, VALUE);
        let _infallible = writeln!(text, "{:<width$}{said}", setting.name, width = VALUE);
    }
    text
}

fn origin(setting: &ShownSetting) -> String {
    match (setting.origin, &setting.place) {
        ("argument", _) => flag(setting.name),
        (_, Some(place)) => place.clone(),
        (from, None) => from.to_owned(),
    }
}
