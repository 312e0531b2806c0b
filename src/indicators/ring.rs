//! The last n values, to be given back when they leave.
//! What is made of them is the windows'.

use super::memory::{Memory, Remembered};

/// The last n values, the oldest of which the next one replaces.
#[derive(Debug, Clone)]
pub struct Ring<T> {
    values: Vec<T>,
    length: usize,
    oldest: usize,
}

impl<T: Copy> Ring<T> {
    /// An empty ring that holds `length` values, at least one.
    pub fn new(length: usize) -> Self {
        Self {
            values: Vec::new(),
            length: length.max(1),
            oldest: 0,
        }
    }

    /// Takes a value, and gives back the one that had to leave.
    #[inline]
    pub fn push(&mut self, value: T) -> Option<T> {
        if self.values.len() < self.length {
            self.values.push(value);
            return None;
        }
        let place = self.values.get_mut(self.oldest)?;
        self.oldest += 1;
        if self.oldest == self.length {
            self.oldest = 0;
        }
        Some(std::mem::replace(place, value))
    }

    /// Takes the last ones of so many values that nothing of before is left.
    pub fn refill(&mut self, values: &[T]) {
        let (_, last) = values.split_at(values.len().saturating_sub(self.length));
        self.values.clear();
        self.values.extend_from_slice(last);
        self.oldest = 0;
    }

    /// How many values it can hold.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The values, in no order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values from the oldest to the newest.
    pub fn in_order(&self) -> impl Iterator<Item = T> {
        let (newer, older) = self.values.split_at(self.oldest);
        older.iter().chain(newer).copied()
    }

    /// The value that would leave next, once it is full; before that, the first one.
    pub fn oldest(&self) -> Option<T> {
        self.values.get(self.oldest).copied()
    }

    /// True once it holds as many values as it can.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.values.len() == self.length
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.values.clear();
        self.oldest = 0;
    }
}

impl<T: Remembered + Default + Clone> Remembered for Ring<T> {
    fn pass(&mut self, memory: &mut Memory) {
        self.values.pass(memory);
        self.oldest.pass(memory);
        if self.values.len() > self.length
            || self.oldest >= self.length
            || self.oldest > self.values.len()
        {
            memory.refuse();
        }
    }
}
