//! What a run's log says of its events, a line each, in the language of the page.

use recipe::metrics::{EVAL_RUNTIME, LEARNING_RATE, SKIPPED};
use recipe::{Event, EventBody, Lang, LogLevel, Metrics, Outcome};

use crate::format;
use crate::i18n::{Words, fill, said, words_of};

#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The event's number; 0 of what is no event.
    pub seq: u64,
    /// Unix milliseconds, where known.
    pub time: Option<u64>,
    pub level: LogLevel,
    pub text: String,
    /// One of the many that tell of a logged step.
    pub is_step: bool,
}

impl LogLine {
    /// The line of an event, if it has one.
    pub fn of(event: &Event, lang: Lang) -> Option<LogLine> {
        let words = words_of(lang);
        let (level, text) = match &event.body {
            EventBody::Log { level, message } => (*level, said(message, lang)),
            EventBody::Point(point) => {
                (LogLevel::Info, at_step(point.step, measured(&point.metrics, point.epoch), words))
            }
            EventBody::Start { start_step, total_steps, num_examples, .. } => {
                let values = [
                    ("examples", format::count(*num_examples)),
                    ("from", format::count(start_step + 1)),
                    ("total", format::count(*total_steps)),
                ];
                (LogLevel::Info, fill_all(words.log_start, &values))
            }
            EventBody::Eval(eval) => {
                let parts = measured(&eval.metrics, eval.epoch).chain(eval.dataset.clone());
                (LogLevel::Info, at_step(eval.step, parts, words))
            }
            EventBody::Checkpoint { path, .. } => {
                (LogLevel::Info, fill(words.log_checkpoint, &[("path", path)]))
            }
            EventBody::End { outcome, reason } => {
                let (level, ended) = match outcome {
                    Outcome::Finished => (LogLevel::Info, words.log_finished),
                    Outcome::Stopped => (LogLevel::Info, words.log_stopped),
                    Outcome::Failed => (LogLevel::Error, words.log_failed),
                };
                let reason =
                    reason.as_ref().map(|reason| format!(": {}", said(reason, lang))).unwrap_or_default();
                (level, format!("{ended}{reason}"))
            }
            EventBody::Phase { .. } | EventBody::Progress(_) => return None,
        };
        let is_step = matches!(event.body, EventBody::Point(_));
        Some(LogLine { seq: event.seq, time: Some(event.time), level, text, is_step })
    }

    /// A line that a worker printed and that is no event.
    pub fn printed(text: String) -> LogLine {
        LogLine { seq: 0, time: None, level: LogLevel::Error, text, is_step: false }
    }

    /// The line in a file: `2026-03-01T14:05:09Z WARNING …`.
    pub fn to_text(&self) -> String {
        let time = self.time.map(|time| format!("{} ", format::iso(time))).unwrap_or_default();
        format!("{time}{}{}", self.level_text(), self.text)
    }

    pub fn level_text(&self) -> &'static str {
        match self.level {
            LogLevel::Info => "",
            LogLevel::Warning => "WARNING ",
            LogLevel::Error => "ERROR ",
        }
    }
}

/// The metrics by the names that LLaMA-Factory prints them under, and the epoch.
fn measured(metrics: &Metrics, epoch: f64) -> impl Iterator<Item = String> {
    let value = |(name, value): (&str, f64)| match name {
        LEARNING_RATE => format!("{name} {}", format::scientific(value)),
        EVAL_RUNTIME => format!("{name} {value:.1} s"),
        SKIPPED => format!("{name} {value}"),
        _ => format!("{name} {}", format::metric(value)),
    };
    metrics.iter().map(value).chain([format!("epoch {epoch:.2}")])
}

fn at_step(step: u64, parts: impl Iterator<Item = String>, words: &Words) -> String {
    let step = fill(words.run_checkpoint, &[("step", &format::count(step))]);
    format!("{step} · {}", parts.collect::<Vec<_>>().join(" · "))
}

fn fill_all(text: &str, values: &[(&str, String)]) -> String {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fill(text, &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use recipe::{Eval, Point};

    #[test]
    fn lines_tell_steps_evaluations_checkpoints_and_the_end() {
        let metrics =
            [("loss", 1.5), ("grad_norm", 0.75), ("learning_rate", 1e-4), ("rewards/chosen", -0.25)];
        let point = Point { step: 10, epoch: 0.25, metrics: Metrics::from(metrics), ..Point::default() };
        let metrics = [("eval_loss", 2.0), ("eval_accuracy", 0.5), ("eval_runtime", 1.25)];
        let (dataset, metrics) = (Some("poems".to_owned()), Metrics::from(metrics));
        let eval = EventBody::Eval(Eval { step: 10, dataset, epoch: 0.25, metrics });
        let bodies = [
            EventBody::Point(point),
            eval,
            EventBody::Checkpoint { step: 10, path: "checkpoint-10".into() },
            EventBody::End { outcome: Outcome::Failed, reason: Some("out of memory".into()) },
        ];
        let lines = |lang| {
            let events = bodies.iter().map(|body| Event { seq: 1, time: 0, body: body.clone() });
            events
                .filter_map(|event| LogLine::of(&event, lang))
                .map(|line| line.to_text())
                .collect::<Vec<_>>()
        };
        let expected = [
            "1970-01-01T00:00:00Z Step 10 · loss 1.5000 · grad_norm 0.7500 · learning_rate 1e-4 · rewards/chosen -0.2500 · epoch 0.25",
            "1970-01-01T00:00:00Z Step 10 · eval_loss 2.0000 · eval_accuracy 0.5000 · eval_runtime 1.2 s · epoch 0.25 · poems",
            "1970-01-01T00:00:00Z Checkpoint saved: checkpoint-10",
            "1970-01-01T00:00:00Z ERROR Failed: out of memory",
        ];
        assert_eq!(lines(Lang::En), expected);
        assert!(lines(Lang::Zh)[0].contains("第 10 步 · loss 1.5000"));
    }
}
