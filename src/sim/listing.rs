//! Which coins the seeded market lists at an instant, in which order, with which rank and as of when.
//! It makes no rows: `quote` does, for the few that a page shows.

use super::noise::{between, chance, pair, real, unit, whole};
use super::price::Prices;
use super::universe::{Coin, DAY};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A coin's place among all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The coin's index.
    pub coin: usize,
    /// The instant of its newest figures, in milliseconds.
    pub observed: i64,
    /// Its market capitalisation in US dollars; 0 where the supply or the price is not known.
    pub cap: f64,
    /// Its volume in US dollars.
    pub volume: f64,
    /// Its rank, which lags the order; `None` without a market capitalisation.
    pub rank: Option<i64>,
}

/// All coins that have begun by `now`, by market capitalisation, largest first.
pub fn standings(prices: &Prices, seed: u64, now: i64) -> Vec<Standing> {
    let mut all: Vec<Standing> = prices
        .coins()
        .iter()
        .enumerate()
        .filter(|(_, coin)| coin.genesis + 10 * MINUTE <= now)
        .map(|(index, coin)| {
            let observed = observed(coin, now);
            let moment = prices.moment(index, observed);
            Standing {
                coin: index,
                observed,
                cap: moment.map_or(0.0, |moment| moment.cap),
                volume: moment.map_or(0.0, |moment| moment.volume),
                rank: None,
            }
        })
        .collect();
    all.sort_by(|a, b| b.cap.total_cmp(&a.cap).then(a.coin.cmp(&b.coin)));
    rank(&mut all, seed, now);
    all
}

/// The instant of a coin's newest figures as of `now`: renewed once a minute, and here and there not for hours.
pub fn observed(coin: &Coin, now: i64) -> i64 {
    let phase = whole(between(pair(coin.key, 41), 0.0, real(MINUTE)));
    let fresh = (now - 20 * SECOND - phase).div_euclid(MINUTE) * MINUTE + phase;
    let mut seen = fresh;
    for (window, share) in [(6 * HOUR, 0.004), (10 * DAY, 0.001)] {
        let number = (now - phase).div_euclid(window);
        // What is stale stays at the instant its window began, so a stamp never moves back.
        if chance(
            pair(coin.key, number.cast_unsigned() ^ window.cast_unsigned()),
            share,
        ) {
            seen = seen.min(number * window + phase - 20 * SECOND);
        }
    }
    seen.max(coin.genesis)
}

fn rank(all: &mut [Standing], seed: u64, now: i64) {
    let when = pair(seed, now.div_euclid(10 * MINUTE).cast_unsigned());
    let mut place = 0;
    for standing in all.iter_mut().filter(|standing| standing.cap > 0.0) {
        place += 1;
        standing.rank = Some(place);
    }
    // Ranks are renewed less often than capitalisations: neighbours stand the wrong way round, or share one.
    for couple in all.chunks_mut(2) {
        let [first, second] = couple else { continue };
        let (Some(upper), Some(lower)) = (first.rank, second.rank) else {
            continue;
        };
        let draw = unit(pair(when, upper.cast_unsigned()));
        if draw < 0.02 {
            (first.rank, second.rank) = (Some(lower), Some(upper));
        } else if draw < 0.022 {
            second.rank = Some(upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{price::REFERENCE, universe};
    use super::*;

    #[test]
    fn standings_fall_in_size_and_ranks_lag_here_and_there() {
        let prices = Prices::new(1, universe::coins(1, 3000));
        let all = standings(&prices, 1, REFERENCE);
        assert!(all.windows(2).all(|pair| pair[0].cap >= pair[1].cap));
        let ranks: Vec<i64> = all.iter().filter_map(|standing| standing.rank).collect();
        assert!(ranks.windows(2).any(|pair| pair[0] > pair[1]));
        assert!(ranks.windows(2).any(|pair| pair[0] == pair[1]));
        assert!(ranks.len() < all.len());
    }

    #[test]
    fn figures_are_renewed_within_the_minute_but_for_a_few_and_never_move_back() {
        let coins = universe::coins(1, 2000);
        let mut stale = 0;
        for coin in &coins {
            let mut last = 0;
            for step in 0..200 {
                let now = REFERENCE + step * 17 * SECOND;
                let seen = observed(coin, now);
                assert!(seen >= last && now - seen >= 20 * SECOND);
                last = seen;
            }
            stale += usize::from(REFERENCE + 199 * 17 * SECOND - last > 110 * SECOND);
        }
        assert!((5..100).contains(&stale), "{stale}");
    }
}
