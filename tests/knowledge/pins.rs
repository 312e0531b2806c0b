//! Pins under several writers at once that may die at every place of a commit: what was known at an instant is never more than
//! somebody could see then, and never less than what had its instant by then.

use std::time::Duration;

use chrono::TimeDelta;
use coinmill::store::{SnapshotStore, TimeseriesStore};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::commits::{Base, Store, What};
use crate::model::Model;
use crate::support::tally::is_long;
use crate::support::{Cell, Database, Kind, on_both_databases};
use crate::writers::{PLACES, Turn, at_work, doom};

on_both_databases!(
    a_slot_s_pins_hold_what_could_be_seen_and_what_was_stamped,
    a_series_pins_hold_what_could_be_seen_and_what_was_stamped,
);

fn turn() -> impl Strategy<Value = Turn> {
    let what = prop_oneof![
        3 => (0..4_u32).prop_map(What::New),
        1 => Just(What::Again),
    ];
    let dies = prop_oneof![
        3 => Just(None),
        1 => prop::sample::select(&PLACES[..]).prop_map(Some),
    ];
    let rests = (0..6_u64).prop_map(Duration::from_millis);
    (what, dies, rests).prop_map(|(what, dies, rests)| Turn { what, dies, rests })
}

fn plans() -> impl Strategy<Value = Vec<Vec<Turn>>> {
    let plans = prop::collection::vec(prop::collection::vec(turn(), 4..12), 3);
    plans.prop_map(|mut plans| {
        // there is no point before the first
        for first in plans.iter_mut().filter_map(|plan| plan.first_mut()) {
            first.what = What::New(0);
        }
        plans
    })
}

async fn a_slot_s_pins_hold_what_could_be_seen_and_what_was_stamped(kind: Kind) {
    check(Base::Snapshot, kind).await;
}

async fn a_series_pins_hold_what_could_be_seen_and_what_was_stamped(kind: Kind) {
    check(Base::Series, kind).await;
}

async fn check(base: Base, kind: Kind) {
    let _alone = doom();
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..if is_long() { 60 } else { 3 } {
        let plans = plans().new_tree(&mut runner).unwrap().current();
        println!("{plans:?}");
        let database = Database::bare(kind).await;
        let url = database.database_url();
        match base {
            Base::Snapshot => SnapshotStore::init(&url, "usd").await.unwrap(),
            Base::Series => TimeseriesStore::init(&url, "usd").await.unwrap(),
        }
        play(base, &database, &plans).await;
        database.remove().await;
    }
}

async fn play(base: Base, database: &Database, plans: &[Vec<Turn>]) {
    let seen = at_work(base, database, plans).await;
    let mut store = Store::open(base, database).await;
    // the next run stamps what is left
    store.begin(plans.len()).await;
    let model = Model::of(base, database).await;
    assert!(!model.stamps.contains(&Cell::Null), "{:?}", model.stamps);
    assert!(model.stamps.iter().map(Cell::int).is_sorted());
    let newest = model.stamps.len() as i64;
    assert_eq!(store.newest().await, newest, "ids have no gaps");

    for look in seen {
        // who looked after an instant and did not see a commit: nobody could at that instant
        let pin = store.pin(look.before).await;
        assert!(pin <= look.newest, "{pin} was not to be seen: {look:?}");
        assert!(look.pin <= pin, "{pin} was more: {look:?}");
        // what had its instant when somebody looked is known from then on; a stamp is a whole millisecond
        let after = look.after + TimeDelta::milliseconds(1);
        let later = store.pin(after).await;
        assert!(later >= look.stamped, "{later} lacks: {look:?}");
        // where no commit waited, what was to be seen is between the two
        if look.newest == look.stamped {
            assert!(
                (pin..=later).contains(&look.newest),
                "{pin}, {later}: {look:?}"
            );
        }
    }
    for pin in 0..=newest {
        model.compare(&mut store, pin).await;
    }
}
