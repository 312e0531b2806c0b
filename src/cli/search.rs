//! `coinmill search` and `coinmill resolve`: candidates as a table, or the one id that is meant.
//! They are found by the pipeline.

use serde::Serialize;

use super::layout::{shortened, table, wrapped};
use super::settings::SettingArguments;
use super::show::{LONGEST_SYMBOL, dash};
use super::{COMPLETE, print};
use crate::error::Result;
use crate::market::CoinId;
use crate::pipeline::{self, Candidate, Search, SearchReport};

/// The longest id and name of a candidate that a terminal shows whole: they are what it is told by.
const LONGEST: usize = 28;

#[derive(Debug, clap::Args)]
pub(super) struct SearchArguments {
    /// An id, a symbol, a name, or a part of one
    text: String,
    /// The most coins to list
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    settings: SettingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResolveArguments {
    /// An id, a symbol or a name
    text: String,
    #[command(flatten)]
    settings: SettingArguments,
}

pub(super) async fn search(arguments: SearchArguments, json: bool) -> Result<u8> {
    let settings = arguments.settings.load()?;
    let wanted = Search {
        text: arguments.text,
        limit: arguments.limit as usize,
    };
    let report = pipeline::search(&settings, &wanted).await?;
    print(json, &report, || text(&report, &wanted.text))?;
    Ok(COMPLETE)
}

pub(super) async fn resolve(arguments: ResolveArguments, json: bool) -> Result<u8> {
    let settings = arguments.settings.load()?;
    let coin_id = pipeline::resolve(&settings, &arguments.text).await?;
    let resolved = Resolved { coin_id };
    print(json, &resolved, || resolved.coin_id.to_string())?;
    Ok(COMPLETE)
}

/// A coin for scripts.
#[derive(Serialize)]
struct Resolved {
    coin_id: CoinId,
}

fn text(report: &SearchReport, wanted: &str) -> String {
    let mut text = match report.coins.as_slice() {
        [] => format!(
            "no coin has {} in its id, symbol or name",
            shortened(wanted, LONGEST)
        ),
        coins => {
            let header = ["coin", "symbol", "name", "rank", "match", "delisted"];
            table(&header, &[3], coins.iter().map(row).collect()).trim_fmt()
        }
    };
    if let more @ 1.. = report.found - report.coins.len() as u64 {
        text.push_str(&format!("\nand {more} more: --limit lists more of them"));
    }
    if let Some(warning) = &report.warning {
        text.push('\n');
        text.push_str(&wrapped(warning, 0));
    }
    text
}

fn row(coin: &Candidate) -> Vec<String> {
    let or_dash = |text: &Option<String>, most| {
        text.as_ref()
            .map_or_else(dash, |text| shortened(text, most))
    };
    vec![
        shortened(&coin.coin_id, LONGEST),
        or_dash(&coin.symbol, LONGEST_SYMBOL),
        or_dash(&coin.name, LONGEST),
        coin.market_cap_rank
            .map_or_else(dash, |rank| rank.to_string()),
        coin.fits.name().to_owned(),
        coin.delisted_at
            .map(|at| at.format("%Y-%m-%d").to_string())
            .unwrap_or_default(),
    ]
}
