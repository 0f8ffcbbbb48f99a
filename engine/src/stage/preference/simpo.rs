//! Simple preference optimisation (Meng et al. 2024, equation 6), without a reference.
//!
//! Of means over an answer's tokens: −ln σ(β · (chosen − rejected) − γ).

use super::{PairLoss, Term};
use crate::stage::{log_sigmoid, sigmoid};

pub(super) struct Simpo {
    pub beta: f64,
    pub gamma: f64,
}

impl PairLoss for Simpo {
    fn averages(&self) -> bool {
        true
    }

    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term> {
        let term = |[chosen, rejected]: &[f64; 2]| {
            let h = self.beta * (chosen - rejected) - self.gamma;
            let slope = -self.beta * sigmoid(-h);
            Term::new(-log_sigmoid(h), [slope, -slope])
        };
        pairs.iter().map(term).collect()
    }
}
