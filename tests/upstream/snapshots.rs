//! Snapshots of a source that goes wrong, one slot for each fault, held against the market itself and the landed bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;
use coinmill::error::{Error, Result};
use coinmill::market::Slot;
use coinmill::pipeline::Report;
use coinmill::quality::{QUOTE_RULES, RECORD_RULES};
use serde_json::Value;

use crate::faults::{Case, Ends, a_part, of_the_wire};
use crate::landed::{self, INSTANTS, NUMBERS};
use crate::support::chaos::{self, Counts};
use crate::support::{Bench, Cell, Database, Kind, missing_of, on_both_databases, report_of, said};

on_both_databases!(
    no_fault_of_the_wire_makes_a_snapshot_lie,
    no_fault_of_a_page_makes_a_snapshot_lie,
    pages_out_of_caches_are_stored_as_of_their_own_instant_or_asked_for_again,
    a_slot_that_healed_is_the_slot_of_an_undisturbed_run,
);

/// So many coins make two pages, and there are no others.
const COINS: usize = 252;
const TOP: &str = "252";
const SECOND_PAGE: &str = "&page=2";

/// The market's own rows: the coins of both pages in order, and what a quote of each must hold.
struct Truth {
    order: Vec<String>,
    cells: BTreeMap<String, Vec<Cell>>,
}

/// What the database has of a slot.
#[derive(Clone)]
struct Held {
    state: String,
    stored: BTreeMap<String, Vec<Cell>>,
    refused: BTreeSet<String>,
    nameless: usize,
    missing: Vec<String>,
}

impl Held {
    /// Coins of the market that are neither stored nor refused by name; a refused record without a name may be any of them.
    fn absent(&self, truth: &Truth) -> usize {
        let known = |id: &&String| self.stored.contains_key(*id) || self.refused.contains(*id);
        let absent = truth.order.iter().filter(|id| !known(id)).count();
        absent.saturating_sub(self.nameless)
    }

    /// Coins whose quote is not what the market says now.
    fn other(&self, truth: &Truth) -> usize {
        let same = |id: &String, cells: &[Cell]| {
            let theirs = truth.cells.get(id);
            theirs.is_some_and(|theirs| are_same(theirs, cells))
        };
        let stored = self.stored.iter();
        stored.filter(|(id, cells)| !same(id, cells)).count()
    }
}

fn are_same(left: &[Cell], right: &[Cell]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| left.is_same(right))
}

/// A market over which one slot after the other meets a fault.
struct Trial {
    bench: Bench,
    kind: Kind,
    counts: BTreeMap<String, Counts>,
    complaints: Vec<String>,
    repeated: bool,
    /// Pages by their text: the market says the same to us and to the runs, and reading it takes long.
    read: HashMap<String, Page>,
}

/// What the quotes of a page must hold, coin by coin.
type Page = Arc<Vec<(String, Vec<Cell>)>>;

impl Trial {
    async fn new(kind: Kind) -> Self {
        Self {
            bench: Bench::new(kind, COINS).await,
            kind,
            counts: BTreeMap::new(),
            complaints: Vec::new(),
            repeated: false,
            read: HashMap::new(),
        }
    }

    fn read(&mut self, body: &str) -> Page {
        if let Some(page) = self.read.get(body) {
            return Arc::clone(page);
        }
        let rows = landed::rows(body).into_iter();
        let page: Page = Arc::new(rows.map(|(id, row)| (id, landed::cells(&row))).collect());
        self.read.insert(body.to_owned(), Arc::clone(&page));
        page
    }

    /// Goes on to the next slot, ten minutes into it.
    async fn next(&mut self) -> Truth {
        self.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        let mut truth = Truth {
            order: Vec::new(),
            cells: BTreeMap::new(),
        };
        for page in ["1", "2"] {
            let target =
                format!("/coins/markets?vs_currency=usd&per_page=126&page={page}&precision=full");
            let body = self.bench.fetch(&target).await;
            for (id, cells) in self.read(&body).iter() {
                truth.cells.insert(id.clone(), cells.clone());
                truth.order.push(id.clone());
            }
        }
        assert_eq!((truth.order.len(), truth.cells.len()), (COINS, COINS));
        truth
    }

    fn complain(&mut self, case: &Case, what: impl std::fmt::Display) {
        self.complaints.push(format!("{}: {what}", case.fault));
    }

    /// Lets the next slot's run meet these faults, then runs again without.
    async fn meet(&mut self, case: &Case, faults: &[String]) {
        let truth = self.next().await;
        self.meet_in(&truth, case, faults).await;
    }

