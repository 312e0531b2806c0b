//! Randomness without state: integer hashes, and smooth noise over time that is the same on every call.
//! It knows nothing of coins; the shape of the market is made from these in `price`.

/// A well-mixed hash of one integer: the finaliser of splitmix64 (Steele, Lea and Flood, 2014).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A hash of two integers, in their order.
pub fn pair(first: u64, second: u64) -> u64 {
    mix(mix(first) ^ second)
}

/// A number in [0, 1), the same for the same hash.
#[expect(
    clippy::cast_precision_loss,
    reason = "only the upper 53 bits are kept, and an f64 holds those"
)]
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// True for about `share` (0..1) of all hashes.
pub fn chance(hash: u64, share: f64) -> bool {
    unit(hash) < share
}

/// A number in [low, high), the same for the same hash.
pub fn between(hash: u64, low: f64, high: f64) -> f64 {
    low + unit(hash) * (high - low)
}

/// Smooth value noise in [-1, 1]: one random height a whole number, joined by the cubic 3x^2 - 2x^3.
pub fn smooth(key: u64, x: f64) -> f64 {
    let cell = x.floor();
    let left = whole(cell);
    let part = x - cell;
    let low = height(key, left);
    let high = height(key, left.wrapping_add(1));
    low + (high - low) * part * part * (3.0 - 2.0 * part)
}

/// The sum of smooth noises, each with its own period (in days) and size.
pub fn octaves(key: u64, days: f64, table: &[(f64, f64)]) -> f64 {
    let mut sum = 0.0;
    let mut own = key;
    for (period, size) in table {
        own = own.wrapping_add(0xA076_1D64_78BD_642F);
        sum += size * smooth(own, days / period);
    }
    sum
}

/// The nearest integer towards zero, at most what an `i64` holds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, which is what is wanted"
)]
pub fn whole(value: f64) -> i64 {
    value as i64
}

/// An integer as the nearest `f64`.
#[expect(
    clippy::cast_precision_loss,
    reason = "stamps and counts stay far below 2^53"
)]
pub fn real(value: i64) -> f64 {
    value as f64
}

fn height(key: u64, cell: i64) -> f64 {
    unit(pair(key, cell.cast_unsigned())) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_bounded_and_the_same_on_every_call() {
        for step in 0..10_000_i64 {
            let x = real(step) * 0.013 - 50.0;
            let here = smooth(7, x);
            assert!((-1.0..=1.0).contains(&here));
            assert_eq!(here.to_bits(), smooth(7, x).to_bits());
            assert!((smooth(7, x + 1e-6) - here).abs() < 1e-4);
        }
    }

    #[test]
    fn units_fill_the_interval_evenly() {
        let mean = (0..10_000_u64).map(|n| unit(mix(n))).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
