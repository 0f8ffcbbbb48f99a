//! Byte-pair encoding by score: of all neighbours that join into a piece, the best-scored pair joins first, the
//! leftmost of equals.
//!
//! Follows `bpe_model.cc` of the sentencepiece project.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use super::model::Model;
use super::proto::Kind;

/// A stretch of the text; joined into its left neighbour, it is empty.
struct Symbol {
    range: Range<usize>,
    previous: Option<usize>,
    next: Option<usize>,
    /// A user-defined piece, which nothing is joined to.
    is_whole: bool,
}

/// Two neighbours that would join into a piece.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Length of both; if it has changed, one of them was joined otherwise.
    length: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

struct Joiner<'a> {
    model: &'a Model,
    text: &'a str,
    symbols: Vec<Symbol>,
    pairs: BinaryHeap<Pair>,
    /// Unused pieces are steps on the way only: where each was joined from.
    halves: HashMap<&'a str, usize>,
}

/// Ends and ids of the pieces.
pub(super) fn cut(model: &Model, text: &str) -> Vec<(usize, u32)> {
    let mut joiner = Joiner::new(model, text);
    joiner.join();
    let mut cuts = Vec::new();
    let mut at = (!text.is_empty()).then_some(0);
    while let Some(symbol) = at.map(|at| &joiner.symbols[at]) {
        joiner.give(symbol.range.clone(), &mut cuts);
        at = symbol.next;
    }
    cuts
}

impl<'a> Joiner<'a> {
    fn new(model: &'a Model, text: &'a str) -> Self {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        let mut start = 0;
        while let Some(char) = text[start..].chars().next() {
            let whole = model.user_defined.longest(&text.as_bytes()[start..]);
            let end = start + whole.unwrap_or(char.len_utf8());
            let index = symbols.len();
            symbols.push(Symbol {
                range: start..end,
                previous: index.checked_sub(1),
                next: (end < text.len()).then_some(index + 1),
                is_whole: whole.is_some(),
            });
            start = end;
        }
        Joiner { model, text, symbols, pairs: BinaryHeap::new(), halves: HashMap::new() }
    }

    fn join(&mut self) {
        for right in 1..self.symbols.len() {
            self.consider(Some(right - 1), Some(right));
        }
        while let Some(Pair { left, right, length, .. }) = self.pairs.pop() {
            let (a, b) = (&self.symbols[left], &self.symbols[right]);
            if a.range.is_empty() || b.range.is_empty() || a.range.len() + b.range.len() != length {
                continue;
            }
            let (end, next) = (b.range.end, b.next);
            self.symbols[right].range = end..end;
            self.symbols[left].range.end = end;
            self.symbols[left].next = next;
            if let Some(next) = next {
                self.symbols[next].previous = Some(left);
            }
            self.consider(self.symbols[left].previous, Some(left));
            self.consider(Some(left), next);
        }
    }

    fn consider(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        let (a, b) = (&self.symbols[left], &self.symbols[right]);
        if a.is_whole || b.is_whole {
            return;
        }
        let piece = &self.text[a.range.start..b.range.end];
        let Some(id) = self.model.text_ids.get(piece) else { return };
        if self.model.kind(*id) == Kind::Unused {
            self.halves.insert(piece, a.range.len());
        }
        let score = self.model.pieces[*id as usize].score;
        self.pairs.push(Pair { score, left, right, length: piece.len() });
    }

    /// Gives a symbol out, an unused one as what it was joined from.
    fn give(&self, range: Range<usize>, cuts: &mut Vec<(usize, u32)>) {
        let piece = &self.text[range.clone()];
        let id = self.model.text_ids.get(piece).copied().unwrap_or(self.model.unk);
        match self.halves.get(piece) {
            Some(left) if self.model.kind(id) == Kind::Unused => {
                let middle = range.start + left;
                self.give(range.start..middle, cuts);
                self.give(middle..range.end, cuts);
            }
            _ => cuts.push((range.end, id)),
        }
    }
}