    async fn meet_in(&mut self, truth: &Truth, case: &Case, faults: &[String]) {
        let mut counts = Counts {
            injected: 1,
            ..Counts::default()
        };
        faults.iter().for_each(|fault| self.bench.fault(fault));
        let mut with = vec![("top", TOP)];
        with.extend(&case.with);
        let (first, _) = self.run(case, &with, &truth.order).await;
        let absent = first.absent(truth);
        counts.silent += u64::from(absent > 0 && first.missing.is_empty());
        let as_it_should = match case.ends {
            Ends::Whole => first.state == "complete" && first.other(truth) == 0,
            Ends::Short(_) => first.state != "complete" && absent > 0 && first.other(truth) == 0,
            Ends::AsSent => first.state == "complete",
        };
        if !as_it_should || (first.state == "complete") != (absent == 0) {
            let (state, other) = (&first.state, first.other(truth));
            let missing = first.missing.join("; ");
            self.complain(
                case,
                format!("{state}, {absent} absent, {other} other, missing {missing:?}"),
            );
        }

        self.bench.sim.clear_faults();
        let rest = match case.ends {
            Ends::Short(rest) => rest,
            Ends::Whole | Ends::AsSent => 0,
        };
        // a slot that has everything is asked for once more only the first time: that costs nothing in any of them
        let (second, calls) = if rest > 0 || !std::mem::replace(&mut self.repeated, true) {
            self.run(case, &[("top", TOP)], &truth.order).await
        } else {
            (first.clone(), 0)
        };
        counts.paid_twice += calls.saturating_sub(rest);
        counts.lost += second.absent(truth) as u64;
        if case.ends != Ends::AsSent {
            counts.doubled += second.other(truth) as u64;
        }
        let kept = first.stored.iter().all(|(id, cells)| {
            let later = second.stored.get(id);
            later.is_some_and(|later| are_same(later, cells))
        });
        counts.healed += u64::from(second.state == "complete" && kept);
        let sum = counts.lost + counts.doubled + counts.silent + counts.paid_twice;
        if counts.healed != 1 || sum > 0 || calls != rest {
            let state = &second.state;
            self.complain(
                case,
                format!("then {state} with {calls} calls of {rest}, {counts:?}"),
            );
        }
        let all = self.counts.entry(case.kind().to_owned()).or_default();
        *all = all.and(counts);
    }

    /// One run, and what the slot then holds; whatever it says is held against the database and the landed bytes.
    async fn run(&mut self, case: &Case, with: &[(&str, &str)], order: &[String]) -> (Held, u64) {
        let before = self.bench.sim.calls();
        let outcome = self.bench.run(with).await;
        let calls = self.bench.sim.calls() - before;
        let held = self.held(case, order).await;
        self.hold_ledger(case, outcome, calls, &held).await;
        (held, calls)
    }

    async fn held(&mut self, case: &Case, order: &[String]) -> Held {
        let database = &self.bench.database;
        let slot = Slot::containing(self.bench.sim.now());
        let slot = database.instant(slot.start());
        let columns = NUMBERS
            .into_iter()
            .chain(INSTANTS.into_iter().map(|(column, _)| column));
        let columns = columns.map(|column| format!("q.{}", column.replace("percentage", "pct")));
        let sql = format!(
            "select c.id, l.path, {} from quote q join coin c on c.key = q.coin join landing l on l.id = q.landing \
             where q.snapshot_time = {slot}",
            columns.collect::<Vec<_>>().join(", ")
        );
        let quotes = database.rows(&sql).await;
        let sql = format!(
            "select q.coin, q.rule, q.reason, q.raw, q.record, q.body from quarantine q \
             join landing l on l.id = q.landing join run r on r.id = l.run where r.slot = {slot}"
        );
        let refused = database.rows(&sql).await;
        let sql = "select state, report from run order by id desc";
        let run = database.row(sql).await;
        let report: Value = match &run[1] {
            Cell::Text(text) => serde_json::from_str(text).unwrap(),
            _ => Value::Null,
        };
        let mut held = Held {
            state: run[0].text().to_owned(),
            stored: BTreeMap::new(),
            refused: BTreeSet::new(),
            nameless: 0,
            missing: Vec::new(),
        };
        held.missing.extend(missing_of(&report));
        if held.state == "failed" {
            held.missing.push("all of it".to_owned());
        }

        let landing = self.bench.landing();
        let mut bodies: BTreeMap<String, String> = BTreeMap::new();
        let mut wrong = Vec::new();
        let paths = quotes.iter().map(|row| row[1].text());
        for path in paths.chain(refused.iter().map(|row| row[5].text())) {
            if !bodies.contains_key(path) {
                bodies.insert(path.to_owned(), landed::body(&landing, path));
            }
        }
        let mut sent: BTreeMap<&str, Page> = BTreeMap::new();
        for (path, body) in &bodies {
            sent.insert(path, self.read(body));
        }
        for row in &quotes {
            let (id, path) = (row[0].text(), row[1].text());
            // the first record of a coin counts
            let from = sent[path].iter().find(|(sent, _)| sent == id);
            if !from.is_some_and(|(_, from)| are_same(from, &row[2..])) {
                wrong.push(format!("{id} is not what {path} says"));
            }
            if !order.iter().any(|known| known == id) {
                wrong.push(format!("{id} is no coin of the market"));
            }
            held.stored.insert(id.to_owned(), row[2..].to_vec());
        }
        let mut records: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &refused {
            let path = row[5].text();
            let records = records
                .entry(path)
                .or_insert_with(|| landed::records(&bodies[path]));
            let place = usize::try_from(row[4].int()).unwrap();
            let known = RECORD_RULES.into_iter();
            let known = known.chain(QUOTE_RULES.iter().map(|(rule, _)| rule));
            let mut known = known.map(|rule| rule.name);
            if records.get(place) != Some(&row[3].text())
                || !known.any(|name| name == row[1].text())
                || row[2].text().is_empty()
            {
                wrong.push(format!("refused as it was not sent: {row:?}"));
            }
            match &row[0] {
                Cell::Text(id) => drop(held.refused.insert(id.clone())),
                _ => held.nameless += 1,
            }
        }
        for wrong in wrong {
            self.complain(case, wrong);
        }
        held
    }

