//! `coinmill price`: the newest stored prices as a line, or as a small table.
//! They are read by the pipeline.

use std::fmt::Write as _;
use std::time::Duration;

use super::layout::{line, shortened, table, wrapped};
use super::settings::SettingArguments;
use super::show::{LONGEST_NAME, LONGEST_SYMBOL, dash};
use super::{COMPLETE, print};
use crate::error::Result;
use crate::market::CoinId;
use crate::pipeline::{self, LatestPrice, PriceReport, in_words};

#[derive(Debug, clap::Args)]
pub(super) struct PriceArguments {
    /// The coins, by id, such as bitcoin
    #[arg(value_name = "COIN", required = true)]
    of: Vec<CoinId>,
    #[command(flatten)]
    settings: SettingArguments,
}

pub(super) async fn price(arguments: PriceArguments, json: bool) -> Result<u8> {
    let settings = arguments.settings.load()?;
    let report = pipeline::price(&settings, &arguments.of).await?;
    print(json, &report, || text(&report))?;
    Ok(COMPLETE)
}

fn text(report: &PriceReport) -> String {
    let mut text = match report.prices.as_slice() {
        [one] => alone(one, &report.vs_currency),
        several => side_by_side(several, &report.vs_currency),
    };
    for price in &report.prices {
        if let Some(warning) = &price.warning {
            let _infallible = write!(text, "\n{}", wrapped(&format!("warning: {warning}"), 0));
        }
    }
    text
}

/// One coin, with everything that is known of its price.
fn alone(price: &LatestPrice, vs_currency: &str) -> String {
    let value = price.current_price.map_or_else(
        || "no price".to_owned(),
        |value| format!("{value} {vs_currency}"),
    );
    let change = price
        .price_change_pct_24h
        .map_or_else(String::new, |change| format!("  {change:+.2} % in 24 h"));
    let (id, symbol) = (
        shortened(price.coin_id.as_str(), LONGEST_NAME),
        shortened(&price.symbol, LONGEST_SYMBOL),
    );
    let mut text = format!("{id} ({symbol})  {value}{change}\n");
    let updated = price.last_updated.map_or_else(String::new, |at| {
        format!(", updated {}", at.format("%Y-%m-%dT%H:%M:%SZ"))
    });
    line(&mut text, "age", &format!("{}{updated}", age(price)));
    line(&mut text, "snapshot", &price.slot.to_string());
    text.trim_end().to_owned()
}

fn side_by_side(prices: &[LatestPrice], vs_currency: &str) -> String {
    let header = [
        "coin",
        "symbol",
        &format!("price ({vs_currency})"),
        "24 h %",
        "age",
        "snapshot",
    ];
    let row = |price: &LatestPrice| {
        vec![
            shortened(price.coin_id.as_str(), LONGEST_NAME),
            shortened(&price.symbol, LONGEST_SYMBOL),
            price
                .current_price
                .map_or_else(dash, |price| price.to_string()),
            price
                .price_change_pct_24h
                .map_or_else(dash, |change| format!("{change:+.2}")),
            age(price),
            price.slot.start().format("%m-%d %H:%MZ").to_string(),
        ]
    };
    table(&header, &[2, 3, 4], prices.iter().map(row).collect()).trim_fmt()
}

fn age(price: &LatestPrice) -> String {
    in_words(Duration::from_secs(price.age_s))
}
