//! Records of the ledger, of gaps and of the quarantine as frames, so that they are read like quotes and prices.
//! What is in them is decided where they are read.

use super::gaps::{GapsReport, GapsTotal};
use super::missing::Read;
use super::quarantine::Quarantined;
use super::search::{Candidate, SearchReport};
use crate::error::Result;
use crate::frame::{Filler, Filling, Frame};
use crate::market::{Column, Kind, Origin};
use crate::series::Resolution;
use crate::store::{Gap, RunRow, Value};

pub(super) const fn key(name: &'static str, kind: Kind) -> Column {
    Column::new(name, kind, Origin::Key)
}

pub(super) const fn may_lack(name: &'static str, kind: Kind) -> Column {
    Column::new(name, kind, Origin::Read)
}

/// What tells most comes first: a narrow preview leaves out the middle.
const RUN: [Column; 19] = [
    key("run", Kind::Text),
    key("kind", Kind::Category),
    key("state", Kind::Category),
    key("started_at", Kind::Time),
    may_lack("finished_at", Kind::Time),
    may_lack("snapshot_time", Kind::Time),
    may_lack("resolution", Kind::Category),
    may_lack("expected", Kind::Int),
    may_lack("received", Kind::Int),
    may_lack("accepted", Kind::Int),
    may_lack("rejected", Kind::Int),
    may_lack("stored", Kind::Int),
    may_lack("calls", Kind::Int),
    may_lack("score", Kind::Float),
    may_lack("content_hash", Kind::Text),
    key("version", Kind::Category),
    key("rule_set", Kind::Category),
    key("api_url", Kind::Category),
    may_lack("error", Kind::Text),
];

const GAP: [Column; 6] = [
    key("coin_id", Kind::Category),
    key("resolution", Kind::Category),
    key("kind", Kind::Category),
    key("starts_at", Kind::Time),
    key("ends_at", Kind::Time),
    may_lack("lost_at", Kind::Time),
];

/// The kinds of gaps, each a column of the totals.
const GAP_KINDS: [(&str, &str); 7] = [
    ("not_asked", "not_asked_pct"),
    ("failed", "failed_pct"),
    ("doubted", "doubted_pct"),
    ("refused", "refused_pct"),
    ("source_empty", "source_empty_pct"),
    ("lost", "lost_pct"),
    ("healed", "healed_pct"),
];

const QUARANTINED: [Column; 12] = [
    key("id", Kind::Text),
    key("run", Kind::Category),
    may_lack("snapshot_time", Kind::Time),
    may_lack("resolution", Kind::Category),
    may_lack("coin_id", Kind::Text),
    key("rule", Kind::Category),
    key("reason", Kind::Text),
    key("body", Kind::Category),
    may_lack("record", Kind::Int),
    key("raw", Kind::Text),
    may_lack("outcome", Kind::Category),
    may_lack("requeued_by", Kind::Category),
];

/// Runs as a frame.
///
/// # Errors
/// [`crate::error::Error::Data`] where a row does not fit its columns.
pub fn runs_frame(runs: Vec<RunRow>) -> Result<Read> {
    let row = |run: RunRow| {
        vec![
            run.id.into(),
            run.kind.into(),
            run.state.into(),
            run.started_at.into(),
            run.finished_at.into(),
            run.slot.into(),
            named(run.resolution),
            run.expected.into(),
            run.received.into(),
            run.accepted.into(),
            run.rejected.into(),
            run.stored.into(),
            run.calls.into(),
            run.score.into(),
            run.content_hash.into(),
            run.version.into(),
            run.rule_set.into(),
            run.api_url.into(),
            run.error.into(),
        ]
    };
    filled(&RUN, runs.into_iter().map(row)).map(read)
}

