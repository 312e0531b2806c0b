//! A filled database is upgraded while somebody reads: what was stored is there before, meanwhile and after, and a program says by its
//! version what is to be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use coinmill::series::Resolution;

use crate::series::{Mill, rows};
use crate::support::command::{code, coinmill, finish, json, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(a_filled_database_is_upgraded_while_a_reader_reads,);

/// The program of a later version.
const LATER: (&str, &str) = ("TEST_LATER_VERSION", "1");

async fn a_filled_database_is_upgraded_while_a_reader_reads(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    let (view, counts) = (mill.view().await, mill.counts().await);
    let command = async |arguments: &[&str], with: &[(&str, &str)]| {
        let with = [&[("TOP", "6")], with].concat();
        finish(coinmill(
            &mill.bench,
            Some(&mill.timeseries),
            arguments,
            &with,
        ))
        .await
    };
    if kind == Kind::Postgres {
        // a run never creates anything there
        let behind = command(&["run", "snapshot"], &[LATER]).await;
        assert_eq!(code(&behind), 2, "{}", text(&behind));
        assert!(
            text(&behind).contains("run `coinmill init`"),
            "{}",
            text(&behind)
        );
    }
    let (is_over, reads) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let reading = async {
        let sql = "select count(*) from v_price_series";
        while !is_over.load(Ordering::Relaxed) {
            let count = rows(&mill.timeseries, sql).await[0][0].int();
            assert_eq!(usize::try_from(count).unwrap(), view.len());
            reads.fetch_add(1, Ordering::Relaxed);
        }
    };
    let upgrading = async {
        let upgraded = command(&["init"], &[LATER]).await;
        is_over.store(true, Ordering::Relaxed);
        upgraded
    };
    let ((), upgraded) = tokio::join!(reading, upgrading);
    assert_eq!(code(&upgraded), 0, "{}", text(&upgraded));
    assert!(reads.load(Ordering::Relaxed) > 0);
    assert_eq!((mill.view().await, mill.counts().await), (view, counts));
    assert_eq!(mill.count("later").await, 0);
    // the older program touches nothing, and the later one goes on where it was
    let older = command(&["run", "all"], &[]).await;
    assert_eq!(code(&older), 2, "{}", text(&older));
    assert!(
        text(&older).contains("upgrade coinmill"),
        "{}",
        text(&older)
    );
    let later = command(&["run", "all", "--json"], &[LATER]).await;
    assert_eq!(code(&later), 0, "{}", text(&later));
    assert_eq!(json(&later)["snapshot"]["calls"], 0);
    let again = command(&["init"], &[LATER]).await;
    assert_eq!(code(&again), 0, "{}", text(&again));
}
