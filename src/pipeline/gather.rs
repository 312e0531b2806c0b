//! From bodies to what a snapshot stores: each coin once, validated, with the body that it came from.
//! Pure: bodies in, rows out. The first record of a coin counts; later ones are repetitions.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::coingecko;
use crate::contract::{Contract, Drifts};
use crate::derive::derive;
use crate::error::Result;
use crate::landing::Landed;
use crate::market::{CoinId, Measure, Quote};
use crate::quality::{Context, Finding, Quality, Rules, Verdict, rejects, validate};
use crate::store::{QuoteRow, RefusedRow};

/// A body that parsed as a page of quotes, and what it was asked for.
pub(super) struct Body {
    pub(super) landed: Landed,
    pub(super) bytes: Vec<u8>,
    /// The record from which on the page reaches beyond the top that was asked for.
    pub(super) surplus_from: usize,
    /// True for a page of the top coins, false for coins by name.
    pub(super) is_page: bool,
}

/// How a coin was refused, over the bodies of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The rules that refuse it.
    pub(super) rules: Vec<String>,
    /// True where only the user's own settings refuse it.
    pub(super) is_by_choice: bool,
    /// How many bodies of the slot it was refused in.
    pub(super) bodies: u32,
    /// True where the last of them was a page that was refused whole.
    pub(super) is_of_a_whole_body: bool,
}

/// What one body gave.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The coins of its records, in order; `None` where a record does not name one.
    pub(super) coins: Vec<Option<CoinId>>,
    /// The rules that refuse the records without a coin.
    pub(super) nameless: Vec<String>,
    /// True for a page of which the program's rules refuse every record: such a body covers nothing.
    pub(super) is_refused_whole: bool,
}

/// What the bodies of a slot hold.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) accepted: Vec<Accepted>,
    /// Records that are refused and not in quarantine yet.
    pub(super) refused: Vec<RefusedRow>,
    /// Coins that were refused and have not been accepted from any other body.
    pub(super) refusals: BTreeMap<CoinId, Refusal>,
    /// Records in quarantine already, as body and place.
    quarantined: HashSet<(String, u64)>,
    /// The quality of what the slot held before, and of what is refused.
    quality: Quality,
    pub(super) repeated: u64,
    /// Fields that are not as they are known to be.
    pub(super) drifts: Drifts,
    /// Coins already stored, or accepted.
    taken: HashSet<CoinId>,
    bodies: usize,
}

/// A quote to store, before the sums over all of them are known.
pub(super) struct Accepted {
    pub(super) quote: Quote,
    warnings: Vec<&'static str>,
    body: usize,
}

impl Gathered {
    /// Begins with the coins that the slot holds already and their warnings, and with its records in quarantine.
    pub(super) fn holding(
        stored: impl IntoIterator<Item = CoinId>,
        quality: Quality,
        quarantined: HashSet<(String, u64)>,
    ) -> Self {
        Self {
            taken: stored.into_iter().collect(),
            quality,
            quarantined,
            ..Self::default()
        }
    }

    /// Validates one body and takes what it gives.
    ///
    /// # Errors
    /// [`crate::error::Error::Source`] when the body is no page of quotes; [`crate::error::Error::Data`] when it breaks a
    /// frozen contract. Then nothing of it is taken.
    pub(super) fn add(
        &mut self,
        body: &Body,
        named: &HashSet<CoinId>,
        rules: &Rules,
        contract: Contract,
    ) -> Result<Taken> {
        let index = self.bodies;
        let context = Context {
            sent_at: body.landed.sent_at(),
            rules,
        };
        let records = coingecko::parse(&body.bytes)?;
        for (deviation, field) in records.iter().flat_map(|record| &record.drift) {
            let at = body.landed.received_at;
            self.drifts.note(coingecko::ENDPOINT, *deviation, field, at);
        }
        if let Some(breach) = self.drifts.breach(contract) {
            return Err(breach);
        }
        self.bodies += 1;
        let mut taken = Taken::default();
        let mut here: HashMap<CoinId, Refusal> = HashMap::new();
        let mut seen = HashSet::new();
        let mut usable = false;
        for (place, record) in records.into_iter().enumerate() {
            let named_id = record.id.map(CoinId::from_source);
            let coin = named_id.clone();
            let coin = coin.filter(|coin| coingecko::is_usable(coin.as_str()));
            // what was refused on a page is asked for by its id
            let is_wanted = coin.as_ref().map_or(!body.is_page, |coin| {
                named.contains(coin) || self.refusals.contains_key(coin)
            });
            if place >= body.surplus_from && !is_wanted {
                continue;
            }
            taken.coins.push(coin.clone());
            if let Some(coin) = &coin
                && (self.taken.contains(coin) || !seen.insert(coin.clone()))
            {
                self.repeated += 1;
                usable = true;
                continue;
            }
            let (quote, findings) = validated(record.quote, &context);
            if let Some(quote) = quote {
                usable = true;
                self.accept(quote, &findings, index);
                continue;
            }
            let rejects = || {
                findings
                    .iter()
                    .filter(|found| found.verdict == Verdict::Reject)
            };
            let names: Vec<&str> = rejects().map(|found| found.rule.name).collect();
            let is_by_choice = rejects().all(|found| found.rule.verdict == Verdict::Warn);
            usable |= is_by_choice;
            match &coin {
                None => taken.nameless.push(names.join(", ")),
                Some(coin) => {
                    let before = self.refusals.get(coin).map_or(0, |before| before.bodies);
                    here.insert(
                        coin.clone(),
                        Refusal {
                            rules: names.iter().map(ToString::to_string).collect(),
                            is_by_choice,
                            bodies: before + 1,
                            is_of_a_whole_body: false,
                        },
                    );
                }
            }
            let row = refused(index, place, named_id, record.raw, &findings);
            if !self
                .quarantined
                .contains(&(body.landed.path.clone(), place as u64))
            {
                self.quality.reject(&findings);
                self.refused.push(row);
            }
        }
        taken.is_refused_whole = body.is_page && !taken.coins.is_empty() && !usable;
        for refusal in here.values_mut() {
            refusal.is_of_a_whole_body = taken.is_refused_whole;
        }
        self.refusals.extend(here);
        Ok(taken)
    }

