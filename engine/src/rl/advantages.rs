//! From scores to what each token was worth.

use super::Rows;
use super::statistics::{whiten, whitening};

/// The reward of each token: what its penalty costs, and of the last one the sequence's score besides.
pub fn rewards(scores: &[f64], penalties: &[Vec<f64>], coefficient: f64) -> Rows {
    let row = |(score, penalties): (&f64, &Vec<f64>)| {
        let mut row: Vec<f64> = penalties.iter().map(|penalty| -coefficient * penalty).collect();
        row.last_mut().into_iter().for_each(|last| *last += score);
        row
    };
    scores.iter().zip(penalties).map(row).collect()
}

/// How rewards become advantages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discount {
    /// What a reward is worth a token earlier.
    pub gamma: f64,
    /// How far rewards count as they were, and not as values foresaw them.
    pub lambda: f64,
    /// Whether rewards are scaled to variance 1 first.
    pub whiten_rewards: bool,
}

/// What there was to gain by each token.
#[derive(Clone, Debug, PartialEq)]
pub struct Advantages {
    /// More than was foreseen; whitened over all tokens.
    pub advantages: Rows,
    /// What values should have foreseen.
    pub returns: Rows,
}

/// Generalised advantages (Schulman et al. 2016, equations 11 to 16): Aₜ = δₜ + γλ·Aₜ₊₁ with δₜ = rₜ + γ·Vₜ₊₁ − Vₜ, beyond
/// the last token zeros.
pub fn generalised(values: &[Vec<f64>], mut rewards: Rows, discount: Discount) -> Advantages {
    let Discount { gamma, lambda, whiten_rewards } = discount;
    let longest = rewards.iter().map(Vec::len).max().unwrap_or(0);
    // Behind a shorter answer there is nothing to gain, which whitened is a reward like any other, as in TRL.
    let mut behind = 0.0;
    if whiten_rewards {
        behind = whitening(&rewards, false)(0.0);
        whiten(&mut rewards, false);
    }
    let row = |(rewards, values): (&Vec<f64>, &Vec<f64>)| {
        let mut row = vec![0.0; values.len()];
        let (mut next_value, mut next) = (0.0, 0.0);
        (values.len()..longest).for_each(|_| next = behind + gamma * lambda * next);
        for place in (0..values.len()).rev() {
            let delta = rewards[place] + gamma * next_value - values[place];
            next = delta + gamma * lambda * next;
            (row[place], next_value) = (next, values[place]);
        }
        row
    };
    let mut advantages: Rows = rewards.iter().zip(values).map(row).collect();
    let sum = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    let returns = advantages.iter().zip(values).map(sum).collect();
    whiten(&mut advantages, true);
    Advantages { advantages, returns }
}
