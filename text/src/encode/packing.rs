//! Several examples in one sequence.

use std::collections::BTreeMap;

use super::{Example, IGNORE_INDEX, Packed};

/// How examples are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Room for examples in a sequence. One token of padding at least follows, so that sequences are one longer.
    pub capacity: usize,
    /// Neat packing: examples of one sequence do not see each other.
    pub isolated: bool,
    /// Id of the padding.
    pub pad: u32,
}

impl Packing {
    /// Packs examples of `lengths` greedily: a sequence takes the longest example that still fits, again and again,
    /// before the next one is opened. Examples longer than the capacity are left out. Returns the examples of each
    /// sequence and how many were left out.
    pub fn packs(&self, lengths: &[usize]) -> (Vec<Vec<usize>>, usize) {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, length) in lengths.iter().enumerate().filter(|(_, length)| **length <= self.capacity) {
            by_length.entry(*length).or_default().push(place);
        }
        let fitting: usize = by_length.values().map(Vec::len).sum();
        let mut sequences = Vec::new();
        while let Some(longest) = take_longest(&mut by_length, self.capacity) {
            let mut chosen = vec![longest];
            let mut room = self.capacity - lengths[longest];
            while let Some(next) = take_longest(&mut by_length, room) {
                room -= lengths[next];
                chosen.push(next);
            }
            sequences.push(chosen);
        }
        (sequences, lengths.len() - fitting)
    }
}

/// Packs `examples`; see [`Packing::packs`].
pub fn pack(examples: &[Example], packing: Packing) -> (Vec<Example>, usize) {
    let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
    let (packs, left_out) = packing.packs(&lengths);
    let joined = packs.iter().map(|pack| join(pack.iter().map(|place| &examples[*place]), packing));
    (joined.collect(), left_out)
}

/// Of the longest examples that fit, the last one.
fn take_longest(by_length: &mut BTreeMap<usize, Vec<usize>>, room: usize) -> Option<usize> {
    let (&length, places) = by_length.range_mut(..=room).next_back()?;
    let place = places.pop();
    if places.is_empty() {
        by_length.remove(&length);
    }
    place
}

/// One sequence of `examples`, padded to its full length.
pub(crate) fn join<'a>(examples: impl Iterator<Item = &'a Example>, packing: Packing) -> Example {
    let (mut ids, mut labels, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for example in examples {
        ids.extend_from_slice(&example.ids);
        labels.extend_from_slice(&example.labels);
        lengths.push(example.ids.len());
    }
    ids.resize(packing.capacity + 1, packing.pad);
    labels.resize(packing.capacity + 1, IGNORE_INDEX);
    let packed = Some(Packed { lengths, isolated: packing.isolated });
    Example { packed, ..Example::new(ids, labels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_that_fits_comes_first() {
        let examples: Vec<Example> = [4u32, 3, 2, 5, 1, 9]
            .iter()
            .map(|length| Example::of_turn(&[], &vec![*length; *length as usize]))
            .collect();
        let (sequences, left_out) = pack(&examples, Packing { capacity: 6, isolated: true, pad: 0 });
        let lengths: Vec<_> =
            sequences.iter().filter_map(|e| e.packed.as_ref().map(|p| p.lengths.clone())).collect();
        assert_eq!(lengths, [vec![5, 1], vec![4, 2], vec![3]]);
        assert_eq!(left_out, 1);
        assert_eq!(sequences[2].ids, [3, 3, 3, 0, 0, 0, 0]);
        assert_eq!(sequences[0].positions(), [0, 1, 2, 3, 4, 0, 0]);
        assert_eq!(sequences[2].real_len(), 3);
        assert_eq!(sequences[2].trained_tokens(), 3);
    }
}
