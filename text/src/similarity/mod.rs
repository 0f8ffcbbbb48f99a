//! How alike an answer and the one that the data give are: BLEU-4 and ROUGE, in percent, as LLaMA-Factory's
//! `ComputeSimilarity` measures them.

mod bleu;
mod rouge;

use std::sync::LazyLock;

use jieba_rs::Jieba;
use regex::Regex;

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

/// The words as the Python package cuts them: what it takes for no part of any falls into characters, and where the crate
/// keeps names such as `rc-1.2.3` whole, letters and numbers are words of their own.
fn words(text: &str) -> Vec<&str> {
    static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);
    let mut words = Vec::new();
    let mut end = 0;
    for run in RUNS.iter().flat_map(|runs| runs.find_iter(text)) {
        words.extend(characters(&text[end..run.start()]));
        end = run.end();
        for word in JIEBA.cut(run.as_str(), true).into_iter().map(|token| token.word) {
            // No word of the dictionary has one of these.
            if word.contains(['.', '_', '-']) { words.extend(parts(word)) } else { words.push(word) }
        }
    }
    words.extend(characters(&text[end..]));
    words
}

/// What may be part of a word.
static RUNS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[\u{4E00}-\u{9FD5}a-zA-Z0-9+#&._%\-]+").ok());
/// A word of letters or a number.
static PARTS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[a-zA-Z0-9]+(?:\.[0-9]+)?%?").ok());

fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, character)| &text[at..at + character.len_utf8()])
}

/// Words of letters and numbers, and what is between them.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut end = 0;
    for part in PARTS.iter().flat_map(|found| found.find_iter(word)) {
        parts.extend([&word[end..part.start()], part.as_str()]);
        end = part.end();
    }
    parts.push(&word[end..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Rounded as Python rounds: by the exact value, which a product with 10 000 would not keep.
fn percent(share: f64) -> f64 {
    let share = share * 100.0;
    format!("{share:.4}").parse().unwrap_or(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that the Python package finds.
    #[test]
    fn words_are_found_in_chinese_and_kept_in_english() {
        assert_eq!(words("先修理水壶"), ["先", "修理", "水壶"]);
        assert_eq!(words("It is 7.5 km."), ["It", " ", "is", " ", "7.5", " ", "km", "."]);
        assert_eq!(
            words("\u{4e00}\u{9fd5}\u{9fff}\u{3400}"),
            ["\u{4e00}", "\u{9fd5}", "\u{9fff}", "\u{3400}"]
        );
        let named = ["编号", "A", "-", "12", "_", "b", "#", "3", "&", "c++", "。"];
        assert_eq!(words("编号A-12_b#3&c++。"), named);
        assert_eq!(words("v1.2.3-rc4......"), ["v1.2", ".", "3", "-", "rc4", "......"]);
    }

    /// Scores of LLaMA-Factory's metric for pairs of texts, with jieba, nltk and rouge-chinese.
    #[test]
    fn scores_are_the_peers() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens/text");
        for (file, count) in [("metrics.json", 20), ("similarity.json", 20)] {
            let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
            let pairs = cases["pairs"].as_array().unwrap();
            assert_eq!(pairs.len(), count);
            for pair in pairs {
                let side = |name: &str| pair[name].as_str().unwrap();
                let expected = SCORES.map(|name| pair["scores"][name].as_f64().unwrap());
                assert_eq!(similarity(side("prediction"), side("label")), expected, "{}", side("prediction"));
            }
        }
    }

    #[test]
    fn nothing_is_like_nothing() {
        for (answer, reference) in [("", ""), ("", "a"), ("a", ""), (" \n", "a")] {
            assert_eq!(similarity(answer, reference), [0.0; 4], "{answer:?} {reference:?}");
        }
    }
}
