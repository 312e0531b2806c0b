//! How a price came from the one before it.
//! Which prices follow each other is the series' to say.

/// Of each price and the one before it, `formula`.
#[inline]
pub fn changes(
    last: Option<f64>,
    prices: &[f64],
    values: &mut [f64],
    formula: fn(f64, f64) -> f64,
) {
    if let (Some(value), Some(price)) = (values.first_mut(), prices.first()) {
        *value = last.map_or(f64::NAN, |last| formula(last, *price));
    }
    let pairs = prices.iter().zip(prices.iter().skip(1));
    for ((last, price), value) in pairs.zip(values.iter_mut().skip(1)) {
        *value = formula(*last, *price);
    }
}

/// `p / q - 1`, from the difference, which keeps its digits where the prices are close. Not a number where it is none.
#[inline]
pub fn simple_return(last: f64, price: f64) -> f64 {
    if last > 0.0 {
        (price - last) / last
    } else {
        f64::NAN
    }
}

/// `ln(p / q)`. Not a number where it is none: a price of 0 or below has no logarithm.
///
/// Of prices that are close it is `2·artanh((p - q) / (p + q))`, by its series to the last digit.
/// Source: M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 4.1.27.
#[inline]
pub fn log_return(last: f64, price: f64) -> f64 {
    if !(last > 0.0 && price > 0.0) {
        return f64::NAN;
    }
    let sum = price + last;
    let part = (price - last) / sum;
    // the first term that is left out is below 2e-17 of the whole
    if sum < f64::INFINITY && part.abs() < 0.05 {
        let (twice, square) = (2.0 * part, part * part);
        let series = 1.0 / 9.0 + square * (1.0 / 11.0);
        let series = 1.0 / 5.0 + square * (1.0 / 7.0 + square * series);
        twice + twice * (square * (1.0 / 3.0 + square * series))
    } else {
        (price / last).ln()
    }
}
