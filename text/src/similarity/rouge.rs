//! ROUGE (Lin 2004) of two texts in words, by the rules of the Python package `rouge-chinese`.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::jinja::is_space;

/// F-scores from 0 to 1: of words, of pairs of words, and of the longest common subsequence; zeros where one of them has
/// no word.
pub(super) fn f_scores(answer: &str, reference: &str) -> [f64; 3] {
    let is_blank = |text: &str| text.chars().all(is_space);
    if is_blank(answer) || is_blank(reference) {
        return [0.0; 3];
    }
    let sentences = [answer, reference].map(sentences);
    let [answer, reference] = sentences.each_ref().map(|sentences| words(sentences));
    [
        of_grams(&answer, &reference, 1),
        of_grams(&answer, &reference, 2),
        f_score(common(&answer, &reference), answer.len(), reference.len()),
    ]
}

/// The sentences of a text. Where they end matters to no score but for one thing: each has a word at least, if only an
/// empty one.
fn sentences(text: &str) -> Vec<String> {
    static ENDS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let patterns =
            [r"([。！？?])([^”’])", r"(\.{6})([^”’])", r"(…{2})([^”’])", r"([。！？?][”’])([^，。！？?])"];
        patterns.into_iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
    });
    let parted =
        ENDS.iter().fold(text.to_owned(), |text, end| end.replace_all(&text, "${1}\n${2}").into_owned());
    let parted = parted.trim_end_matches(is_space).split('\n').filter(|sentence| !sentence.is_empty());
    parted.map(str::to_owned).collect()
}

fn words(sentences: &[String]) -> Vec<&str> {
    let mut words = Vec::new();
    for sentence in sentences {
        let before = words.len();
        words.extend(sentence.split(is_space).filter(|word| !word.is_empty()));
        if words.len() == before {
            words.push("");
        }
    }
    words
}

/// By n-grams that both have, each counted once.
fn of_grams(answer: &[&str], reference: &[&str], order: usize) -> f64 {
    let [answer, reference] = [answer, reference].map(|words| words.windows(order).collect::<HashSet<_>>());
    f_score(answer.intersection(&reference).count(), answer.len(), reference.len())
}

/// Twice the product of precision and recall by their sum; a hundred-millionth keeps that from being 0.
fn f_score(both: usize, answer: usize, reference: usize) -> f64 {
    let share = |of: usize| if of == 0 { 0.0 } else { both as f64 / of as f64 };
    let (precision, recall) = (share(answer), share(reference));
    2.0 * (precision * recall / (precision + recall + 1e-8))
}

/// The length of the longest common subsequence, row by row of the table of prefixes.
fn common(answer: &[&str], reference: &[&str]) -> usize {
    let mut row = vec![0; answer.len() + 1];
    for word in reference {
        // What stood in the row above, one to the left.
        let mut corner = 0;
        for (place, other) in answer.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if word == other { corner + 1 } else { above.max(row[place]) };
            corner = above;
        }
    }
    row[answer.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_subsequence_may_have_gaps() {
        let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        assert_eq!(common(&words("a x b y c"), &words("b a b c")), 3);
        assert_eq!(common(&words("a b"), &words("c d")), 0);
    }

    #[test]
    fn n_grams_count_once() {
        let [first, second, longest] = f_scores("a a a b", "a b");
        assert!((first - 1.0).abs() < 1e-7);
        assert!((second - 2.0 * (0.5 / 1.5)).abs() < 1e-7);
        assert!((longest - 2.0 * (0.5 / 1.5)).abs() < 1e-7);
    }

    #[test]
    fn a_sentence_of_nothing_is_a_word() {
        assert_eq!(words(&sentences("a \n \n b。 c")), ["a", "", "b。", "c"]);
    }
}
