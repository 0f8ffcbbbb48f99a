//! A run's points as a table with commas, <https://www.rfc-editor.org/rfc/rfc4180>.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use recipe::{Eval, Metrics, Point};

use super::series::names;

/// A row for each logged step, with the metrics that any step or evaluation has as columns. An evaluation stands beside
/// its step; one between two logged steps, or a further one after the same step, has a row of its own.
pub fn csv(points: &[Point], evals: &[Eval]) -> String {
    let trained = names(points, &[]);
    let measured = columns(evals.iter().map(|eval| &eval.metrics));
    let has_datasets = evals.iter().any(|eval| eval.dataset.is_some());

    let header = ["step", "epoch"].into_iter().chain(trained.iter().map(|name| &**name));
    let header = header.chain(["tokens", "tokens_per_second", "elapsed_s"]);
    let header =
        header.chain(has_datasets.then_some("eval_dataset")).chain(measured.iter().map(|name| &**name));
    let mut table = line(header.map(Cow::Borrowed));

    let of_eval = |eval: Option<&Eval>| {
        let dataset = eval.and_then(|eval| eval.dataset.clone()).unwrap_or_default();
        let cells = measured.iter().map(move |name| value(eval.and_then(|eval| eval.metrics.get(name))));
        has_datasets.then_some(dataset).into_iter().chain(cells).collect::<Vec<_>>()
    };
    let alone = |eval: &Eval| {
        let step = [eval.step.to_string(), eval.epoch.to_string()].into_iter();
        let cells = step.chain(iter::repeat_n(String::new(), trained.len() + 3)).chain(of_eval(Some(eval)));
        line(cells.map(Cow::Owned))
    };
    let mut evals = evals.iter().peekable();
    for point in points {
        while let Some(eval) = evals.next_if(|eval| eval.step < point.step) {
            table += &alone(eval);
        }
        let step = [point.step.to_string(), point.epoch.to_string()].into_iter();
        let cells = step.chain(trained.iter().map(|name| value(point.metrics.get(name)))).chain([
            point.tokens.to_string(),
            point.tokens_per_second.to_string(),
            point.elapsed_s.to_string(),
        ]);
        let beside = evals.next_if(|eval| eval.step == point.step);
        table += &line(cells.chain(of_eval(beside)).map(Cow::Owned));
    }
    for eval in evals {
        table += &alone(eval);
    }
    table
}

/// All names, each once, as they were first reported.
fn columns<'a>(all: impl Iterator<Item = &'a Metrics>) -> Vec<Arc<str>> {
    let mut columns: Vec<Arc<str>> = Vec::new();
    for name in all.flat_map(Metrics::names) {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    columns
}

fn value(number: Option<f64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn line<'a>(cells: impl Iterator<Item = Cow<'a, str>>) -> String {
    let quoted = |cell: Cow<'a, str>| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")).into(),
        false => cell,
    };
    let cells: Vec<Cow<str>> = cells.map(quoted).collect();
    format!("{}\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64, metrics: Metrics) -> Point {
        Point { step, metrics, ..Point::default() }
    }

    fn eval(step: u64, dataset: Option<&str>, metrics: Metrics) -> Eval {
        Eval { step, dataset: dataset.map(str::to_owned), epoch: 0.5, metrics }
    }

    #[test]
    fn evaluations_stand_beside_their_steps_or_in_rows_of_their_own() {
        let points = [1, 4].map(|step| point(step, Metrics::from([("loss", 0.25)])));
        let metrics = Metrics::from([("eval_loss", 2.5), ("eval_accuracy", 0.75), ("eval_runtime", 1.5)]);
        let evals = [1, 3, 6].map(|step| eval(step, None, metrics.clone()));
        let expected = "step,epoch,loss,tokens,tokens_per_second,elapsed_s,eval_loss,eval_accuracy,eval_runtime\n\
                        1,0,0.25,0,0,0,2.5,0.75,1.5\n\
                        3,0.5,,,,,2.5,0.75,1.5\n\
                        4,0,0.25,0,0,0,,,\n\
                        6,0.5,,,,,2.5,0.75,1.5\n";
        assert_eq!(csv(&points, &evals), expected);
    }

    #[test]
    fn whatever_a_stage_reports_has_a_column() {
        let points = [
            point(1, Metrics::from([("loss", 0.5), ("rewards/chosen", -0.25)])),
            point(2, Metrics::from([("loss", 0.5), ("logps/chosen", -130.5), ("rewards/chosen", f64::NAN)])),
        ];
        let metrics = Metrics::from([("eval_rewards/accuracies", 0.5)]);
        let evals = [eval(2, Some("poems, \"old\""), metrics.clone()), eval(2, Some("prose"), metrics)];
        let expected = "step,epoch,loss,rewards/chosen,logps/chosen,tokens,tokens_per_second,elapsed_s,eval_dataset,\
                        eval_rewards/accuracies\n\
                        1,0,0.5,-0.25,,0,0,0,,\n\
                        2,0,0.5,NaN,-130.5,0,0,0,\"poems, \"\"old\"\"\",0.5\n\
                        2,0.5,,,,,,,prose,0.5\n";
        assert_eq!(csv(&points, &evals), expected);
    }
}
