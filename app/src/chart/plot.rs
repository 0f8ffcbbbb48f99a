//! One drawing of a chart: everything the view needs, computed from the points in one go.

use recipe::Point;
use wire::EvalPoint;

use super::axes::{self, Tick};
use super::decimate::{self, Sample};
use super::scale::{Kind, Scale, range_of};
use super::smooth::debiased_ema;

/// What the y axis shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Loss,
    LearningRate,
    GradNorm,
}

impl Metric {
    pub const ALL: [Metric; 3] = [Metric::Loss, Metric::LearningRate, Metric::GradNorm];

    /// The name in `data-metric` and in exported tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::LearningRate => "learning_rate",
            Metric::GradNorm => "grad_norm",
        }
    }

    fn of(self, point: &Point) -> f64 {
        match self {
            Metric::Loss => point.loss,
            Metric::LearningRate => point.learning_rate,
            Metric::GradNorm => point.grad_norm,
        }
    }

    /// A schedule is exact; only measured series are noisy.
    pub fn is_noisy(self) -> bool {
        self != Metric::LearningRate
    }
}

/// How the chart is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    pub metric: Metric,
    /// Weight of the moving average, 0 to 0.999.
    pub smoothing: f64,
    pub log: bool,
    /// The steps shown; all of them if `None`.
    pub zoom: Option<(f64, f64)>,
    /// In CSS pixels.
    pub width: f64,
    pub height: f64,
}

/// Room around the plot for ticks and labels, in CSS pixels.
pub const LEFT: f64 = 52.0;
pub const RIGHT: f64 = 14.0;
pub const TOP: f64 = 12.0;
pub const BOTTOM: f64 = 26.0;

/// The evaluations of one kind: of all data together, or of one data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalLine {
    pub dataset: Option<String>,
    pub marks: Vec<EvalMark>,
}

/// An evaluation with a place on the plot.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalMark {
    pub x: f64,
    pub y: f64,
    pub step: u64,
    pub loss: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    pub x: Scale,
    pub y: Scale,
    pub x_ticks: Vec<Tick>,
    pub y_ticks: Vec<Tick>,
    /// Path of the values as measured.
    pub raw: String,
    /// Path of the smoothed values; empty where nothing is smoothed.
    pub smooth: String,
    /// In the order in which each was first seen, whatever of it is in view.
    pub evals: Vec<EvalLine>,
    /// The samples in view and, beside each, its smoothed value.
    pub samples: Vec<Sample>,
    pub smoothed: Vec<f64>,
}

impl Plot {
    /// `None` where there is nothing to draw.
    pub fn of(points: &[Point], evals: &[EvalPoint], look: Look) -> Option<Plot> {
        let first = points.first()?.step as f64;
        let last = points.last()?.step as f64;
        let (from, to) = look.zoom.unwrap_or((first, last));
        let all: Vec<Sample> =
            points.iter().map(|point| (point.step as f64, look.metric.of(point))).collect();
        let weight = if look.metric.is_noisy() { look.smoothing } else { 0.0 };
        let averages = debiased_ema(all.iter().map(|sample| sample.1), weight);

        let (start, end) = (all.partition_point(|s| s.0 < from), all.partition_point(|s| s.0 <= to));
        let (samples, smoothed) = (all[start..end].to_vec(), averages[start..end].to_vec());
        let evals = if look.metric == Metric::Loss { evals } else { &[] };
        let in_view = |eval: &&EvalPoint| (from..=to).contains(&(eval.step as f64));

        let kind = if look.log { Kind::Log } else { Kind::Linear };
        let values = samples
            .iter()
            .map(|sample| sample.1)
            .chain(evals.iter().filter(in_view).map(|eval| eval.eval_loss));
        let y_range = range_of(values, kind)?;
        let x_range = if to > from { (from, to) } else { (from - 1.0, to + 1.0) };
        let x = Scale::new(Kind::Linear, x_range, (LEFT, look.width - RIGHT));
        let y = Scale::new(kind, y_range, (look.height - BOTTOM, TOP));

        let columns = (look.width - LEFT - RIGHT).max(1.0) as usize;
        let line = |samples: &[Sample]| decimate::path(&decimate::min_max(samples, columns), &x, &y);
        let average_line: Vec<Sample> =
            samples.iter().zip(&smoothed).map(|(s, average)| (s.0, *average)).collect();
        Some(Plot {
            raw: line(&samples),
            smooth: if weight > 0.0 { line(&average_line) } else { String::new() },
            evals: eval_lines(evals, |eval| mark(eval, &x, &y).filter(|_| in_view(&eval))),
            x_ticks: axes::whole_ticks(&x, (columns / 80).max(3)),
            y_ticks: axes::ticks(&y, 5),
            x,
            y,
            samples,
            smoothed,
        })
    }

    /// Index of the sample in view whose step is nearest to a pixel.
    pub fn nearest(&self, pixel: f64) -> Option<usize> {
        let step = self.x.value(pixel);
        let after = self.samples.partition_point(|sample| sample.0 < step);
        let candidates = [after.checked_sub(1), Some(after)].into_iter().flatten();
        candidates
            .filter(|index| *index < self.samples.len())
            .min_by(|a, b| (self.samples[*a].0 - step).abs().total_cmp(&(self.samples[*b].0 - step).abs()))
    }
}

