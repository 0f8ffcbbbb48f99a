//! Odds-ratio preference optimisation (Hong et al. 2024, equations 6 and 7), without a reference.
//!
//! Of means over an answer's tokens: −chosen − β · ln σ(ln odds(chosen) − ln odds(rejected)), with ln odds(a) =
//! a − ln(1 − eᵃ).

use super::{PairLoss, Term};
use crate::stage::{log_sigmoid, sigmoid};

/// Probabilities nearer to 1 have no odds that could be told.
const LARGEST: f64 = -1e-12;

pub(super) struct Orpo {
    pub beta: f64,
}

impl PairLoss for Orpo {
    fn averages(&self) -> bool {
        true
    }

    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term> {
        let term = |pair: &[f64; 2]| {
            // 1 − eᵃ
            let rest = pair.map(|a| -a.min(LARGEST).exp_m1());
            let [chosen, rejected] = [0, 1].map(|side| pair[side] - rest[side].ln());
            let log_odds = chosen - rejected;
            let ratio = -log_sigmoid(log_odds);
            let slope = self.beta * sigmoid(-log_odds);
            let mut term = Term::new(self.beta * ratio - pair[0], [-1.0 - slope / rest[0], slope / rest[1]]);
            term.measured = vec![("sft_loss", -pair[0]), ("odds_ratio_loss", ratio)];
            term
        };
        pairs.iter().map(term).collect()
    }
}
