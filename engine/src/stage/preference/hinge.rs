//! The hinge loss of SLiC (Zhao et al. 2023, equation 1): max(0, 1 − β · (chosen − rejected)).

use super::{PairLoss, Term};

pub(super) struct Hinge {
    pub beta: f64,
}

impl PairLoss for Hinge {
    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term> {
        let term = |[chosen, rejected]: &[f64; 2]| {
            let short_of = 1.0 - self.beta * (chosen - rejected);
            let slope = if short_of > 0.0 { -self.beta } else { 0.0 };
            Term::new(short_of.max(0.0), [slope, -slope])
        };
        pairs.iter().map(term).collect()
    }
}