/// Gaps as a frame, and their totals as another: first those over all coins, whose `coin_id` is null.
///
/// # Errors
/// As [`runs_frame`].
pub fn gaps_frames(report: GapsReport) -> Result<(Read, Frame)> {
    let row = |gap: Gap| {
        vec![
            gap.coin_id.into(),
            named(Some(gap.resolution)),
            gap.kind.into(),
            gap.starts_at.into(),
            gap.ends_at.into(),
            gap.lost_at.into(),
        ]
    };
    let mut columns = vec![
        may_lack("coin_id", Kind::Category),
        key("resolution", Kind::Category),
        key("owed_hours", Kind::Float),
        key("missing_pct", Kind::Float),
    ];
    columns.extend(GAP_KINDS.map(|(_, name)| key(name, Kind::Float)));
    let total = |total: GapsTotal| {
        let mut row = vec![
            total.coin_id.into(),
            named(Some(total.resolution)),
            total.owed_hours.into(),
            total.missing_pct.into(),
        ];
        let by_kind = &total.missing_pct_by_kind;
        // a kind that is not named has no gap
        row.extend(
            GAP_KINDS.map(|(kind, _)| by_kind.get(kind).copied().unwrap_or_default().into()),
        );
        row
    };
    let totals = report.all.into_iter().chain(report.totals).map(total);
    let totals = filled(&columns, totals)?;
    let gaps = filled(&GAP, report.gaps.into_iter().map(row))?;
    Ok((read(gaps), totals))
}

/// Refused records as a frame.
///
/// # Errors
/// As [`runs_frame`].
pub fn quarantine_frame(refused: Vec<Quarantined>) -> Result<Read> {
    let row = |refused: Quarantined| {
        vec![
            refused.id.to_string().into(),
            refused.run.into(),
            refused.slot.into(),
            named(refused.resolution),
            refused.coin_id.into(),
            refused.rule.into(),
            refused.reason.into(),
            refused.body.into(),
            refused.record.into(),
            refused.raw.into(),
            refused.outcome.into(),
            refused.requeued_by.into(),
        ]
    };
    filled(&QUARANTINED, refused.into_iter().map(row)).map(read)
}

fn named(resolution: Option<Resolution>) -> Value {
    resolution.map(|it| it.to_string()).into()
}

fn read(frame: Frame) -> Read {
    Read {
        frame,
        missing: Vec::new(),
        warning: None,
        pin: None,
    }
}

const CANDIDATE: [Column; 6] = [
    key("coin_id", Kind::Text),
    may_lack("symbol", Kind::Text),
    may_lack("name", Kind::Text),
    may_lack("market_cap_rank", Kind::Int),
    key("match", Kind::Category),
    may_lack("delisted_at", Kind::Time),
];

/// Candidates as a frame.
///
/// # Errors
/// As [`runs_frame`].
pub fn search_frame(report: SearchReport) -> Result<Read> {
    let row = |coin: Candidate| {
        vec![
            coin.coin_id.into(),
            coin.symbol.into(),
            coin.name.into(),
            Value::Int(coin.market_cap_rank),
            coin.fits.name().into(),
            coin.delisted_at.into(),
        ]
    };
    let frame = filled(&CANDIDATE, report.coins.into_iter().map(row))?;
    Ok(Read {
        warning: report.warning,
        ..read(frame)
    })
}

/// Rows whose values come in the order of the columns. A value of another kind than its column's is null, which a key refuses.
pub(super) fn filled(columns: &[Column], rows: impl Iterator<Item = Vec<Value>>) -> Result<Frame> {
    let mut filling = Filling::new(columns);
    for row in rows {
        for (column, value) in filling.columns().iter_mut().zip(row) {
            match (column, value) {
                (Filler::Text(values), Value::Text(text)) => values.append_option(text),
                (Filler::Category(values), Value::Text(text)) => {
                    values.append_option(text.as_deref());
                }
                (Filler::Int(values), Value::Int(number)) => values.append_option(number),
                (Filler::Float(values), Value::Float(number)) => values.append_option(number),
                (Filler::Time(values), Value::Time(at)) => {
                    values.append_option(at.map(|at| at.timestamp_millis()));
                }
                (Filler::Bool(values), Value::Int(number)) => {
                    values.append_option(number.map(|number| number != 0));
                }
                (Filler::Text(values), _) => values.append_null(),
                (Filler::Category(values), _) => values.append_option(None),
                (Filler::Int(values), _) => values.append_null(),
                (Filler::Float(values), _) => values.append_null(),
                (Filler::Time(values), _) => values.append_null(),
                (Filler::Bool(values), _) => values.append_null(),
            }
        }
        filling.end_row();
    }
    filling.finish()
}