/// One line a data set.
fn eval_lines(evals: &[EvalPoint], place: impl Fn(&EvalPoint) -> Option<EvalMark>) -> Vec<EvalLine> {
    let mut lines: Vec<EvalLine> = Vec::new();
    for eval in evals {
        let known = lines.iter().position(|line| line.dataset == eval.dataset);
        let at = known.unwrap_or_else(|| {
            lines.push(EvalLine { dataset: eval.dataset.clone(), marks: Vec::new() });
            lines.len() - 1
        });
        lines[at].marks.extend(place(eval));
    }
    lines
}

fn mark(eval: &EvalPoint, x: &Scale, y: &Scale) -> Option<EvalMark> {
    let (px, py) = (x.pixel(eval.step as f64)?, y.pixel(eval.eval_loss)?);
    Some(EvalMark { x: px, y: py, step: eval.step, loss: eval.eval_loss })
}

/// The points as a table with commas.
pub fn csv(points: &[Point], evals: &[EvalPoint]) -> String {
    use std::fmt::Write;
    let mut table = String::from(
        "step,epoch,loss,learning_rate,grad_norm,tokens,tokens_per_second,elapsed_s,eval_loss\n",
    );
    let mut evals = evals.iter().peekable();
    for p in points {
        // Writing to a String cannot fail. An evaluation between two logged steps has a row of its own.
        while let Some(eval) = evals.next_if(|eval| eval.step < p.step) {
            let _ = writeln!(table, "{},{},,,,,,,{}", eval.step, eval.epoch, eval.eval_loss);
        }
        let measured = evals.next_if(|eval| eval.step == p.step).map(|eval| eval.eval_loss.to_string());
        let _ = writeln!(
            table,
            "{},{},{},{},{},{},{},{},{}",
            p.step,
            p.epoch,
            p.loss,
            p.learning_rate,
            p.grad_norm,
            p.tokens,
            p.tokens_per_second,
            p.elapsed_s,
            measured.unwrap_or_default()
        );
    }
    for eval in evals {
        let _ = writeln!(table, "{},{},,,,,,,{}", eval.step, eval.epoch, eval.eval_loss);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_evaluations_beside_their_steps_or_in_rows_of_their_own() {
        let point = |step| Point { step, ..Point::default() };
        let eval = |step| EvalPoint { step, dataset: None, epoch: 0.5, eval_loss: 2.5 };
        let table = csv(&[point(1), point(4)], &[eval(1), eval(3), eval(6)]);
        let rows: Vec<_> = table.lines().skip(1).collect();
        assert_eq!(rows, ["1,0,0,0,0,0,0,0,2.5", "3,0.5,,,,,,,2.5", "4,0,0,0,0,0,0,0,", "6,0.5,,,,,,,2.5"]);
    }

    const LOOK: Look =
        Look { metric: Metric::Loss, smoothing: 0.6, log: false, zoom: None, width: 600.0, height: 300.0 };

    fn points() -> Vec<Point> {
        (1..=100).map(|step| Point { step, loss: 100.0 / step as f64, ..Point::default() }).collect()
    }

    #[test]
    fn nothing_to_draw_without_points() {
        assert_eq!(Plot::of(&[], &[], LOOK), None);
    }

    #[test]
    fn zoom_shows_the_steps_asked_for_and_their_range() {
        let plot = Plot::of(&points(), &[], Look { zoom: Some((50.0, 100.0)), ..LOOK }).unwrap();
        assert_eq!((plot.samples[0].0, plot.samples.len()), (50.0, 51));
        assert!(plot.y.max < 2.2);
    }

    #[test]
    fn the_pointer_finds_the_nearest_step() {
        let plot = Plot::of(&points(), &[], LOOK).unwrap();
        let pixel = plot.x.pixel(42.3).unwrap();
        assert_eq!(plot.nearest(pixel).map(|index| plot.samples[index].0), Some(42.0));
        assert_eq!(plot.nearest(-500.0), Some(0));
        assert_eq!(plot.nearest(5000.0), Some(99));
    }

    #[test]
    fn evaluations_are_drawn_with_the_loss_alone() {
        let eval = |step, name: Option<&str>| EvalPoint {
            step,
            dataset: name.map(str::to_owned),
            epoch: 1.0,
            eval_loss: 3.0,
        };
        let evals = [eval(50, None)];
        assert_eq!(Plot::of(&points(), &evals, LOOK).unwrap().evals.len(), 1);
        // Each data set has its own line, also where nothing of it is in view.
        let evals = [eval(50, Some("a")), eval(50, Some("b")), eval(90, Some("a"))];
        let plot = Plot::of(&points(), &evals, Look { zoom: Some((60.0, 100.0)), ..LOOK }).unwrap();
        let lines: Vec<_> =
            plot.evals.iter().map(|line| (line.dataset.as_deref(), line.marks.len())).collect();
        assert_eq!(lines, [(Some("a"), 1), (Some("b"), 0)]);
        let other = Look { metric: Metric::GradNorm, ..LOOK };
        assert!(Plot::of(&points(), &evals, other).unwrap().evals.is_empty());
    }

    #[test]
    fn a_single_point_has_a_plot() {
        let plot = Plot::of(&points()[..1], &[], LOOK).unwrap();
        assert!(plot.x.pixel(1.0).is_some_and(|pixel| pixel > LEFT && pixel < 600.0));
    }
}
