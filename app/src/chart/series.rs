//! The metrics that a run's chart has, and what they are called.

use std::sync::Arc;

use recipe::metrics::{
    EVAL_ACCURACY, EVAL_PERPLEXITY, EVAL_PREFIX, EVAL_RUNTIME, GRAD_NORM, LEARNING_RATE, LOSS, SKIPPED,
};
use recipe::{Eval, Metrics, Point};

use crate::i18n::Words;

/// The metrics of a run, each once: those of its steps as they were first reported, then those of evaluations alone.
pub fn names(points: &[Point], evals: &[Eval]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut last: Option<&Metrics> = None;
    for metrics in points.iter().map(|point| &point.metrics) {
        // Hardly any step reports other names than the one before.
        if !last.is_some_and(|last| metrics.has_names_of(last)) {
            for name in metrics.names() {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        last = Some(metrics);
    }
    for name in evals.iter().flat_map(|eval| eval.metrics.names()) {
        let name = of_training(name);
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }
    names
}

/// The metric whose chart an evaluation's metric is drawn on: `loss` for `eval_loss`.
fn of_training(name: &str) -> &str {
    name.strip_prefix(EVAL_PREFIX).unwrap_or(name)
}

/// What an evaluation measured of a metric.
pub fn measured(eval: &Eval, metric: &str) -> Option<f64> {
    eval.metrics.iter().find(|(name, _)| of_training(name) == metric).map(|(_, value)| value)
}

/// The metric in words, where it is a known one; else its name.
pub fn label<'a>(metric: &'a str, words: &'static Words) -> &'a str {
    let known = [
        (LOSS, words.chart_loss),
        (GRAD_NORM, words.chart_grad_norm),
        (LEARNING_RATE, words.chart_learning_rate),
        (SKIPPED, words.chart_skipped),
        (of_training(EVAL_ACCURACY), words.chart_accuracy),
        (of_training(EVAL_PERPLEXITY), words.chart_perplexity),
        (of_training(EVAL_RUNTIME), words.chart_runtime),
    ];
    known.into_iter().find(|(name, _)| *name == metric).map_or(metric, |(_, label)| label)
}

/// A schedule is exact; only measured series are noisy.
pub fn is_noisy(metric: &str) -> bool {
    ![LEARNING_RATE, SKIPPED].contains(&metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::EN;

    #[test]
    fn a_metric_has_one_chart_for_training_and_evaluation() {
        let point = |metrics: Metrics| Point { metrics, ..Point::default() };
        let points = [
            point(Metrics::from([("loss", 1.0), ("learning_rate", 0.1)])),
            point(Metrics::from([("loss", 1.0), ("rewards/chosen", 0.1), ("learning_rate", 0.1)])),
        ];
        let metrics =
            Metrics::from([("eval_loss", 2.0), ("eval_rewards/chosen", 0.5), ("eval_runtime", 1.5)]);
        let eval = Eval { metrics, ..Eval::default() };
        let names = names(&points, std::slice::from_ref(&eval));
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["loss", "learning_rate", "rewards/chosen", "runtime"]);
        let labels: Vec<&str> = names.iter().map(|name| label(name, &EN)).collect();
        assert_eq!(labels, ["Loss", "Learning rate", "rewards/chosen", "Run time (s)"]);
        assert_eq!((measured(&eval, "rewards/chosen"), measured(&eval, "kl")), (Some(0.5), None));
    }
}