    /// The ledger's numbers add up, and are what the caller was told.
    async fn hold_ledger(&mut self, case: &Case, outcome: Result<Report>, calls: u64, held: &Held) {
        let sql = "select calls, stored, expected, received, accepted, rejected, error, state from run order by id desc";
        let row = self.bench.database.row(sql).await;
        let mut wrong = Vec::new();
        if row[0] != Cell::Int(calls as i64) {
            wrong.push(format!("{calls} calls, in the ledger {:?}", row[0]));
        }
        let report = match outcome {
            Ok(report) => serde_json::to_value(report).unwrap(),
            outcome @ Err(Error::Incomplete { .. }) => report_of(outcome),
            Err(error) => {
                let chain = said(&error);
                let nothing = (&row[1], &row[7], &row[6]);
                let failed = (
                    &Cell::Int(0),
                    &Cell::Text("failed".to_owned()),
                    &Cell::Text(chain),
                );
                if nothing != failed {
                    wrong.push(format!("failed, in the ledger {row:?}"));
                }
                wrong
                    .into_iter()
                    .for_each(|wrong| self.complain(case, wrong));
                return;
            }
        };
        for (place, name) in [
            (1, "stored"),
            (2, "expected"),
            (3, "received"),
            (4, "accepted"),
            (5, "rejected"),
        ] {
            if report[name].as_i64() != Some(row[place].int()) {
                wrong.push(format!("{name} {}, in the ledger {row:?}", report[name]));
            }
        }
        let (received, accepted) = (row[3].int(), row[4].int());
        let refused = (held.refused.len() + held.nameless) as i64;
        if report["state"] != held.state
            || row[2] != Cell::Int(COINS as i64)
            || accepted != held.stored.len() as i64
            || received != (accepted + refused).min(COINS as i64)
        {
            wrong.push(format!(
                "{} stored and {refused} refused: {row:?}",
                held.stored.len()
            ));
        }
        wrong
            .into_iter()
            .for_each(|wrong| self.complain(case, wrong));
    }

    fn end(self, group: &str) {
        for (kind, counts) in &self.counts {
            chaos::note(&format!("the API: {kind}"), self.kind, group, counts);
        }
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
    }
}

async fn no_fault_of_the_wire_makes_a_snapshot_lie(kind: Kind) {
    let mut trial = Trial::new(kind).await;
    for case in of_the_wire(kind) {
        let fault = case.at(SECOND_PAGE);
        trial.meet(&case, &[fault]).await;
    }
    // where nothing came, nothing is there, and all of it is asked for again
    for fault in ["429:times=0", "truncate:times=0", "huge:times=0,mb=20"] {
        let case = Case::new(fault, Ends::Short(2));
        let fault = case.at("/coins/markets");
        trial.meet(&case, &[fault]).await;
    }
    trial.end("snapshot");
}

