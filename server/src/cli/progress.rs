//! Events of a run as a progress bar, or as plain lines where there is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use recipe::metrics::{EVAL_PREFIX, GRAD_NORM, LEARNING_RATE, SKIPPED};
use recipe::{EventBody, LogLevel, Metrics, Pace, Phase, Point};

pub(super) struct Progress {
    /// Hidden where there is no terminal.
    bar: ProgressBar,
    terminal: bool,
    total_steps: u64,
    /// What the newest logged step said.
    logged: String,
}

impl Progress {
    pub(super) fn new(terminal: bool) -> Progress {
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress { bar, terminal, total_steps: 0, logged: String::new() }
    }

    pub(super) fn show(&mut self, event: &EventBody) {
        match event {
            EventBody::Phase { phase: Phase::Training, .. } => {}
            EventBody::Phase { phase, detail } => {
                let detail = detail.as_deref().map(|detail| format!(" {detail}")).unwrap_or_default();
                self.status(format!("{}{detail}", phase_name(*phase)));
            }
            EventBody::Start { start_step, total_steps, num_examples, trainable_params, total_params } => {
                self.line(format!(
                    "{num_examples} examples, {total_steps} steps, {} of {} parameters are trained",
                    count(*trainable_params),
                    count(*total_params),
                ));
                self.begin(*start_step, *total_steps);
            }
            EventBody::Point(point) => self.point(point),
            EventBody::Progress(pace) => self.pace(pace),
            EventBody::Eval(eval) => {
                let on = eval.dataset.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
                self.line(format!("step {}: evaluation{on}  {}", eval.step, measured(&eval.metrics)));
            }
            EventBody::Checkpoint { step, path } => self.line(format!("step {step}: saved {path}")),
            EventBody::Log { level: LogLevel::Info, message } => self.line(message.clone()),
            EventBody::Log { level: LogLevel::Warning, message } => self.line(format!("warning: {message}")),
            EventBody::Log { level: LogLevel::Error, message } => self.line(format!("error: {message}")),
            EventBody::End { .. } => {}
        }
    }

    /// Leaves the screen to whatever comes after.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&mut self, start_step: u64, total_steps: u64) {
        self.total_steps = total_steps;
        self.bar.set_length(total_steps);
        self.bar.set_position(start_step);
        // The template is constant; should it ever be wrong, the bar keeps its plain style.
        if let Ok(style) = ProgressStyle::with_template("{bar:24.yellow/dim} {pos}/{len}  {wide_msg}") {
            self.bar.set_style(style.progress_chars("━╸─"));
        }
    }

    fn point(&mut self, point: &Point) {
        self.logged = measured(&point.metrics);
        let pace = Pace::from(point);
        if self.terminal {
            self.pace(&pace);
        } else {
            eprintln!("step {}/{}  {}  {}", point.step, self.total_steps, self.logged, speed(&pace));
        }
    }

    /// Moves the bar; lines are for logged steps alone.
    fn pace(&self, pace: &Pace) {
        self.bar.set_position(pace.step);
        // A narrow terminal cuts off the end, where a stage's own metrics are.
        self.bar.set_message(format!("{}  {}", speed(pace), self.logged));
    }

    fn status(&self, text: String) {
        if self.terminal {
            self.bar.set_message(text);
        } else {
            eprintln!("{text}");
        }
    }

    fn line(&self, text: String) {
        if self.terminal {
            self.bar.suspend(|| eprintln!("{text}"));
        } else {
            eprintln!("{text}");
        }
    }
}

/// `loss 1.2345  lr 1.00e-4  rewards/chosen -0.2500`.
fn measured(metrics: &Metrics) -> String {
    let short = |name| match name {
        LEARNING_RATE => "lr",
        GRAD_NORM => "grad",
        name => name.strip_prefix(EVAL_PREFIX).unwrap_or(name),
    };
    let value = |name, value: f64| match value.abs() {
        _ if name == SKIPPED => value.to_string(),
        size if size != 0.0 && !(0.001..100_000.0).contains(&size) => format!("{value:.2e}"),
        _ => format!("{value:.4}"),
    };
    let parts: Vec<String> =
        metrics.iter().map(|(name, number)| format!("{} {}", short(name), value(name, number))).collect();
    parts.join("  ")
}

fn speed(pace: &Pace) -> String {
    format!("{:.0} tokens/s  {} left", pace.tokens_per_second, clock(pace.remaining_s))
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Downloading => "downloading",
        Phase::LoadingModel => "loading model",
        Phase::EncodingData => "encoding data",
        Phase::Training => "training",
        Phase::Evaluating => "evaluating",
        Phase::Predicting => "predicting",
        Phase::Saving => "saving",
    }
}

/// `1.2k`, `135M`: three digits that tell.
fn count(number: u64) -> String {
    let units = [(1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")];
    match units.into_iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => format!("{:.1}{name}", number as f64 / unit as f64),
        None => number.to_string(),
    }
}

/// `0:07`, `12:34`, `1:02:03`.
fn clock(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_measured_is_said() {
        let metrics =
            [("loss", 1.25), ("learning_rate", 1e-4), ("rewards/chosen", -0.25), ("logps/chosen", -130.5)];
        let said = measured(&Metrics::from(metrics));
        assert_eq!(said, "loss 1.2500  lr 1.00e-4  rewards/chosen -0.2500  logps/chosen -130.5000");
        let said =
            measured(&Metrics::from([("eval_loss", f64::NAN), ("eval_accuracy", 0.0), (SKIPPED, 3.0)]));
        assert_eq!(said, "loss NaN  accuracy 0.0000  skipped_steps 3");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [clock(7.2), clock(754.0), clock(3723.0), clock(f64::NAN)],
            ["0:07", "12:34", "1:02:03", "?"]
        );
        assert_eq!([count(999), count(1_200), count(134_515_008)], ["999", "1.2k", "134.5M"]);
    }
}
