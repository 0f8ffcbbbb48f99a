//! The learning rate over a run: a warm-up, then a curve; the formulas are those of transformers' `optimization.py`.

use std::f64::consts::PI;

use recipe::{Curve, Measured, Recipe, Slope};

use crate::{Error, Result};

/// The learning rate by step.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    curve: Curve,
    peak: f64,
    warmup: u64,
    total: u64,
}

impl Schedule {
    /// The recipe's schedule over `total` steps.
    ///
    /// # Errors
    /// If its settings do not fit it.
    pub fn new(recipe: &Recipe, total: u64) -> Result<Self> {
        let curve =
            recipe.curve().map_err(|problem| Error::recipe("lr_scheduler_kwargs", problem.message.en))?;
        Ok(Self { curve, peak: recipe.learning_rate, warmup: recipe.warmup(total), total })
    }

    /// The highest learning rate; of one that evaluations change the first.
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// How evaluations change the rate, where they do.
    pub fn measured(&self) -> Option<&Measured> {
        match &self.curve {
            Curve::Measured(measured) => Some(measured),
            _ => None,
        }
    }

    /// The learning rate of the step after `done` steps; the first of a warm-up is 0 but for those that say otherwise.
    pub fn rate(&self, done: u64) -> f64 {
        self.peak * self.factor(done)
    }

    fn factor(&self, done: u64) -> f64 {
        let risen = done as f64 / self.warmup.max(1) as f64;
        if done < self.warmup {
            return match self.curve {
                Curve::CosineAhead { start: None, .. } => (done + 1) as f64 / self.warmup as f64,
                Curve::CosineAhead { start: Some(start), .. } => {
                    start + (1.0 - start) * done as f64 / (self.warmup - 1).max(1) as f64
                }
                Curve::WarmupStableDecay { rise, floor, .. } => raised(up(rise, risen), floor),
                _ => risen,
            };
        }
        let after = done - self.warmup;
        let rest = self.total.saturating_sub(self.warmup);
        let progress = |steps: u64| steps as f64 / rest.max(1) as f64;
        match self.curve {
            Curve::Constant | Curve::Measured(_) => 1.0,
            Curve::Linear => (1.0 - progress(after)).max(0.0),
            Curve::Cosine { cycles, floor } => raised(cosine(progress(after), cycles), floor),
            Curve::CosineAhead { cycles, floor, .. } => raised(cosine(progress(after + 1), cycles), floor),
            Curve::Restarts { .. } if after >= rest => 0.0,
            Curve::Restarts { cycles } => cosine((cycles * progress(after)) % 1.0, 0.5),
            Curve::Polynomial { end, .. } if done > self.total => end / self.peak,
            Curve::Polynomial { power, end } => {
                ((self.peak - end) * (1.0 - progress(after)).powf(power) + end) / self.peak
            }
            Curve::InverseSqrt { timescale } => {
                let warmup = self.warmup as f64;
                let timescale = timescale.unwrap_or(if self.warmup > 0 { warmup } else { 10_000.0 });
                1.0 / ((done as f64 + timescale - warmup) / timescale).sqrt()
            }
            Curve::WarmupStableDecay { stable, decay, fall, cycles, floor, .. } => {
                let (stable, decay) = stretches(rest, stable, decay);
                match after.checked_sub(stable) {
                    None => 1.0,
                    Some(falling) if falling < decay => {
                        raised(down(fall, falling as f64 / decay as f64, cycles), floor)
                    }
                    Some(_) => floor,
                }
            }
        }
    }
}

/// From 1 on, `cycles` waves over a progress from 0 to 1.
fn cosine(progress: f64, cycles: f64) -> f64 {
    0.5 * (1.0 + (PI * cycles * 2.0 * progress).cos())
}

/// From 0 to 1.
fn up(slope: Slope, progress: f64) -> f64 {
    match slope {
        Slope::Linear => progress,
        Slope::Cosine => 0.5 * (1.0 - (PI * progress).cos()),
        Slope::OneMinusSqrt => 1.0 - (1.0 - progress).sqrt(),
    }
}

/// From 1 to 0.
fn down(slope: Slope, progress: f64, cycles: f64) -> f64 {
    match slope {
        Slope::Linear => 1.0 - progress,
        Slope::Cosine => cosine(progress, cycles),
        Slope::OneMinusSqrt => 1.0 - progress.sqrt(),
    }
}

/// A factor from 0 to 1 as one from `floor` to 1.
fn raised(factor: f64, floor: f64) -> f64 {
    (factor * (1.0 - floor) + floor).max(0.0)
}

/// Steps at the peak and steps down, of the `rest` behind the warm-up. Where it is not said, a third is at the peak, as in
/// LLaMA-Factory.
fn stretches(rest: u64, stable: Option<u64>, decay: Option<u64>) -> (u64, u64) {
    match (stable, decay) {
        (Some(stable), Some(decay)) => (stable, decay),
        (Some(stable), None) => (stable, rest - rest / 3),
        (None, Some(decay)) => (rest.saturating_sub(decay), decay),
        (None, None) => (rest / 3, rest - rest / 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recipe::LrScheduler;

    /// The golden schedules have no cases of these: transformers' own values.
    #[test]
    fn stretches_and_slopes_of_warm_up_stable_decay() {
        let rates = |settings: &str| {
            let lines = format!(
                "learning_rate: 1.0\nlr_scheduler_type: warmup_stable_decay\nwarmup_steps: 2\nlr_scheduler_kwargs: {settings}"
            );
            let recipe = Recipe::parse_yaml(&lines, &[]).expect(settings);
            let schedule = Schedule::new(&recipe, 8).expect(settings);
            (0..9).map(|step| (schedule.rate(step) * 1e4).round() / 1e4).collect::<Vec<_>>()
        };
        // Without settings two of the six steps are at the peak and four go down.
        assert_eq!(rates("{decay_type: linear}"), [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(
            rates("{warmup_type: 1-sqrt, decay_type: 1-sqrt, num_decay_steps: 4}"),
            [0.0, 0.2929, 1.0, 1.0, 1.0, 0.5, 0.2929, 0.134, 0.0]
        );
        assert_eq!(
            rates("{warmup_type: cosine, num_stable_steps: 5, min_lr_ratio: 0.2}"),
            [0.2, 0.6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8828]
        );
    }

    #[test]
    fn a_run_that_is_all_warm_up_has_rates() {
        for kind in LrScheduler::ALL {
            let mut recipe = Recipe { lr_scheduler_type: *kind, ..Recipe::default() };
            recipe.warmup_steps = recipe::Steps::Count(4);
            if let LrScheduler::CosineWithMinLr | LrScheduler::CosineWarmupWithMinLr = kind {
                recipe.set("lr_scheduler_kwargs", "min_lr_rate=0.1").expect("settings");
            }
            let schedule = Schedule::new(&recipe, 4).expect("a schedule");
            assert!((0..=5).all(|step| schedule.rate(step).is_finite()), "{kind:?}");
        }
    }
}