async fn no_fault_of_a_page_makes_a_snapshot_lie(kind: Kind) {
    let mut trial = Trial::new(kind).await;
    // whatever is sent is stored as it is, or refused by name; numbers of the wrong type never become numbers
    let sent = [
        r#"set:field=current_price,value="12.5""#,
        "set:field=current_price,value={}",
        "set:field=market_cap,value=[1]",
        "set:field=market_cap,value=null",
        "set:field=current_price,value=null",
        "set:field=total_volume,value=-1",
        "set:field=ath,value=1e999",
        "set:field=id,value=null",
        "set:field=symbol,value=7",
        "set:field=last_updated,value=null",
        r#"set:field=last_updated,value="2008-01-01T00:00:00Z""#,
        r#"set:field=last_updated,value="2100-01-01T00:00:00Z""#,
        r#"set:field=mood,value={"deep":[1,{}]}"#,
        "drop:field=id",
        "drop:field=symbol",
        "drop:field=current_price",
        "drop:field=market_cap",
        "drop:field=last_updated",
        "back:seconds=120",
        "back:seconds=7200",
    ];
    for fault in a_part(kind, sent.to_vec()) {
        let mut case = Case::new(fault, Ends::AsSent);
        // the value takes all that follows
        let at = format!("path={SECOND_PAGE},");
        let fault = fault.replacen(':', &format!(":{at}"), 1);
        case.with.push(("completeness", "0"));
        trial.meet(&case, &[fault]).await;
    }
    // a coin on two pages has pushed another off its page, and one that vanished tells nothing of itself: the pages are read
    // again from the first on
    let coins = [
        ("double:id=", 10, SECOND_PAGE, 2),
        ("double:id=", 130, SECOND_PAGE, 2),
        ("double:id=", 10, "&page=1", 1),
        ("vanish:id=", 130, SECOND_PAGE, 2),
        ("vanish:id=", 10, "&page=1", 1),
    ];
    for (fault, place, page, calls) in a_part(kind, coins.to_vec()) {
        let truth = trial.next().await;
        let case = Case::new(format!("{fault}{}", truth.order[place]), Ends::Short(calls));
        let fault = case.at(page);
        trial.meet_in(&truth, &case, &[fault]).await;
    }
    let case = Case::new("shift", Ends::Whole);
    trial.meet(&case, &["shift".to_owned()]).await;
    let bodies = [
        ("[]", Ends::Short(2)),
        // what is refused whole is read again at once
        ("[null,7,[]]", Ends::Whole),
        ("{}", Ends::Short(1)),
        ("null", Ends::Short(1)),
    ];
    for (text, ends) in a_part(kind, bodies.to_vec()) {
        let fault = format!("body:path={SECOND_PAGE},status=200,text={text}");
        let case = Case::new(&fault, ends);
        trial.meet(&case, std::slice::from_ref(&fault)).await;
    }
    trial.end("snapshot");
}

async fn pages_out_of_caches_are_stored_as_of_their_own_instant_or_asked_for_again(kind: Kind) {
    let mut trial = Trial::new(kind).await;
    // the slot is ten minutes old
    let within = Case::new("aged:seconds=300", Ends::AsSent);
    let faults = [
        "aged:seconds=300,path=&page=1",
        "aged:seconds=60,path=&page=2",
    ];
    trial.meet(&within, &faults.map(str::to_owned)).await;
    let sql =
        "select q.last_updated, l.received_at from quote q join landing l on l.id = q.landing";
    let rows = trial.bench.database.rows(sql).await;
    let old = rows
        .iter()
        .filter(|row| row[1].int() - row[0].int() >= 300_000)
        .count();
    assert!(rows.len() == COINS && (126..200).contains(&old), "{old}");

    let again = Case::new("aged:seconds=900,times=2", Ends::Whole).tried("3");
    let fault = again.at(SECOND_PAGE);
    trial.meet(&again, &[fault]).await;
    for seconds in ["900", "86400", "4294967295"] {
        let stays = Case::new(format!("aged:seconds={seconds},times=0"), Ends::Short(1));
        let stays = Case {
            with: stays.clone().tried("2").with,
            ..stays
        };
        let fault = stays.at(SECOND_PAGE);
        trial.meet(&stays, &[fault]).await;
    }
    let error = "select error from run where state = 'partial' limit 1";
    let said = trial.bench.database.texts(error).await;
    assert!(said[0].contains("a cache sent a page of"), "{said:?}");
    trial.end("snapshot");
}

async fn a_slot_that_healed_is_the_slot_of_an_undisturbed_run(kind: Kind) {
    let mut trial = Trial::new(kind).await;
    let case = Case::new("cut", Ends::Short(1));
    let fault = case.at(SECOND_PAGE);
    trial.meet(&case, &[fault]).await;
    let hash = "select content_hash from snapshot_now";
    let healed = trial.bench.database.texts(hash).await;
    trial.bench.database = Database::ready(Kind::Sqlite).await;
    std::fs::remove_dir_all(trial.bench.landing()).unwrap();
    trial.bench.run(&[("top", TOP)]).await.unwrap();
    assert_eq!(trial.bench.database.texts(hash).await, healed);
    trial.end("snapshot");
}
