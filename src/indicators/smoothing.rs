//! Averages in which old prices fade instead of leaving: EMA, MACD, and Wilder's RSI.
//! Each is seeded as TA-Lib does by default: with the plain mean of its first n values.

use super::memory::{Memory, Remembered};
use super::sum::{Count, Sum, count};

/// The exponential moving average.
#[derive(Debug, Clone, Copy)]
pub struct Ema {
    length: usize,
    weight: f64,
    seed: Sum,
    seen: usize,
    value: f64,
}

impl Ema {
    /// Of `length` points: the weight of the newest is `2 / (length + 1)`.
    pub fn new(length: usize) -> Self {
        Self {
            length,
            weight: 2.0 / (count(length) + 1.0),
            seed: Sum::default(),
            seen: 0,
            value: 0.0,
        }
    }

    /// Takes a value; the average once there were `length`.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if self.seen < self.length {
            self.seen += 1;
            self.seed.add(value);
            if self.seen < self.length {
                return None;
            }
            self.value = self.seed.over(Count::new(self.length));
        } else {
            self.value += self.weight * (value - self.value);
        }
        Some(self.value)
    }

    /// Takes values, as by [`Self::push`].
    pub fn run(&mut self, values: &[f64], averages: &mut [f64]) {
        let mut ema = *self;
        for (value, average) in values.iter().zip(averages) {
            *average = ema.push(*value).unwrap_or(f64::NAN);
        }
        *self = ema;
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        *self = Self::new(self.length);
    }
}

impl Remembered for Ema {
    fn pass(&mut self, memory: &mut Memory) {
        self.seed.pass(memory);
        self.seen.pass(memory);
        self.value.pass(memory);
    }
}

/// Moving average convergence/divergence.
#[derive(Debug, Clone, Copy)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
    /// How many points `fast` waits for, so that both averages have their first value at the same point.
    wait: usize,
    seen: usize,
}

impl Macd {
    /// `fast` must be below `slow`.
    pub fn new(fast: usize, slow: usize, signal: usize) -> Self {
        Self {
            fast: Ema::new(fast),
            slow: Ema::new(slow),
            signal: Ema::new(signal),
            wait: slow.saturating_sub(fast),
            seen: 0,
        }
    }

    /// Takes a value; line, signal and histogram once all three exist.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<[f64; 3]> {
        let slow = self.slow.push(value);
        if self.seen < self.wait {
            self.seen += 1;
            return None;
        }
        let line = self.fast.push(value)? - slow?;
        let signal = self.signal.push(line)?;
        Some([line, signal, line - signal])
    }

    /// Takes values, as by [`Self::push`], and writes line, signal and histogram.
    pub fn run(&mut self, values: &[f64], [line, signal, histogram]: [&mut [f64]; 3]) {
        let mut macd = *self;
        let outs = line.iter_mut().zip(signal).zip(histogram);
        for (value, ((line, signal), histogram)) in values.iter().zip(outs) {
            [*line, *signal, *histogram] = macd.push(*value).unwrap_or([f64::NAN; 3]);
        }
        *self = macd;
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.fast.clear();
        self.slow.clear();
        self.signal.clear();
        self.seen = 0;
    }
}

impl Remembered for Macd {
    fn pass(&mut self, memory: &mut Memory) {
        self.fast.pass(memory);
        self.slow.pass(memory);
        self.signal.pass(memory);
        self.seen.pass(memory);
    }
}

/// The relative strength index.
#[derive(Debug, Clone, Copy)]
pub struct Rsi {
    length: usize,
    /// What a new change weighs in the averages, and what they weigh themselves.
    weights: (f64, f64),
    last: Option<f64>,
    seen: usize,
    gain: Sum,
    loss: Sum,
    averages: (f64, f64),
}

impl Rsi {
    /// Of `length` changes.
    pub fn new(length: usize) -> Self {
        let n = count(length);
        Self {
            length,
            weights: (1.0 / n, (n - 1.0) / n),
            last: None,
            seen: 0,
            gain: Sum::default(),
            loss: Sum::default(),
            averages: (0.0, 0.0),
        }
    }

    /// Takes a price; the index once there were `length` changes. `None` where no price has changed for as long as the
    /// averages remember: 0 / 0.
    #[inline]
    pub fn push(&mut self, price: f64) -> Option<f64> {
        let change = price - self.last.replace(price)?;
        let (gain, loss) = (change.max(0.0), (-change).max(0.0));
        if self.seen < self.length {
            self.seen += 1;
            self.gain.add(gain);
            self.loss.add(loss);
            if self.seen < self.length {
                return None;
            }
            let count = Count::new(self.length);
            self.averages = (self.gain.over(count), self.loss.over(count));
        } else {
            let (one, others) = self.weights;
            let smooth = |average: f64, next: f64| average * others + next * one;
            self.averages = (smooth(self.averages.0, gain), smooth(self.averages.1, loss));
        }
        let (gain, loss) = self.averages;
        // below the smallest number of full precision the averages no longer have the ratio of what they average
        (gain + loss >= f64::MIN_POSITIVE).then(|| 100.0 * (gain / (gain + loss)))
    }

    /// Takes prices, as by [`Self::push`].
    pub fn run(&mut self, prices: &[f64], indices: &mut [f64]) {
        let mut rsi = *self;
        for (price, index) in prices.iter().zip(indices) {
            *index = rsi.push(*price).unwrap_or(f64::NAN);
        }
        *self = rsi;
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        *self = Self::new(self.length);
    }
}

impl Remembered for Rsi {
    fn pass(&mut self, memory: &mut Memory) {
        self.last.pass(memory);
        self.seen.pass(memory);
        self.gain.pass(memory);
        self.loss.pass(memory);
        self.averages.pass(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closes of the worked example of J. Welles Wilder's index that StockCharts' ChartSchool prints, with its results.
    const CLOSES: [f64; 20] = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826,
        45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439,
    ];

    #[test]
    fn the_strength_index_gives_its_textbook_values() {
        let mut rsi = Rsi::new(14);
        let values: Vec<Option<f64>> = CLOSES.iter().map(|close| rsi.push(*close)).collect();
        assert_eq!(values[13], None);
        for (value, printed) in values[14..]
            .iter()
            .zip([70.53, 66.32, 66.55, 69.41, 66.36, 57.97])
        {
            assert!(
                (value.unwrap() - printed).abs() < 0.006,
                "{value:?} {printed}"
            );
        }
    }

    #[test]
    fn a_price_that_never_changed_has_no_strength() {
        let mut rsi = Rsi::new(3);
        assert!((0..30).all(|_| rsi.push(1.0).is_none()));
        assert_eq!(rsi.push(2.0), Some(100.0));
        // the averages fade away until they are none
        let faded = (0..3_000).map(|_| rsi.push(2.0)).last().flatten();
        assert_eq!(faded, None);
    }

    #[test]
    fn both_averages_of_the_macd_begin_at_the_same_point() {
        let mut macd = Macd::new(2, 4, 1);
        let values: Vec<_> = [1.0, 2.0, 4.0, 8.0].map(|price| macd.push(price)).into();
        assert_eq!(values[..3], [None, None, None]);
        assert_eq!(values[3], Some([6.0 - 3.75, 2.25, 0.0]));
    }
}
