//! The learning rate over a run: a linear warm-up, then a curve; as transformers' schedules.

use recipe::LrScheduler;

/// Factor on the peak learning rate by step.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub kind: LrScheduler,
    pub peak: f64,
    pub warmup: u64,
    pub total: u64,
}

impl Schedule {
    /// The learning rate of the step after `done` steps; the first of a warm-up is 0.
    pub fn rate(&self, done: u64) -> f64 {
        self.peak * self.factor(done)
    }

    fn factor(&self, done: u64) -> f64 {
        if done < self.warmup {
            return done as f64 / self.warmup.max(1) as f64;
        }
        let rest = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = (done - self.warmup) as f64 / rest;
        match self.kind {
            LrScheduler::Linear => (1.0 - progress).max(0.0),
            LrScheduler::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
            LrScheduler::Constant | LrScheduler::ConstantWithWarmup => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_with_warmup() {
        let schedule = Schedule { kind: LrScheduler::Cosine, peak: 1.0, warmup: 2, total: 10 };
        let want = [0.0, 0.5, 1.0, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381, 0.0];
        for (step, want) in want.into_iter().enumerate() {
            assert!((schedule.rate(step as u64) - want).abs() < 1e-4, "step {step}");
        }
    }

    #[test]
    fn linear_ends_at_zero() {
        let schedule = Schedule { kind: LrScheduler::Linear, peak: 1e-3, warmup: 0, total: 4 };
        let rates: Vec<f64> = (0..5).map(|step| schedule.rate(step)).collect();
        assert_eq!(rates, [1e-3, 7.5e-4, 5e-4, 2.5e-4, 0.0]);
    }
}
