//! How the learning rate goes over the steps: the schedule with its settings read from `lr_scheduler_kwargs`.
//!
//! Names and defaults are those of transformers' `optimization.py`.

mod measured;

use crate::args::{LrScheduler, Recipe};
use crate::named;
use crate::problem::Problem;
use crate::scalar::{real_number, show_real};

pub use measured::{Measured, Rise};

/// A schedule behind (or, where it says so, with) its warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// Always the peak.
    Constant,
    /// In a straight line from the peak to 0.
    Linear,
    /// `cycles` waves, so half a one goes once from top to bottom; down to the share `floor` of the peak.
    Cosine {
        /// Waves over all steps.
        cycles: f64,
        /// The lowest rate, as a share of the peak.
        floor: f64,
    },
    /// A cosine one step ahead, and warmed up from the share `start`; without that from the first of the warm-up's steps.
    CosineAhead {
        /// Waves over all steps.
        cycles: f64,
        /// The lowest rate, as a share of the peak.
        floor: f64,
        /// Where the warm-up begins, as a share of the peak.
        start: Option<f64>,
    },
    /// From the top to 0, `cycles` times.
    Restarts {
        /// How often it starts again from the top.
        cycles: f64,
    },
    /// Down to the rate `end`.
    Polynomial {
        /// The exponent of the steps that are left.
        power: f64,
        /// The last rate, not a share.
        end: f64,
    },
    /// Unset: the steps of the warm-up, or 10000.
    InverseSqrt {
        /// Steps in which the rate falls to 1/√2 of the peak.
        timescale: Option<f64>,
    },
    /// Warm-up, as many steps at the peak, and as many down; at either end the share `floor`.
    WarmupStableDecay {
        /// Steps at the peak; unset: those that the way down leaves, or a third of all after the warm-up.
        stable: Option<u64>,
        /// Steps down; unset: two thirds of those after the warm-up.
        decay: Option<u64>,
        /// How the warm-up goes up.
        rise: Slope,
        /// How it goes down in the end.
        fall: Slope,
        /// Waves of a cosine on the way down.
        cycles: f64,
        /// The rate at either end, as a share of the peak.
        floor: f64,
    },
    /// As evaluations ask for it, without warm-up.
    Measured(Measured),
}

/// How a stretch of [`Curve::WarmupStableDecay`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slope {
    /// A straight line.
    Linear,
    /// A part of a cosine wave.
    Cosine,
    /// One minus a square root.
    OneMinusSqrt,
}

const KEY: &str = "lr_scheduler_kwargs";

impl LrScheduler {
    /// The settings that the schedule takes.
    const fn settings(self) -> &'static [&'static str] {
        match self {
            LrScheduler::Linear | LrScheduler::Constant | LrScheduler::ConstantWithWarmup => &[],
            LrScheduler::Cosine | LrScheduler::CosineWithRestarts => &["num_cycles"],
            LrScheduler::CosineWithMinLr => &["num_cycles", "min_lr", "min_lr_rate"],
            LrScheduler::CosineWarmupWithMinLr => &["num_cycles", "min_lr", "min_lr_rate", "warmup_lr_rate"],
            LrScheduler::Polynomial => &["power", "lr_end"],
            LrScheduler::InverseSqrt => &["timescale"],
            LrScheduler::WarmupStableDecay => &[
                "num_stable_steps",
                "num_decay_steps",
                "min_lr_ratio",
                "num_cycles",
                "warmup_type",
                "decay_type",
            ],
            LrScheduler::ReduceLrOnPlateau => measured::PLATEAU,
            LrScheduler::Greedy => measured::GREEDY,
        }
    }

    /// Whether the rate follows what evaluations measure.
    pub const fn is_measured(self) -> bool {
        matches!(self, LrScheduler::ReduceLrOnPlateau | LrScheduler::Greedy)
    }
}

