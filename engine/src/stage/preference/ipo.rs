//! Identity preference optimisation (Azar et al. 2023, equation 17), of means over an answer's tokens as in TRL:
//! (chosen − rejected − 1 / (2β))².

use super::{PairLoss, Term};

pub(super) struct Ipo {
    pub beta: f64,
}

impl PairLoss for Ipo {
    fn averages(&self) -> bool {
        true
    }

    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term> {
        let term = |[chosen, rejected]: &[f64; 2]| {
            let off = chosen - rejected - 1.0 / (2.0 * self.beta);
            Term::new(off * off, [2.0 * off, -2.0 * off])
        };
        pairs.iter().map(term).collect()
    }
}
