//! How far a policy has gone from its reference, and what that costs.

use recipe::KlPenalty;

use super::Rows;

/// The penalty of each token, from its log-probabilities by the policy and by the reference: their difference, whose mean
/// is the divergence; its size; or half its square (Schulman 2020, "Approximating KL divergence": k1 and k2).
pub fn penalties(kind: KlPenalty, policy: &[Vec<f64>], reference: &[Vec<f64>]) -> Rows {
    let penalty = |(policy, reference): (&f64, &f64)| {
        let difference = policy - reference;
        match kind {
            KlPenalty::Kl => difference,
            KlPenalty::Abs => difference.abs(),
            KlPenalty::Mse => 0.5 * difference * difference,
        }
    };
    let row =
        |(policy, reference): (&Vec<f64>, &Vec<f64>)| policy.iter().zip(reference).map(penalty).collect();
    policy.iter().zip(reference).map(row).collect()
}

/// The coefficient of the penalty, steered so that the divergence comes to a target (Ziegler et al. 2019, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveKl {
    /// The coefficient as it is now.
    pub coefficient: f64,
    /// The divergence that is wanted.
    pub target: f64,
    /// Sequences in which the coefficient may change by a fifth.
    pub horizon: f64,
}

impl AdaptiveKl {
    /// Takes in the mean divergence of so many sequences.
    pub fn update(&mut self, divergence: f64, sequences: usize) {
        let error = (divergence / self.target - 1.0).clamp(-0.2, 0.2);
        self.coefficient *= 1.0 + error * sequences as f64 / self.horizon;
    }
}
