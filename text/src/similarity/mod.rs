//! How alike an answer and the one that the data give are: BLEU-4 and ROUGE, in percent, as LLaMA-Factory's
//! `ComputeSimilarity` measures them.

mod bleu;
mod rouge;

use std::sync::LazyLock;

use jieba_rs::Jieba;

/// The names of the scores, in the order of [`similarity`].
pub const SCORES: [&str; 4] = ["rouge-1", "rouge-2", "rouge-l", "bleu-4"];

/// ROUGE-1, ROUGE-2, ROUGE-L and BLEU-4 of an answer by its reference, each from 0 to 100 with four decimals.
pub fn similarity(answer: &str, reference: &str) -> [f64; 4] {
    let [first, second, longest] = rouge::f_scores(&segmented(answer), &segmented(reference));
    [first, second, longest, bleu::bleu_4(answer, reference)].map(percent)
}

/// Words with blanks between them. Chinese is written without any: its words are found by jieba's dictionary.
fn segmented(text: &str) -> String {
    words(text).join(" ")
}

fn words(text: &str) -> Vec<&str> {
    static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);
    JIEBA.cut(text, true).into_iter().map(|token| token.word).collect()
}

/// Rounded as Python rounds: by the exact value, which a product with 10 000 would not keep.
fn percent(share: f64) -> f64 {
    let share = share * 100.0;
    format!("{share:.4}").parse().unwrap_or(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a sentence of the language ends matters no more than in the peer, which counts words over all of them.
    #[test]
    fn words_are_found_in_chinese_and_kept_in_english() {
        assert_eq!(words("先修理水壶"), ["先", "修理", "水壶"]);
        assert_eq!(words("It is 7.5 km."), ["It", " ", "is", " ", "7.5", " ", "km", "."]);
    }

    #[test]
    fn nothing_is_like_nothing() {
        for (answer, reference) in [("", ""), ("", "a"), ("a", ""), (" \n", "a")] {
            assert_eq!(similarity(answer, reference), [0.0; 4], "{answer:?} {reference:?}");
        }
    }
}
