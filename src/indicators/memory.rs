//! What a series remembers, as bytes: written from it, and read back into one of the same selection, to the bit.
//! Each indicator says for itself what it remembers; nothing here knows one.

use std::collections::VecDeque;

use crate::error::{Error, Result};

/// The words of a series in one fixed order, while they are written or read.
#[derive(Debug)]
pub struct Memory {
    way: Way,
    is_unfit: bool,
}

#[derive(Debug)]
enum Way {
    Writing(Vec<u64>),
    Reading(VecDeque<u64>),
}

/// What can be remembered: it passes each of its words, which are taken from it, or given back to it.
pub trait Remembered {
    /// Passes its words.
    fn pass(&mut self, memory: &mut Memory);
}

impl Memory {
    /// The bytes of a value.
    pub fn write(value: &mut impl Remembered) -> Vec<u8> {
        let mut memory = Self {
            way: Way::Writing(Vec::new()),
            is_unfit: false,
        };
        value.pass(&mut memory);
        match memory.way {
            Way::Writing(words) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
            Way::Reading(_) => Vec::new(),
        }
    }

    /// Gives a value back what such bytes hold.
    ///
    /// # Errors
    /// [`Error::Data`] where they are not those of such a value, which is then of no use.
    pub fn read(value: &mut impl Remembered, bytes: &[u8]) -> Result<()> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut memory = Self {
            way: Way::Reading(words.collect()),
            is_unfit: !rest.is_empty(),
        };
        value.pass(&mut memory);
        let is_over = matches!(&memory.way, Way::Reading(words) if words.is_empty());
        match is_over && !memory.is_unfit {
            true => Ok(()),
            false => Err(Error::data(
                "this is not what such indicators remember: push their points again",
            )),
        }
    }

    /// Notes that what was read cannot be.
    pub fn refuse(&mut self) {
        self.is_unfit = true;
    }

    fn word(&mut self, word: &mut u64) {
        match &mut self.way {
            Way::Writing(words) => words.push(*word),
            Way::Reading(words) => match words.pop_front() {
                Some(read) => *word = read,
                None => self.is_unfit = true,
            },
        }
    }

    /// The length of a list, of whose items each has a word or more.
    fn length(&mut self, length: usize) -> usize {
        let mut length = length;
        length.pass(self);
        match &self.way {
            Way::Reading(words) if length > words.len() => {
                self.is_unfit = true;
                0
            }
            _ => length,
        }
    }
}

impl Remembered for f64 {
    fn pass(&mut self, memory: &mut Memory) {
        let mut word = self.to_bits();
        memory.word(&mut word);
        *self = Self::from_bits(word);
    }
}

impl Remembered for i64 {
    fn pass(&mut self, memory: &mut Memory) {
        let mut word = self.cast_unsigned();
        memory.word(&mut word);
        *self = word.cast_signed();
    }
}

impl Remembered for usize {
    fn pass(&mut self, memory: &mut Memory) {
        let mut word = *self as u64;
        memory.word(&mut word);
        match Self::try_from(word) {
            Ok(read) => *self = read,
            Err(_) => memory.refuse(),
        }
    }
}

impl<A: Remembered, B: Remembered> Remembered for (A, B) {
    fn pass(&mut self, memory: &mut Memory) {
        self.0.pass(memory);
        self.1.pass(memory);
    }
}

impl<T: Remembered + Default> Remembered for Option<T> {
    fn pass(&mut self, memory: &mut Memory) {
        let mut count = usize::from(self.is_some());
        count.pass(memory);
        match count {
            0 => *self = None,
            _ => self.get_or_insert_default().pass(memory),
        }
    }
}

impl<T: Remembered + Default + Clone> Remembered for Vec<T> {
    fn pass(&mut self, memory: &mut Memory) {
        let length = memory.length(self.len());
        self.resize(length, T::default());
        self.iter_mut().for_each(|value| value.pass(memory));
    }
}

impl<T: Remembered + Default + Clone> Remembered for VecDeque<T> {
    fn pass(&mut self, memory: &mut Memory) {
        let length = memory.length(self.len());
        self.resize(length, T::default());
        self.iter_mut().for_each(|value| value.pass(memory));
    }
}
