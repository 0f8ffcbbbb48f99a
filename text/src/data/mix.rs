//! Several data sets as one: which row of which comes when.
//!
//! The orders are those of `datasets.interleave_datasets`, draw by draw.

use super::super::numpy::{DefaultRng, cumulative};

/// A row: number of the data set and of its row, both from 0.
pub type Place = (usize, usize);

/// How data sets are mixed.
#[derive(Clone, Debug, PartialEq)]
pub enum Mix {
    /// One after the other.
    Concat,
    /// In turns, or at random with the given shares.
    Interleave {
        /// When that ends.
        stop: Stop,
        /// The share of each data set among those that are drawn; none: in turns.
        shares: Option<Vec<f64>>,
    },
}

/// When interleaving ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As soon as one data set is used up.
    Under,
    /// When each has been used up at least once; shorter ones start again.
    Over,
    /// When all are used up; each row comes once.
    Once,
}

/// Decides which data set the next row comes from.
///
/// Lengths need not be known: the caller says when a data set is at its end.
pub struct Turns {
    stop: Stop,
    used_up: Vec<bool>,
    next: usize,
    drawn: Option<(DefaultRng, Vec<f64>)>,
    /// Turns are counted in rounds: without shares, a round that has begun is gone through.
    rounds: bool,
}

impl Turns {
    /// Turns of `sets` data sets; `rng` is for the shares.
    pub(crate) fn new(sets: usize, stop: Stop, shares: Option<&[f64]>, rng: DefaultRng) -> Self {
        let drawn = shares.map(|shares| (rng, cumulative(shares)));
        Self { stop, used_up: vec![false; sets], next: 0, rounds: false, drawn }
    }

    /// As [`Turns::new`], for data sets whose lengths are known: without shares, the last round is completed.
    fn in_rounds(sets: usize, stop: Stop, shares: Option<&[f64]>, seed: u64) -> Self {
        let rounds = shares.is_none() && stop != Stop::Once;
        Self { rounds, ..Self::new(sets, stop, shares, DefaultRng::new(seed)) }
    }

    /// The data set whose turn it is; `None` at the end.
    pub fn next_set(&mut self) -> Option<usize> {
        let sets = self.used_up.len();
        let mut done = match self.stop {
            Stop::Under => self.used_up.contains(&true),
            Stop::Over | Stop::Once => !self.used_up.contains(&false),
        };
        done &= !self.rounds || self.next == 0;
        if sets == 0 || done {
            return None;
        }
        loop {
            let set = match &mut self.drawn {
                Some((rng, shares)) => rng.choice(shares),
                None => {
                    let set = self.next;
                    self.next = (set + 1) % sets;
                    set
                }
            };
            if self.stop != Stop::Once || !self.used_up[set] {
                return Some(set);
            }
        }
    }

    /// The row just taken was the last one of `set`.
    pub fn used_up(&mut self, set: usize) {
        self.used_up[set] = true;
    }
}

impl Mix {
    /// The order of data sets of `lengths` rows.
    pub fn order(&self, lengths: &[usize], seed: u64) -> Vec<Place> {
        let (stop, shares) = match self {
            Mix::Interleave { stop, shares } if lengths.len() > 1 => (*stop, shares.as_deref()),
            _ => {
                let rows = |(set, length): (usize, &usize)| {
                    (0..*length).map(move |row| (set, row)).collect::<Vec<_>>()
                };
                return lengths.iter().enumerate().flat_map(rows).collect();
            }
        };
        if lengths.contains(&0) {
            return Vec::new();
        }
        let mut turns = Turns::in_rounds(lengths.len(), stop, shares, seed);
        let mut at = vec![0; lengths.len()];
        let mut order = Vec::new();
        while let Some(set) = turns.next_set() {
            order.push((set, at[set]));
            at[set] += 1;
            if at[set] == lengths[set] {
                turns.used_up(set);
                at[set] = 0;
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(stop: Stop, shares: Option<Vec<f64>>) -> Vec<usize> {
        let starts = [0, 3, 7];
        let order = Mix::Interleave { stop, shares }.order(&[3, 4, 5], 42);
        order.into_iter().map(|(set, row)| starts[set] + row).collect()
    }

    /// Values of `datasets.interleave_datasets`.
    #[test]
    fn interleaving_goes_in_the_order_of_datasets() {
        assert_eq!(flat(Stop::Under, None), [0, 3, 7, 1, 4, 8, 2, 5, 9]);
        assert_eq!(flat(Stop::Over, None), [0, 3, 7, 1, 4, 8, 2, 5, 9, 0, 6, 10, 1, 3, 11]);
        assert_eq!(flat(Stop::Once, None), [0, 3, 7, 1, 4, 8, 2, 5, 9, 6, 10, 11]);
        let shares = || Some(vec![0.2, 0.5, 0.3]);
        assert_eq!(flat(Stop::Under, shares()), UNDER);
        assert_eq!(flat(Stop::Over, shares()), OVER);
        assert_eq!(Mix::Concat.order(&[2, 1], 42), [(0, 0), (0, 1), (1, 0)]);
    }

    const UNDER: [usize; 8] = [7, 3, 8, 4, 0, 9, 10, 11];
    const OVER: [usize; 18] = [7, 3, 8, 4, 0, 9, 10, 11, 1, 5, 6, 7, 3, 8, 4, 5, 6, 2];
}