    /// Takes a quote of a body.
    pub(super) fn accept(&mut self, quote: Quote, findings: &[Finding], body: usize) {
        self.taken.insert(quote.id.clone());
        self.refusals.remove(&quote.id);
        let warnings = findings.iter().map(|finding| finding.rule.name).collect();
        self.accepted.push(Accepted {
            quote,
            warnings,
            body,
        });
    }

    /// Takes note of a coin whose record came in a way that cannot be told from others.
    pub(super) fn refuse(&mut self, coin: CoinId, rules: &str) {
        let bodies = self.refusals.get(&coin).map_or(0, |before| before.bodies);
        let refusal = Refusal {
            rules: vec![rules.to_owned()],
            is_by_choice: false,
            bodies: bodies + 1,
            is_of_a_whole_body: false,
        };
        self.refusals.insert(coin, refusal);
    }

    /// True for a coin that is stored already, or accepted.
    pub(super) fn holds(&self, coin: &CoinId) -> bool {
        self.taken.contains(coin)
    }

    /// Drops the smallest of the accepted coins until no more than so many are left; coins asked for by name stay. More
    /// come than were asked for when pages are read again.
    pub(super) fn keep_largest(&mut self, count: usize, named: &HashSet<CoinId>) {
        let cap = |row: &Accepted| row.quote.measure(Measure::MarketCap).unwrap_or(-1.0);
        while self
            .accepted
            .iter()
            .filter(|row| !named.contains(&row.quote.id))
            .count()
            > count
        {
            let candidates = self
                .accepted
                .iter()
                .enumerate()
                .filter(|(_, row)| !named.contains(&row.quote.id));
            let Some((smallest, _)) = candidates.min_by(|(_, a), (_, b)| cap(a).total_cmp(&cap(b)))
            else {
                return;
            };
            self.accepted.remove(smallest);
        }
    }

    /// The quality of what the slot then holds: what it held before, and what was accepted.
    pub(super) fn quality(&self) -> Quality {
        let mut quality = self.quality.clone();
        for row in &self.accepted {
            quality.accept(row.quote.market_cap_rank, row.warnings.iter().copied());
        }
        quality
    }

    /// The rows to store, of quotes in `vs_currency`.
    pub(super) fn rows(self, vs_currency: &str) -> (Vec<QuoteRow>, Vec<RefusedRow>) {
        let row = |Accepted {
                       quote,
                       warnings,
                       body,
                   }| QuoteRow {
            derived: derive(&quote, vs_currency),
            quote,
            warnings,
            body,
        };
        (self.accepted.into_iter().map(row).collect(), self.refused)
    }
}

/// A record held against every rule: the quote, where none refuses it, and what it breaks.
pub(super) fn validated(
    quote: std::result::Result<Quote, Vec<Finding>>,
    context: &Context<'_>,
) -> (Option<Quote>, Vec<Finding>) {
    match quote {
        Ok(quote) => {
            let findings = validate(&quote, context);
            (Some(quote).filter(|_| !rejects(&findings)), findings)
        }
        Err(findings) => (None, findings),
    }
}

/// The reasons of the refusals among findings.
pub(super) fn reasons(findings: &[Finding]) -> String {
    findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Reject)
        .map(Finding::reason)
        .collect::<Vec<_>>()
        .join("; ")
}

pub(super) fn refused(
    body: usize,
    place: usize,
    coin: Option<CoinId>,
    raw: &str,
    findings: &[Finding],
) -> RefusedRow {
    let first = findings
        .iter()
        .find(|finding| finding.verdict == Verdict::Reject);
    RefusedRow {
        body,
        record: Some(place as u64),
        coin: coin.map(|coin| coin.as_str().replace('\0', "\u{fffd}")),
        rule: first.map_or("unknown", |finding| finding.rule.name),
        reason: reasons(findings),
        raw: raw.to_owned(),
    }
}
