//! How far training is, and how fast it goes.

use std::time::{Duration, Instant};

use recipe::Pace;

use super::checkpoint::State;

/// How often progress is told between logged steps.
const EVERY: Duration = Duration::from_secs(1);

/// Times an attempt; a run that goes on counts the seconds of earlier ones.
pub(super) struct Stopwatch {
    begin: Instant,
    /// When progress was last told.
    told: Instant,
    /// What the attempt started with.
    step: u64,
    tokens: u64,
    elapsed_s: f64,
}

impl Stopwatch {
    pub(super) fn start(state: &State) -> Stopwatch {
        let now = Instant::now();
        Stopwatch {
            begin: now,
            told: now,
            step: state.step,
            tokens: state.tokens,
            elapsed_s: state.elapsed_s,
        }
    }

    /// The step that the attempt started after.
    pub(super) fn first(&self) -> u64 {
        self.step
    }

    /// Whether progress is to be told again.
    pub(super) fn is_due(&self) -> bool {
        self.told.elapsed() >= EVERY
    }

    pub(super) fn tell(&mut self, state: &State, total_steps: u64) -> Pace {
        self.told = Instant::now();
        self.pace(state, total_steps)
    }

    pub(super) fn pace(&self, state: &State, total_steps: u64) -> Pace {
        let here = self.begin.elapsed().as_secs_f64();
        let steps_here = (state.step - self.step).max(1) as f64;
        Pace {
            step: state.step,
            tokens: state.tokens,
            tokens_per_second: (state.tokens - self.tokens) as f64 / here.max(1e-9),
            elapsed_s: self.elapsed_s + here,
            remaining_s: (total_steps - state.step) as f64 * here / steps_here,
        }
    }
}
