//! Which indicators are wanted, with what lengths, and what their columns are called.
//! Parameters come as users give them, and are refused here in their words.

use super::extremes::Extremes;
use super::smoothing::{Ema, Macd, Rsi};
use super::spacing::MaxGap;
use super::volatility::Volatility;
use super::window::{Spread, Window};
use super::{Indicator, Named};
use crate::error::{Error, Result};
use crate::market::Kind;

/// The longest window, as in TA-Lib.
const LONGEST: i64 = 100_000;

/// The lengths of the MACD, in points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Of the fast average.
    pub fast: i64,
    /// Of the slow one, which is longer.
    pub slow: i64,
    /// Of the average of their difference.
    pub signal: i64,
}

/// The length of Bollinger's bands, and how far they are from their middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bollinger {
    /// In points.
    pub length: i64,
    /// In standard deviations.
    pub deviations: f64,
}

/// Which averages the trend compares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cross {
    /// The shorter one's length, in points.
    pub short: i64,
    /// The longer one's.
    pub long: i64,
    /// By which part of the long one the short one has to differ: 0.01 is 1 %.
    pub band: f64,
}

/// What to compute, each with its lengths in points; what is empty or none is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Simple and logarithmic return.
    pub returns: bool,
    /// Simple moving averages.
    pub sma: Vec<i64>,
    /// Exponential moving averages.
    pub ema: Vec<i64>,
    /// Relative strength index.
    pub rsi: Option<i64>,
    /// Moving average convergence/divergence.
    pub macd: Option<Lengths>,
    /// Bollinger's bands.
    pub bollinger: Option<Bollinger>,
    /// Realised volatility.
    pub volatility: Option<i64>,
    /// Support and resistance.
    pub support: Option<i64>,
    /// The direction of the trend.
    pub trend: Option<Cross>,
    /// The time of the day and of the week.
    pub cyclical: bool,
    /// Over which holes windows reach.
    pub max_gap: MaxGap,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            returns: true,
            sma: vec![7, 30, 90],
            ema: vec![7, 30, 90],
            rsi: Some(14),
            macd: Some(Lengths {
                fast: 12,
                slow: 26,
                signal: 9,
            }),
            bollinger: Some(Bollinger {
                length: 20,
                deviations: 2.0,
            }),
            volatility: Some(30),
            support: Some(20),
            trend: Some(Cross {
                short: 7,
                long: 30,
                band: 0.01,
            }),
            cyclical: true,
            max_gap: MaxGap::Steps(2.5),
        }
    }
}

/// Indicators while they are listed, each with its columns.
#[derive(Default)]
struct List {
    columns: Vec<Named>,
    indicators: Vec<Indicator>,
}

impl List {
    fn add(&mut self, indicator: Indicator, names: &[&str]) {
        let kind = match indicator {
            Indicator::Trend(..) => Kind::Int,
            _ => Kind::Float,
        };
        self.columns.extend(names.iter().map(|name| Named {
            name: (*name).to_owned(),
            kind,
        }));
        self.indicators.push(indicator);
    }
}

/// A length that a user gave.
fn length(what: &str, given: i64) -> Result<usize> {
    let length = (1..=LONGEST).contains(&given).then_some(given);
    length
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| {
            Error::argument(format!(
                "{what} needs lengths from 1 to {LONGEST} points, not {given}"
            ))
        })
}

/// Lengths that a user gave, each once.
fn lengths(what: &str, given: &[i64]) -> Result<Vec<usize>> {
    let mut lengths = Vec::new();
    for one in given {
        let length = length(what, *one)?;
        if lengths.contains(&length) {
            return Err(Error::argument(format!(
                "{what} has the length {length} twice"
            )));
        }
        lengths.push(length);
    }
    Ok(lengths)
}

impl Selection {
    /// The indicators, and their columns in the same order.
    pub(super) fn indicators(&self) -> Result<(Vec<Named>, Vec<Indicator>)> {
        let mut list = List::default();
        if self.returns {
            list.add(Indicator::Returns, &["simple_return", "log_return"]);
        }
        for n in lengths("sma", &self.sma)? {
            list.add(Indicator::Sma(Window::new(n)), &[&format!("sma_{n}")]);
        }
        for n in lengths("ema", &self.ema)? {
            list.add(Indicator::Ema(Ema::new(n)), &[&format!("ema_{n}")]);
        }
        if let Some(n) = self.rsi {
            let n = length("rsi", n)?;
            list.add(Indicator::Rsi(Rsi::new(n)), &[&format!("rsi_{n}")]);
        }
        if let Some(macd) = self.macd {
            list.add(
                macd.indicator()?,
                &["macd", "macd_signal", "macd_histogram"],
            );
        }
        if let Some(bands) = self.bollinger {
            let names = ["bollinger_middle", "bollinger_upper", "bollinger_lower"];
            list.add(bands.indicator()?, &names);
        }
        if let Some(n) = self.volatility {
            let n = length("volatility", n)?;
            let name = format!("volatility_{n}");
            list.add(Indicator::Volatility(Volatility::new(n)), &[&name]);
        }
        if let Some(n) = self.support {
            let n = length("support", n)?;
            let names = [format!("support_{n}"), format!("resistance_{n}")];
            let names = names.each_ref().map(String::as_str);
            list.add(Indicator::Extremes(Extremes::new(n)), &names);
        }
        if let Some(trend) = self.trend {
            list.add(trend.indicator()?, &["trend"]);
        }
        Ok((list.columns, list.indicators))
    }

    /// The longest gap over which windows reach.
    pub(super) fn max_gap(&self) -> Result<MaxGap> {
        match self.max_gap {
            MaxGap::Steps(steps) if !(steps.is_finite() && steps > 1.0) => {
                Err(Error::argument(format!(
                    "max_gap is a number of usual steps above 1, a timedelta, or None for any gap, not {steps}"
                )))
            }
            MaxGap::Time(longest) if longest <= 0 => {
                Err(Error::argument("max_gap is a time above 0".to_owned()))
            }
            max_gap => Ok(max_gap),
        }
    }
}

impl Lengths {
    fn indicator(self) -> Result<Indicator> {
        let fast = length("macd", self.fast)?;
        let slow = length("macd", self.slow)?;
        if fast >= slow {
            return Err(Error::argument(format!(
                "macd is (fast, slow, signal) with fast below slow, not {fast} and {slow}"
            )));
        }
        let signal = length("macd", self.signal)?;
        Ok(Indicator::Macd(Macd::new(fast, slow, signal)))
    }
}

impl Bollinger {
    fn indicator(self) -> Result<Indicator> {
        if !(self.deviations.is_finite() && self.deviations > 0.0) {
            return Err(Error::argument(format!(
                "bollinger is (length, deviations) with deviations above 0, not {}",
                self.deviations
            )));
        }
        let spread = Spread::new(length("bollinger", self.length)?);
        Ok(Indicator::Bollinger(spread, self.deviations))
    }
}

impl Cross {
    fn indicator(self) -> Result<Indicator> {
        let short = length("trend", self.short)?;
        let long = length("trend", self.long)?;
        if short >= long {
            return Err(Error::argument(format!(
                "trend is (short, long, band) with short below long, not {short} and {long}"
            )));
        }
        if !(0.0..1.0).contains(&self.band) {
            return Err(Error::argument(format!(
                "trend is (short, long, band) with a band from 0 to below 1, such as 0.01 for 1 %, not {}",
                self.band
            )));
        }
        Ok(Indicator::Trend(
            Window::new(short),
            Window::new(long),
            self.band,
        ))
    }
}