impl Recipe {
    /// The schedule of the learning rate.
    ///
    /// # Errors
    /// If its settings do not fit it.
    pub fn curve(&self) -> Result<Curve, Problem> {
        let kind = self.lr_scheduler_type;
        for (name, _) in &self.lr_scheduler_kwargs.0 {
            if !kind.settings().contains(&name.as_str()) {
                return Err(named::unknown(KEY, name, kind.name(), kind.settings()));
            }
        }
        let cycles = self.setting("num_cycles", |cycles| cycles > 0.0)?;
        Ok(match kind {
            LrScheduler::Constant | LrScheduler::ConstantWithWarmup => Curve::Constant,
            LrScheduler::Linear => Curve::Linear,
            LrScheduler::Cosine => Curve::Cosine { cycles: cycles.unwrap_or(0.5), floor: 0.0 },
            LrScheduler::CosineWithRestarts => Curve::Restarts { cycles: cycles.unwrap_or(1.0) },
            LrScheduler::CosineWithMinLr => {
                Curve::Cosine { cycles: cycles.unwrap_or(0.5), floor: self.least_share()? }
            }
            LrScheduler::CosineWarmupWithMinLr => Curve::CosineAhead {
                cycles: cycles.unwrap_or(0.5),
                floor: self.least_share()?,
                start: self.setting("warmup_lr_rate", is_share)?,
            },
            LrScheduler::Polynomial => {
                let power = self.setting("power", |power| power > 0.0)?.unwrap_or(1.0);
                let end = self.setting("lr_end", |end| end >= 0.0)?.unwrap_or(1e-7);
                if end >= self.learning_rate {
                    return Err(refused("lr_end", &show_real(end)));
                }
                Curve::Polynomial { power, end }
            }
            LrScheduler::InverseSqrt => {
                Curve::InverseSqrt { timescale: self.setting("timescale", |steps| steps > 0.0)? }
            }
            LrScheduler::WarmupStableDecay => Curve::WarmupStableDecay {
                stable: self.setting("num_stable_steps", is_count)?.map(|steps| steps as u64),
                decay: self.setting("num_decay_steps", is_count)?.map(|steps| steps as u64),
                rise: self.slope("warmup_type")?.unwrap_or(Slope::Linear),
                fall: self.slope("decay_type")?.unwrap_or(Slope::Cosine),
                cycles: cycles.unwrap_or(0.5),
                floor: self.setting("min_lr_ratio", is_share)?.unwrap_or(0.0),
            },
            LrScheduler::ReduceLrOnPlateau | LrScheduler::Greedy => Curve::Measured(self.measured()?),
        })
    }

