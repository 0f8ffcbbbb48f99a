//! How long rows are, in tokens.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use engine::text::data::{DataSource, Outcome, Seen};
use serde::{Deserialize, Serialize};
use wire::LengthHistogram;

use super::encode::Encoder;

/// How many rows, and for how long, are measured while a page waits.
const FIRST_ROWS: usize = 1000;
const FIRST_TIME: Duration = Duration::from_millis(150);
/// Bins of the histogram, at most.
const BINS: u64 = 40;

/// Rows by length.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Lengths {
    counts: BTreeMap<u64, u64>,
    pub whole: bool,
}

impl Lengths {
    pub(super) fn add(&mut self, length: usize) {
        *self.counts.entry(length as u64).or_default() += 1;
    }

    /// The picture of them, with what a cutoff does.
    pub(super) fn histogram(&self, cutoff_len: usize) -> LengthHistogram {
        let rows: u64 = self.counts.values().sum();
        let longest = self.counts.last_key_value().map_or(0, |(length, _)| *length);
        let width = longest.div_ceil(BINS).max(1);
        let mut bins = vec![0; longest.div_ceil(width).max(1) as usize];
        let (mut passed, mut median, mut truncated) = (0, 0, 0);
        for (length, count) in &self.counts {
            if let Some(bin) = bins.get_mut((length.saturating_sub(1) / width) as usize) {
                *bin += count;
            }
            if 2 * passed < rows {
                median = *length;
            }
            passed += count;
            truncated += if *length > cutoff_len as u64 { *count } else { 0 };
        }
        LengthHistogram { bins, width, rows, whole: self.whole, median, longest, truncated, cutoff_len }
    }
}

/// Lengths of the first rows that can be used, as many as there is time for.
pub(super) fn of_first_rows(source: &DataSource, encoder: &Encoder) -> Lengths {
    let (mut lengths, seen) = (Lengths::default(), Seen::default());
    let (mut rows, mut end) = (source.rows(), None);
    for _ in 0..FIRST_ROWS {
        let Some(row) = rows.next() else {
            lengths.whole = true;
            return lengths;
        };
        if let Ok(Outcome::Record(record)) = row.and_then(|row| source.convert(row, &seen))
            && let Ok(length) = encoder.length(&record, source.kind)
        {
            lengths.add(length);
        }
        // The first row may wait for the file and for the tokenizer's caches: it does not use up the time.
        if Instant::now() > *end.get_or_insert_with(|| Instant::now() + FIRST_TIME) {
            break;
        }
    }
    lengths.whole = rows.next().is_none();
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_all_rows_and_the_cutoff_divides_them() {
        let mut lengths = Lengths::default();
        for length in [1, 40, 41, 80, 80, 100] {
            lengths.add(length);
        }
        let picture = lengths.histogram(80);
        assert_eq!((picture.rows, picture.width, picture.longest, picture.median), (6, 3, 100, 41));
        assert_eq!(picture.bins.iter().sum::<u64>(), 6);
        assert_eq!((picture.bins[0], picture.bins[26], picture.bins.last()), (1, 2, Some(&1)));
        assert_eq!((picture.truncated, lengths.histogram(100).truncated), (1, 0));
        assert_eq!(Lengths::default().histogram(80).bins, [0]);
    }
}
