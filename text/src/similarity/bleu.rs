//! BLEU (Papineni et al. 2002) of one sentence, over characters.

use std::collections::HashMap;

/// Characters of the longest n-grams.
const ORDERS: usize = 4;

/// BLEU-4 from 0 to 1: the geometric mean of how many n-grams of the answer are in the reference, times a penalty where
/// the answer is shorter. The k-th order of which none is counts as 1 / 2^k n-grams (Chen and Cherry 2014, smoothing 3).
pub(super) fn bleu_4(answer: &str, reference: &str) -> f64 {
    let (answer, reference): (Vec<char>, Vec<char>) = (answer.chars().collect(), reference.chars().collect());
    let found: Vec<(usize, usize)> = (1..=ORDERS).map(|order| found(&answer, &reference, order)).collect();
    if found[0].0 == 0 {
        return 0.0;
    }
    let mut missing = 0;
    let logarithms = found.iter().map(|(found, all)| {
        let found = match found {
            0 => {
                missing += 1;
                0.5f64.powi(missing)
            }
            found => *found as f64,
        };
        (found / *all as f64).ln() / ORDERS as f64
    });
    let mean = logarithms.sum::<f64>().exp();
    brevity(answer.len(), reference.len()) * mean
}

/// How many n-grams of the answer the reference has, each as often as it is there at most; and how many the answer has, at
/// least 1.
fn found(answer: &[char], reference: &[char], order: usize) -> (usize, usize) {
    let (own, known) = (counted(answer, order), counted(reference, order));
    let found = own.iter().map(|(gram, count)| *count.min(known.get(gram).unwrap_or(&0))).sum();
    (found, own.values().sum::<usize>().max(1))
}

fn counted(text: &[char], order: usize) -> HashMap<&[char], usize> {
    let mut counts = HashMap::new();
    for gram in text.windows(order) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// What an answer shorter than its reference loses.
fn brevity(answer: usize, reference: usize) -> f64 {
    if answer > reference { 1.0 } else { (1.0 - reference as f64 / answer as f64).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_without_a_match_are_halved_again_and_again() {
        // Of "abxy" two letters and one pair are in "ab", of three and four letters none: 1/2 of 2 and 1/4 of 1.
        let expected = (2.0f64 / 4.0 * (1.0 / 3.0) * (0.5 / 2.0) * 0.25).powf(0.25);
        assert!((bleu_4("abxy", "ab") - expected).abs() < 1e-12);
        // The same the other way round is a whole match, but for its length; orders it is too short for count 1.
        let expected = (1.0f64 - 2.0).exp() * (0.5f64 * 0.25).powf(0.25);
        assert!((bleu_4("ab", "abxy") - expected).abs() < 1e-12);
    }
}
