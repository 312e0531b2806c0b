//! A response that sends its reader elsewhere: the key goes nowhere but to the host that was set.

use coinmill::error::Error;
use coinmill::sim::{ClockSetting, Market, Sim, SimOptions, SimPlan};

use crate::series::{BITCOIN, Mill};
use crate::support::{Bench, KEY, Kind, noon, said};

/// A market of another host, which takes any key.
async fn elsewhere() -> Sim {
    let options = SimOptions {
        market: Market::Seeded { seed: 2, coins: 20 },
        clock: ClockSetting::Frozen(noon()),
        ..SimOptions::default()
    };
    Sim::start(options).await.unwrap()
}

#[tokio::test]
async fn the_key_never_reaches_a_host_that_a_response_names() {
    let other = elsewhere().await;
    let page = format!("{}/coins/markets?vs_currency=usd", other.url());
    let chart = format!("{}/coins/bitcoin/market_chart?days=1", other.url());
    for (plan, host) in [("demo", SimPlan::demo(KEY)), ("paid", SimPlan::paid(KEY))] {
        let mill = Mill::of(Bench::playing(Kind::Sqlite, 20, host).await, Kind::Sqlite).await;
        let with = [("plan", plan), ("api_key", KEY), ("top", "20")];
        for status in [301, 302, 303, 307, 308] {
            mill.bench
                .fault(&format!("redirect:status={status},path=markets,to={page}"));
            mill.bench
                .fault(&format!("redirect:status={status},path=chart,to={chart}"));
            let mut named = with.to_vec();
            named.extend(BITCOIN);
            for error in [
                mill.bench.run(&with).await.map(drop).unwrap_err(),
                mill.run(coinmill::series::Resolution::FiveMinutes, &named)
                    .await
                    .map(drop)
                    .unwrap_err(),
            ] {
                assert!(
                    matches!(error, Error::Source { status: Some(said), .. } if said == status),
                    "{error:?}"
                );
                let chain = said(&error);
                assert!(
                    !error.is_retryable() && chain.contains("it redirects"),
                    "{chain}"
                );
            }
        }
        // the host that was set got the key each time, and each call only once
        let mut log = mill.bench.sim.call_log();
        assert!(log.iter().all(|call| call.key), "{log:?}");
        // what a paid key has spent is another question
        log.retain(|call| call.path != "/key");
        assert_eq!(log.len(), 10, "{log:?}");
        assert_eq!(mill.bench.run(&with).await.unwrap().stored, 20);
    }
    assert_eq!(other.calls(), 0);
}

/// Not even on the same host: what it names may be anything.
#[tokio::test]
async fn a_redirect_within_the_host_is_not_followed_either() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    bench.fault("redirect:to=/api/v3/coins/list");
    let error = bench.run(&[("top", "20")]).await.unwrap_err();
    assert!(said(&error).contains("it redirects"), "{error}");
    assert_eq!(bench.sim.calls(), 1);
}
