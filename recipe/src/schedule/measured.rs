//! Schedules that follow what evaluations measure: torch's `ReduceLROnPlateau`, and GreedyLR (arXiv 2512.14527).

use super::{is_count, is_share, refused};
use crate::args::{LrScheduler, Recipe};
use crate::problem::Problem;

/// How a learning rate, the peak at first, follows the evaluations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Whether more of the metric is better.
    pub greater: bool,
    /// By how much a metric must be better than the best one to count as better.
    pub threshold: f64,
    /// Whether that is a share of the best one.
    pub relative: bool,
    /// What a falling rate is multiplied by, below 1.
    pub factor: f64,
    /// Evaluations in a row that change nothing yet.
    pub patience: u64,
    /// Evaluations after a fall that are not counted.
    pub cooldown: u64,
    /// The lowest rate.
    pub floor: f64,
    /// Changes up to this are not made.
    pub eps: f64,
    /// How it rises while evaluations get better; none for one that only falls.
    pub rise: Option<Rise>,
}

/// How a measured rate rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Evaluations after a rise that are not counted.
    pub warmup: u64,
    /// The highest rate.
    pub ceiling: f64,
    /// Evaluations whose mean is looked at; none for each by itself.
    pub window: Option<u64>,
    /// Falls at the lowest rate after which all begins again.
    pub reset: u64,
    /// Whether changes are told.
    pub verbose: bool,
}

/// Settings of both, and those that only GreedyLR has.
pub(super) const PLATEAU: &[&str] =
    &["mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"];
pub(super) const GREEDY: &[&str] = &[
    "mode",
    "factor",
    "patience",
    "threshold",
    "threshold_mode",
    "cooldown",
    "warmup",
    "min_lr",
    "max_lr",
    "eps",
    "verbose",
    "smooth",
    "window_size",
    "reset_start",
];

impl Recipe {
    /// The settings of a measured schedule.
    pub(super) fn measured(&self) -> Result<Measured, Problem> {
        let rises = self.lr_scheduler_type == LrScheduler::Greedy;
        let default = |greedy: f64, plateau: f64| if rises { greedy } else { plateau };
        let count = |name: &str, unset: u64| -> Result<u64, Problem> {
            Ok(self.setting(name, is_count)?.map_or(unset, |number| number as u64))
        };
        let is_rate = |rate: f64| rate >= 0.0;
        let is_smooth = self.one_of("smooth", &["true", "false"])? == Some("true");
        let window = self.setting("window_size", |size| is_count(size) && size > 0.0)?.unwrap_or(50.0);
        let rise = Rise {
            warmup: count("warmup", 0)?,
            ceiling: self.setting("max_lr", is_rate)?.unwrap_or(1.0),
            window: is_smooth.then_some(window as u64),
            reset: count("reset_start", 500)?,
            verbose: self.one_of("verbose", &["true", "false"])? == Some("true"),
        };
        Ok(Measured {
            greater: self.one_of("mode", &["min", "max"])? == Some("max"),
            threshold: self.setting("threshold", is_rate)?.unwrap_or(default(1e-6, 1e-4)),
            relative: self.one_of("threshold_mode", &["rel", "abs"])?.map_or(!rises, |mode| mode == "rel"),
            factor: self
                .setting("factor", |factor| is_share(factor) && factor > 0.0 && factor < 1.0)?
                .unwrap_or(default(0.95, 0.1)),
            patience: count("patience", 10)?,
            cooldown: count("cooldown", 0)?,
            floor: self.setting("min_lr", is_rate)?.unwrap_or(default(1e-3, 0.0)),
            eps: self.setting("eps", is_rate)?.unwrap_or(1e-8),
            rise: rises.then_some(rise),
        })
    }

    /// A setting that takes one of a few names.
    fn one_of(&self, name: &str, allowed: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(typed) = self.typed_setting(name) else { return Ok(None) };
        let found = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(typed));
        found.copied().map(Some).ok_or_else(|| refused(name, typed))
    }
}
