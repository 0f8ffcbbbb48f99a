//! The most probable way to cut a text (Kudo 2018), by Viterbi's algorithm.
//!
//! Follows `EncodeOptimized` in `unigram_model.cc` of the sentencepiece project, sums in f32 included: which of two
//! equally good ways is taken depends on their rounding.

use std::collections::HashMap;

use super::model::Model;
use super::proto::{Kind, Piece};
use super::trie::Trie;

/// What an unknown character costs beyond the least probable piece.
const UNKNOWN_PENALTY: f32 = 10.0;

#[derive(Clone, Debug)]
pub(super) struct Unigram {
    trie: Trie,
    unknown: f32,
    largest: f32,
}

/// The best way to a place in the text: where its last piece starts, and which it is.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    start: usize,
    id: u32,
}

impl Unigram {
    pub(super) fn new(pieces: &[Piece], text_ids: &HashMap<String, u32>) -> Unigram {
        let normal = || pieces.iter().filter(|piece| piece.kind == Kind::Normal).map(|piece| piece.score);
        Unigram {
            trie: Trie::new(text_ids.iter().map(|(text, id)| (text.as_str(), *id))),
            unknown: normal().fold(f32::MAX, f32::min) - UNKNOWN_PENALTY,
            largest: normal().fold(f32::MIN_POSITIVE, f32::max),
        }
    }

    /// Ends and ids of the pieces.
    pub(super) fn cut(&self, model: &Model, text: &str) -> Vec<(usize, u32)> {
        let mut best: Vec<Option<Best>> = vec![None; text.len() + 1];
        let better = |slot: &mut Option<Best>, score: f32, start, id| {
            if slot.is_none_or(|best| score > best.score) {
                *slot = Some(Best { score, start, id });
            }
        };
        for (start, char) in text.char_indices() {
            let so_far = best[start].map_or(0.0, |best| best.score);
            let mut has_single = false;
            for (length, id) in self.trie.prefixes(&text.as_bytes()[start..]) {
                let score = match model.kind(id) {
                    Kind::Unused => continue,
                    Kind::UserDefined => length as f32 * self.largest - 0.1,
                    _ => model.pieces[id as usize].score,
                };
                better(&mut best[start + length], score + so_far, start, id);
                has_single |= length == char.len_utf8();
            }
            if !has_single {
                let score = self.unknown + so_far;
                better(&mut best[start + char.len_utf8()], score, start, model.unk);
            }
        }
        let mut cuts = Vec::new();
        let mut end = text.len();
        while let Some(last) = best[end].filter(|_| end > 0) {
            cuts.push((end, last.id));
            end = last.start;
        }
        cuts.reverse();
        cuts
    }
}
