//! KTO's loss on pairs (Ethayarajh et al. 2024, equation 7; `kto_pair` of TRL 0.8).
//!
//! Half of 1 − σ(β · (chosen − z of the rejected)) and half of 1 − σ(β · (z of the chosen − rejected)), z being the mean
//! over the batch's answers of that side, at least 0. As in TRL, z is part of what is differentiated.

use super::{PairLoss, Term};
use crate::stage::sigmoid;

pub(super) struct KtoPair {
    pub beta: f64,
}

impl PairLoss for KtoPair {
    fn is_joint(&self) -> bool {
        true
    }

    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term> {
        let count = pairs.len().max(1) as f64;
        let [z_chosen, z_rejected] =
            [0, 1].map(|side| (pairs.iter().map(|pair| pair[side]).sum::<f64>() / count).max(0.0));
        let gain = |x: f64| sigmoid(self.beta * x);
        let slope = |x: f64| 0.5 * self.beta * gain(x) * (1.0 - gain(x));
        let mut terms: Vec<Term> = pairs
            .iter()
            .map(|[chosen, rejected]| {
                let (good, bad) = (chosen - z_rejected, z_chosen - rejected);
                let loss = 0.5 * (1.0 - gain(good)) + 0.5 * (1.0 - gain(bad));
                Term::new(loss, [-slope(good), slope(bad)])
            })
            .collect();
        // Through z, which every answer of its side is an equal share of.
        let through = [
            pairs.iter().map(|[_, rejected]| -slope(z_chosen - rejected)).sum::<f64>(),
            pairs.iter().map(|[chosen, _]| slope(chosen - z_rejected)).sum::<f64>(),
        ];
        for (side, _) in [z_chosen, z_rejected].into_iter().enumerate().filter(|(_, z)| *z > 0.0) {
            terms.iter_mut().for_each(|term| term.slopes[side] += through[side] / count);
        }
        terms
    }
}