    fn typed_setting(&self, name: &str) -> Option<&str> {
        self.lr_scheduler_kwargs.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn setting(&self, name: &str, allowed: impl Fn(f64) -> bool) -> Result<Option<f64>, Problem> {
        let Some(typed) = self.typed_setting(name) else { return Ok(None) };
        match real_number(typed) {
            Some(number) if allowed(number) => Ok(Some(number)),
            _ => Err(refused(name, typed)),
        }
    }

    fn slope(&self, name: &str) -> Result<Option<Slope>, Problem> {
        self.typed_setting(name)
            .map(|typed| match typed {
                "linear" => Ok(Slope::Linear),
                "cosine" => Ok(Slope::Cosine),
                "1-sqrt" => Ok(Slope::OneMinusSqrt),
                _ => Err(refused(name, typed)),
            })
            .transpose()
    }

    /// The share of the peak that a cosine ends at: `min_lr_rate`, or `min_lr` as a rate.
    fn least_share(&self) -> Result<f64, Problem> {
        let share = self.setting("min_lr_rate", is_share)?;
        let rate = self.setting("min_lr", |rate| (0.0..=self.learning_rate).contains(&rate))?;
        match (share, rate) {
            (Some(share), None) => Ok(share),
            (None, Some(rate)) => Ok(rate / self.learning_rate),
            _ => {
                let kind = self.lr_scheduler_type.name();
                let words = sentence! {
                    en: "`{kind}` needs one of `min_lr` (a rate) and `min_lr_rate` (a share of the learning rate); give it in `{KEY}`",
                    zh: "`{kind}` 需要 `min_lr`（学习率）或 `min_lr_rate`（占学习率的比例）之一；请在 `{KEY}` 中给出",
                };
                Err(Problem::of(KEY, words))
            }
        }
    }
}

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

fn is_count(number: f64) -> bool {
    number >= 0.0 && number.fract() == 0.0
}

fn refused(name: &str, typed: &str) -> Problem {
    let wanted = match name {
        "mode" => words! { en: "min or max", zh: "min 或 max" },
        "threshold_mode" => words! { en: "rel or abs", zh: "rel 或 abs" },
        "smooth" | "verbose" => words! { en: "true or false", zh: "true 或 false" },
        "factor" => words! { en: "a number above 0 and below 1", zh: "大于 0 且小于 1 的数值" },
        "threshold" | "eps" | "max_lr" => words! { en: "a number from 0 on", zh: "不小于 0 的数值" },
        "patience" | "cooldown" | "warmup" | "reset_start" | "window_size" => {
            words! { en: "an integer number of evaluations", zh: "评估次数（整数）" }
        }
        "num_cycles" | "power" | "timescale" => words! { en: "a number above 0", zh: "大于 0 的数值" },
        "lr_end" => words! {
            en: "a rate from 0 on, below the learning rate",
            zh: "不小于 0 且小于学习率的数值",
        },
        "min_lr" => words! { en: "a rate from 0 to the learning rate", zh: "0 到学习率之间的数值" },
        "num_stable_steps" | "num_decay_steps" => {
            words! { en: "an integer number of steps", zh: "步数（整数）" }
        }
        "warmup_type" | "decay_type" => {
            words! { en: "linear, cosine or 1-sqrt", zh: "linear、cosine 或 1-sqrt" }
        }
        _ => words! { en: "a share from 0 to 1", zh: "0 到 1 之间的比例" },
    };
    named::refused(KEY, name, typed, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(lines: &str) -> Result<Curve, String> {
        let recipe = Recipe::parse_yaml(&format!("learning_rate: 1.0e-3\n{lines}"), &[]).expect(lines);
        recipe.curve().map_err(|problem| problem.message.en)
    }

    #[test]
    fn settings_are_read_however_they_are_written() {
        for settings in ["{num_cycles: 3}", "\n  num_cycles: 3", "'{\"num_cycles\": 3}'", "num_cycles=3"] {
            let lines = format!("lr_scheduler_type: cosine_with_restarts\nlr_scheduler_kwargs: {settings}");
            assert_eq!(curve(&lines), Ok(Curve::Restarts { cycles: 3.0 }), "{settings}");
        }
        let lines = "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 2.0e-4}";
        assert_eq!(curve(lines), Ok(Curve::Cosine { cycles: 0.5, floor: 0.2 }));
        assert!(Recipe::parse_yaml("lr_scheduler_kwargs: {a: {b: 1}}", &[]).is_err());
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        for (kind, settings, says) in [
            ("linear", "{power: 2}", "`power`, but `linear` takes no settings"),
            ("polynomial", "{num_cycles: 2}", "it takes power, lr_end"),
            (
                "polynomial",
                "{lr_end: 0.1}",
                "`lr_end` to 0.1; give a rate from 0 on, below the learning rate",
            ),
            ("cosine_with_min_lr", "{}", "needs one of `min_lr`"),
            ("cosine_with_min_lr", "{min_lr: 0, min_lr_rate: 0}", "needs one of `min_lr`"),
            ("warmup_stable_decay", "{decay_type: steep}", "give linear, cosine or 1-sqrt"),
            ("warmup_stable_decay", "{num_decay_steps: 0.5}", "give an integer number of steps"),
            ("reduce_lr_on_plateau", "{max_lr: 1}", "it takes mode, factor, patience, threshold"),
            ("reduce_lr_on_plateau", "{factor: 1}", "give a number above 0 and below 1"),
            ("greedy", "{mode: less}", "give min or max"),
            ("greedy", "{smooth: 1}", "give true or false"),
            ("greedy", "{window_size: 0}", "give an integer number of evaluations"),
        ] {
            let message = curve(&format!("lr_scheduler_type: {kind}\nlr_scheduler_kwargs: {settings}"));
            let message = message.expect_err(settings);
            assert!(message.contains(says), "{message}");
        }
    }
}
