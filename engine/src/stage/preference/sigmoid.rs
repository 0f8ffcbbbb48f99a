//! DPO's own loss (Rafailov et al. 2023, equation 7), with label smoothing (Mitchell 2023, "cDPO").
//!
//! With h = β · (chosen − rejected): −(1 − ε) · ln σ(h) − ε · ln σ(−h).

use super::{PairLoss, Term};
use crate::stage::{log_sigmoid, sigmoid};

pub(super) struct Sigmoid {
    pub beta: f64,
    pub smoothing: f64,
}

impl PairLoss for Sigmoid {
    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term> {
        let (kept, flipped) = (1.0 - self.smoothing, self.smoothing);
        let term = |[chosen, rejected]: &[f64; 2]| {
            let h = self.beta * (chosen - rejected);
            let slope = self.beta * (flipped * sigmoid(h) - kept * sigmoid(-h));
            Term::new(-kept * log_sigmoid(h) - flipped * log_sigmoid(-h), [slope, -slope])
        };
        pairs.iter().map(term).collect()
    }
}
