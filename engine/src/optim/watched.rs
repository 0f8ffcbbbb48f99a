//! A learning rate that follows evaluations: torch's `ReduceLROnPlateau`, and GreedyLR (arXiv 2512.14527) as
//! transformers has it.

use recipe::{Measured, Rise};
use serde::{Deserialize, Serialize};

/// Where such a rate stands, as checkpoints keep it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// The rate; none while it is the peak.
    rate: Option<f64>,
    /// The best metric so far.
    best: Option<f64>,
    /// Evaluations in a row that were no better, and that were.
    bad: u64,
    good: u64,
    /// Evaluations that are not counted, after a fall and after a rise.
    cooldown: u64,
    warmup: u64,
    /// Falls that found the rate at its lowest.
    at_floor: u64,
    /// The last metrics and their sum, where their mean is looked at.
    recent: Vec<f64>,
    sum: f64,
}

impl Watched {
    /// The learning rate, of a schedule with this peak.
    pub fn rate(&self, peak: f64) -> f64 {
        self.rate.unwrap_or(peak)
    }

    /// Takes an evaluation into account; answers with whether the rate has changed.
    pub fn take(&mut self, measured: &Measured, peak: f64, metric: f64) -> bool {
        let before = self.rate(peak);
        match &measured.rise {
            None => self.fall(measured, peak, metric),
            Some(rise) => self.fall_or_rise(measured, rise, peak, metric),
        }
        self.rate(peak) != before
    }

    fn is_better(&self, measured: &Measured, metric: f64) -> bool {
        let Measured { greater, threshold, relative, .. } = *measured;
        let Some(best) = self.best else { return !metric.is_nan() };
        match (greater, relative) {
            (false, true) => metric < best * (1.0 - threshold),
            (false, false) => metric < best - threshold,
            (true, true) => metric > best * (1.0 + threshold),
            (true, false) => metric > best + threshold,
        }
    }

    /// The best one counts during a cooldown, too; what is not better does not.
    fn fall(&mut self, measured: &Measured, peak: f64, metric: f64) {
        if self.is_better(measured, metric) {
            (self.best, self.bad) = (Some(metric), 0);
        } else {
            self.bad += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad = 0;
        }
        if self.bad > measured.patience {
            self.lower(measured, peak);
            (self.cooldown, self.bad) = (measured.cooldown, 0);
        }
    }

    fn fall_or_rise(&mut self, measured: &Measured, rise: &Rise, peak: f64, metric: f64) {
        let metric = rise.window.map_or(metric, |window| self.smoothed(metric, window));
        if self.cooldown > 0 {
            self.cooldown -= 1;
            (self.bad, self.good) = (0, 0);
            return;
        }
        if self.warmup > 0 {
            self.warmup -= 1;
            (self.bad, self.good) = (0, 0);
            return;
        }
        if self.is_better(measured, metric) {
            (self.best, self.bad, self.good) = (Some(metric), 0, self.good + 1);
        } else {
            (self.bad, self.good) = (self.bad + 1, 0);
        }
        if self.good > measured.patience {
            let old = self.rate(peak);
            let new = (old / measured.factor).min(rise.ceiling);
            if new - old > measured.eps {
                self.rate = Some(new);
            }
            (self.warmup, self.good, self.at_floor) = (rise.warmup, 0, 0);
        } else if self.bad > measured.patience {
            self.lower(measured, peak);
            (self.cooldown, self.bad) = (measured.cooldown, 0);
            if self.rate(peak) <= measured.floor {
                self.at_floor += 1;
                if self.at_floor >= rise.reset {
                    *self = Watched::default();
                }
            }
        }
    }

    fn lower(&mut self, measured: &Measured, peak: f64) {
        let old = self.rate(peak);
        let new = (old * measured.factor).max(measured.floor);
        if old - new > measured.eps {
            self.rate = Some(new);
        }
    }

    /// The mean of the last `window` metrics, this one among them.
    fn smoothed(&mut self, metric: f64, window: u64) -> f64 {
        self.recent.push(metric);
        self.sum += metric;
        if self.recent.len() as u64 > window {
            self.sum -= self.recent.remove(0);
        }
        self.sum / self.recent.len() as f64
    }
}
