//! The losses of PPO (Schulman et al. 2017): a policy that may not leave the old one by more than a share in one go, and
//! the values that foresee its rewards.

use super::statistics::{count, mean, variance};
use super::{Rows, larger};

/// Limits of an update, and how much values weigh in the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    /// How far the ratio of probabilities may leave 1.
    pub ratio: f64,
    /// How far a value may leave the old one.
    pub value: f64,
    /// Factor on the values' part of the loss.
    pub value_weight: f64,
    /// From which mean ratio on a batch teaches nothing any more.
    pub largest_ratio: f64,
}

/// What is known of answers before an update, by token.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// Of the tokens, by the policy that drew them.
    pub log_probs: &'a [Vec<f64>],
    /// What the value head expected after each token.
    pub values: &'a [Vec<f64>],
    /// How much better than expected each token was.
    pub advantages: &'a [Vec<f64>],
    /// What values are to come to.
    pub returns: &'a [Vec<f64>],
}

/// The loss of a batch, its derivatives, and what is measured beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loss {
    /// The policy's part.
    pub policy: f64,
    /// Not yet times its weight.
    pub value: f64,
    /// Of the two together.
    pub total: f64,
    /// The derivatives of the total by log-probabilities.
    pub by_log_probs: Rows,
    /// The derivatives of the total by values.
    pub by_values: Rows,
    /// By the names that TRL gives them.
    pub measured: Vec<(&'static str, f64)>,
}

/// max(−A·ρ, −A·clip(ρ)) with ρ = exp(log-probability − old one), and its slope by the log-probability.
fn policy_term(log_ratio: f64, advantage: f64, limit: f64) -> ((f64, f64), bool) {
    let ratio = log_ratio.exp();
    let clipped = ratio.clamp(1.0 - limit, 1.0 + limit);
    let free = (-advantage * ratio, -advantage * ratio);
    let held = (-advantage * clipped, if clipped == ratio { free.1 } else { 0.0 });
    (larger(free, held), held.0 > free.0)
}

/// ½·max((v − R)², (clip(v) − R)²), and its slope by the value.
fn value_term(value: f64, old: f64, goal: f64, limit: f64) -> ((f64, f64), bool) {
    let clipped = value.clamp(old - limit, old + limit);
    let free = (0.5 * (value - goal).powi(2), value - goal);
    let held = (0.5 * (clipped - goal).powi(2), if clipped == value { free.1 } else { 0.0 });
    (larger(free, held), held.0 > free.0)
}

/// The loss of log-probabilities and values as they are now: means over all tokens.
pub fn loss(now: (&[Vec<f64>], &[Vec<f64>]), before: Before, clipping: Clipping) -> Loss {
    let (log_probs, values) = now;
    let share = 1.0 / count(log_probs).max(1) as f64;
    let mut loss = Loss::default();
    let (mut ratios, mut held, mut moved) = (0.0, [0.0; 2], [0.0; 2]);
    let mut error = 0.0;
    for row in 0..log_probs.len() {
        let (mut by_log_prob, mut by_value) = (Vec::new(), Vec::new());
        for place in 0..log_probs[row].len() {
            let at = |rows: &[Vec<f64>]| rows[row][place];
            let log_ratio = at(log_probs) - at(before.log_probs);
            let (goal, value) = (at(before.returns), at(values));
            let (policy, clipped) = policy_term(log_ratio, at(before.advantages), clipping.ratio);
            let (foresight, bound) = value_term(value, at(before.values), goal, clipping.value);
            loss.policy += share * policy.0;
            loss.value += share * foresight.0;
            by_log_prob.push(share * policy.1);
            by_value.push(share * clipping.value_weight * foresight.1);
            ratios += share * log_ratio.exp();
            held[0] += share * f64::from(u8::from(clipped));
            held[1] += share * f64::from(u8::from(bound));
            moved[0] += share * 0.5 * log_ratio * log_ratio;
            moved[1] -= share * log_ratio;
            error += share * (value - goal).powi(2);
        }
        loss.by_log_probs.push(by_log_prob);
        loss.by_values.push(by_value);
    }
    // What is so far off says more about the draw than about the answers.
    if ratios > clipping.largest_ratio {
        (loss.policy, loss.value) = (0.0, 0.0);
        loss.by_log_probs.iter_mut().chain(&mut loss.by_values).flatten().for_each(|slope| *slope = 0.0);
    }
    loss.total = loss.policy + clipping.value_weight * loss.value;
    loss.measured = vec![
        ("loss/policy", loss.policy),
        ("loss/value", loss.value),
        ("loss/total", loss.total),
        ("policy/approxkl", moved[0]),
        ("policy/policykl", moved[1]),
        ("policy/clipfrac", held[0]),
        ("policy/advantages_mean", mean(before.advantages)),
        ("returns/mean", mean(before.returns)),
        ("returns/var", variance(before.returns)),
        ("val/vpred", mean(values)),
        ("val/error", error),
        ("val/clipfrac", held[1]),
        ("val/mean", mean(before.values)),
        ("val/var", variance(before.values)),
    ];
    loss
}
