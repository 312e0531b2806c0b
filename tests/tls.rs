//! PostgreSQL over TLS: whom `sslmode=verify-full` believes and whom it refuses, and that nothing goes in the clear after a
//! refusal. The tests' PostgreSQL has no TLS of its own, so a proxy before it plays the server's part of the handshake.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/front.rs"]
mod front;

use coinmill::config::Settings;
use coinmill::error::Error;
use coinmill::pipeline::{self, RunState};

use authority::{Authority, Lifetime};
use front::{Answer, Front};
use support::command::{coinmill, finish, text};
use support::database::administrator;
use support::{Bench, Database, said};

/// The name under which the proxy is reached.
const HOST: &str = "127.0.0.1";

/// A market, a database that has not been made ready, and who signs.
struct Scene {
    bench: Bench,
    authority: Authority,
}

impl Scene {
    async fn set() -> Self {
        let mut bench = Bench::market(20).await;
        bench.database = Database::bare_on(&administrator()).await;
        let authority = Authority::new(bench.folder.path(), "ours");
        Self { bench, authority }
    }

    /// A proxy that shows a certificate for a name.
    async fn front(&self, name: &str, lifetime: Lifetime) -> Front {
        let answer = Answer::Secure(self.authority.server(name, lifetime));
        Front::before(&self.bench.database.url(), answer).await
    }

    /// Settings with both databases behind a proxy.
    fn settings(&self, front: &Front, parameters: &str) -> Settings {
        let url = format!("{}?{parameters}", front.url());
        self.bench.settings(&[
            ("snapshot_url", &url),
            ("timeseries_url", &url),
            ("top", "20"),
        ])
    }

    /// The parameters of a careful user.
    fn careful(&self) -> String {
        format!(
            "sslmode=verify-full&sslrootcert={}",
            self.authority.file().display()
        )
    }

    /// Tries to set up and to run, and sees both refused with the remedy named, and nothing sent but the question for TLS.
    async fn refused(&self, front: &Front, parameters: &str, why: &str) {
        let settings = self.settings(front, parameters);
        for outcome in [
            pipeline::init(&settings).await,
            pipeline::run_snapshot(&settings, None, &pipeline::Observer::none())
                .await
                .map(drop),
        ] {
            let error = outcome.unwrap_err();
            let words = said(&error);
            assert!(matches!(error, Error::Store { .. }), "{error:?}");
            assert!(!error.is_retryable(), "it is no use to try again: {words}");
            for word in ["sslmode", "sslrootcert", why] {
                assert!(words.contains(word), "no {word} in: {words}");
            }
        }
        // the program says the same, at every level of its log, and never the password
        let url = format!("{}?{parameters}", front.url());
        let with = [("SNAPSHOT_URL", url.as_str()), ("LOG", "trace")];
        let output = finish(coinmill(
            &self.bench,
            None,
            &["run", "snapshot", "-vv"],
            &with,
        ))
        .await;
        let words = text(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(
            words.contains("sslmode") && words.contains("sslrootcert"),
            "{words}"
        );
        let seen = front.seen().await;
        assert_eq!((seen.asked, seen.in_the_clear, seen.secured), (3, 0, 0));
        assert_eq!(self.bench.sim.calls(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_authority_and_the_right_name_are_believed() {
    let scene = Scene::set().await;
    let front = scene.front(HOST, Lifetime::Valid).await;
    let settings = scene.settings(&front, &scene.careful());
    pipeline::init(&settings).await.unwrap();
    let report = pipeline::run_snapshot(&settings, None, &pipeline::Observer::none())
        .await
        .unwrap();
    assert_eq!((report.state, report.stored), (RunState::Complete, 20));
    let url = format!("{}?{}", front.url(), scene.careful());
    let with = [
        ("SNAPSHOT_URL", url.as_str()),
        ("TOP", "20"),
        ("LOG", "trace"),
    ];
    let output = finish(coinmill(
        &scene.bench,
        None,
        &["run", "snapshot", "-vv"],
        &with,
    ))
    .await;
    assert!(output.status.success(), "{}", text(&output));
    let seen = front.seen().await;
    assert_eq!((seen.in_the_clear, seen.asked), (0, seen.secured));
    assert!(seen.secured >= 4, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_be_believed_is_sent_nothing() {
    let scene = Scene::set().await;
    let careful = scene.careful();
    let front = scene.front("db.example", Lifetime::Valid).await;
    scene.refused(&front, &careful, "not valid for name").await;
    let front = scene.front(HOST, Lifetime::Over).await;
    scene.refused(&front, &careful, "expired").await;
    let front = scene.front(HOST, Lifetime::Valid).await;
    let other = Authority::new(scene.bench.folder.path(), "others");
    let theirs = format!("sslmode=verify-full&sslrootcert={}", other.file().display());
    scene
        .refused(&front, &theirs, "invalid peer certificate")
        .await;
    // without an authority of their own, the system's are asked, which do not know it either
    let front = scene.front(HOST, Lifetime::Valid).await;
    scene
        .refused(&front, "sslmode=verify-full", "UnknownIssuer")
        .await;
    let front = Front::before(&scene.bench.database.url(), Answer::Refuse).await;
    scene
        .refused(&front, &careful, "does not support TLS")
        .await;
    let front = scene.front(HOST, Lifetime::Valid).await;
    let nowhere = "sslmode=verify-full&sslrootcert=/nowhere/ca.pem";
    scene.refused(&front, nowhere, "No such file").await;
}

/// As the driver has it: `require` asks for TLS and believes any certificate, also where `sslrootcert` is given (libpq would
/// check it then); `verify-ca` checks the authority and not the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn require_asks_for_tls_and_believes_anyone() {
    let scene = Scene::set().await;
    let other = Authority::new(scene.bench.folder.path(), "others");
    let theirs = format!("sslmode=require&sslrootcert={}", other.file().display());
    let front = scene.front("db.example", Lifetime::Over).await;
    for parameters in ["sslmode=require", &theirs] {
        pipeline::init(&scene.settings(&front, parameters))
            .await
            .unwrap();
    }
    let seen = front.seen().await;
    assert_eq!((seen.in_the_clear, seen.asked), (0, seen.secured));
    let front = Front::before(&scene.bench.database.url(), Answer::Refuse).await;
    scene
        .refused(&front, "sslmode=require", "does not support TLS")
        .await;

    let front = scene.front("db.example", Lifetime::Valid).await;
    let only_the_authority = scene.careful().replace("verify-full", "verify-ca");
    pipeline::init(&scene.settings(&front, &only_the_authority))
        .await
        .unwrap();
    let front = scene.front("db.example", Lifetime::Valid).await;
    let theirs = theirs.replace("require", "verify-ca");
    scene
        .refused(&front, &theirs, "invalid peer certificate")
        .await;
}
