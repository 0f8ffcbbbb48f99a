//! One drawing of a chart: everything the view needs, computed from the points in one go.

use recipe::{Eval, Point};

use super::axes::{self, Tick};
use super::decimate::{self, Sample};
use super::scale::{Kind, Scale, range_of};
use super::series::{is_noisy, measured};
use super::smooth::debiased_ema;

/// How the chart is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
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
pub const TOP: f64 = 26.0;
pub const BOTTOM: f64 = 42.0;

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
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    pub x: Scale,
    pub y: Scale,
    pub x_ticks: Vec<Tick>,
    pub y_ticks: Vec<Tick>,
    /// Path of the values as measured; empty where evaluations alone have any.
    pub raw: String,
    /// Path of the smoothed values; empty where nothing is smoothed.
    pub smooth: String,
    /// In the order in which each was first seen, whatever of it is in view.
    pub evals: Vec<EvalLine>,
    /// Where in view training measured no number.
    pub broken: Vec<f64>,
    /// The samples in view and, beside each, its smoothed value. Where evaluations alone measure the metric, they
    /// stand at the evaluations' steps and are no numbers.
    pub samples: Vec<Sample>,
    pub smoothed: Vec<f64>,
}

impl Plot {
    /// The metric as training and evaluation report it; `None` where there is nothing to draw.
    pub fn of(points: &[Point], evals: &[Eval], metric: &str, look: Look) -> Option<Plot> {
        let first =
            points.first().map(|point| point.step).into_iter().chain(evals.first().map(|eval| eval.step));
        let last =
            points.last().map(|point| point.step).into_iter().chain(evals.last().map(|eval| eval.step));
        let (first, last) = (first.min()? as f64, last.max()? as f64);
        let (from, to) = look.zoom.unwrap_or((first, last));
        let sample = |point: &Point| Some((point.step as f64, point.metrics.get(metric)?));
        let mut all: Vec<Sample> = points.iter().filter_map(sample).collect();
        let evals: Vec<Measured> = evals.iter().filter_map(|eval| Measured::of(eval, metric)).collect();
        let is_broken = |sample: &&Sample| !sample.1.is_finite() && (from..=to).contains(&sample.0);
        let broken: Vec<f64> = all.iter().filter(is_broken).map(|sample| sample.0).collect();
        if all.is_empty() {
            // Somewhere for the pointer to stop.
            all = evals.iter().map(|eval| (eval.step as f64, f64::NAN)).collect();
            all.dedup_by_key(|sample| sample.0);
        }
        let weight = if is_noisy(metric) { look.smoothing } else { 0.0 };
        let averages = debiased_ema(all.iter().map(|sample| sample.1), weight);

        let (start, end) = (all.partition_point(|s| s.0 < from), all.partition_point(|s| s.0 <= to));
        let (samples, smoothed) = (all[start..end].to_vec(), averages[start..end].to_vec());
        let in_view = |eval: &&Measured| (from..=to).contains(&(eval.step as f64));

        let values =
            || samples.iter().map(|s| s.1).chain(evals.iter().filter(in_view).map(|eval| eval.value));
        // Values that are all below zero have no logarithm.
        let log = look.log.then(|| Some((Kind::Log, range_of(values(), Kind::Log)?))).flatten();
        let (kind, y_range) = match log {
            Some(log) => log,
            None => (Kind::Linear, range_of(values(), Kind::Linear)?),
        };
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
            evals: eval_lines(&evals, |eval| eval.mark(&x, &y).filter(|_| in_view(&eval))),
            broken: broken.into_iter().filter_map(|step| x.pixel(step)).collect(),
            x_ticks: axes::whole_ticks(&x, (columns / 80).max(3)),
            y_ticks: axes::ticks(&y, 5),
            x,
            y,
            samples,
            smoothed,
        })
    }

    /// The first and the last value in view: of the line, or of the evaluations where there is none.
    pub fn ends(&self) -> Option<(Sample, Sample)> {
        if !self.raw.is_empty() {
            return Some((*self.samples.first()?, *self.samples.last()?));
        }
        let marks = self.evals.iter().flat_map(|line| &line.marks).map(|mark| (mark.step as f64, mark.value));
        let by_step = |a: &Sample, b: &Sample| a.0.total_cmp(&b.0);
        Some((marks.clone().min_by(by_step)?, marks.max_by(by_step)?))
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

/// What an evaluation has of the metric that is drawn.
struct Measured<'a> {
    step: u64,
    dataset: Option<&'a str>,
    value: f64,
}

impl<'a> Measured<'a> {
    fn of(eval: &'a Eval, metric: &str) -> Option<Measured<'a>> {
        Some(Measured { step: eval.step, dataset: eval.dataset.as_deref(), value: measured(eval, metric)? })
    }

    fn mark(&self, x: &Scale, y: &Scale) -> Option<EvalMark> {
        let (px, py) = (x.pixel(self.step as f64)?, y.pixel(self.value)?);
        Some(EvalMark { x: px, y: py, step: self.step, value: self.value })
    }
}

/// One line a data set.
fn eval_lines(evals: &[Measured], place: impl Fn(&Measured) -> Option<EvalMark>) -> Vec<EvalLine> {
    let mut lines: Vec<EvalLine> = Vec::new();
    for eval in evals {
        let known = lines.iter().position(|line| line.dataset.as_deref() == eval.dataset);
        let at = known.unwrap_or_else(|| {
            lines.push(EvalLine { dataset: eval.dataset.map(str::to_owned), marks: Vec::new() });
            lines.len() - 1
        });
        lines[at].marks.extend(place(eval));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    use recipe::Metrics;

    const LOOK: Look = Look { smoothing: 0.6, log: false, zoom: None, width: 600.0, height: 300.0 };

    fn point(step: u64) -> Point {
        let metrics = Metrics::from([("loss", 100.0 / step as f64), ("rewards/chosen", -(step as f64))]);
        Point { step, metrics, ..Point::default() }
    }

    fn points() -> Vec<Point> {
        (1..=100).map(point).collect()
    }

    fn eval(step: u64, dataset: Option<&str>) -> Eval {
        let metrics = Metrics::from([("eval_loss", 3.0), ("eval_accuracy", 0.5)]);
        Eval { step, dataset: dataset.map(str::to_owned), epoch: 1.0, metrics }
    }

    #[test]
    fn nothing_to_draw_without_points() {
        assert_eq!(Plot::of(&[], &[], "loss", LOOK), None);
        assert_eq!(Plot::of(&points(), &[eval(50, None)], "kl", LOOK), None);
    }

    #[test]
    fn zoom_shows_the_steps_asked_for_and_their_range() {
        let look = Look { zoom: Some((50.0, 100.0)), ..LOOK };
        let plot = Plot::of(&points(), &[], "loss", look).unwrap();
        assert_eq!((plot.samples[0].0, plot.samples.len()), (50.0, 51));
        assert!(plot.y.max < 2.2);
    }

    #[test]
    fn the_pointer_finds_the_nearest_step() {
        let plot = Plot::of(&points(), &[], "loss", LOOK).unwrap();
        let pixel = plot.x.pixel(42.3).unwrap();
        assert_eq!(plot.nearest(pixel).map(|index| plot.samples[index].0), Some(42.0));
        assert_eq!(plot.nearest(-500.0), Some(0));
        assert_eq!(plot.nearest(5000.0), Some(99));
    }

    #[test]
    fn evaluations_are_drawn_with_the_metric_that_they_measure() {
        assert_eq!(Plot::of(&points(), &[eval(50, None)], "loss", LOOK).unwrap().evals.len(), 1);
        // Each data set has its own line, also where nothing of it is in view.
        let evals = [eval(50, Some("a")), eval(50, Some("b")), eval(90, Some("a"))];
        let look = Look { zoom: Some((60.0, 100.0)), ..LOOK };
        let plot = Plot::of(&points(), &evals, "loss", look).unwrap();
        let lines: Vec<_> =
            plot.evals.iter().map(|line| (line.dataset.as_deref(), line.marks.len())).collect();
        assert_eq!(lines, [(Some("a"), 1), (Some("b"), 0)]);
        assert!(Plot::of(&points(), &evals, "rewards/chosen", LOOK).unwrap().evals.is_empty());
    }

    #[test]
    fn what_evaluations_alone_measure_has_marks_and_no_line() {
        let evals = [eval(50, Some("a")), eval(50, Some("b")), eval(90, Some("a"))];
        for points in [points(), Vec::new()] {
            let plot = Plot::of(&points, &evals, "accuracy", LOOK).unwrap();
            let marks: Vec<f64> =
                plot.evals.iter().flat_map(|line| &line.marks).map(|mark| mark.value).collect();
            assert_eq!((marks, plot.raw.as_str(), plot.smooth.as_str()), (vec![0.5; 3], "", ""));
            let stop = plot.nearest(plot.x.pixel(80.0).unwrap()).unwrap();
            assert_eq!((plot.samples.len(), plot.samples[stop].0), (2, 90.0));
            assert_eq!(plot.ends(), Some(((50.0, 0.5), (90.0, 0.5))));
        }
    }

    #[test]
    fn values_without_a_logarithm_are_drawn_all_the_same() {
        let log = Look { log: true, ..LOOK };
        let kind = |metric: &str| Plot::of(&points(), &[], metric, log).unwrap().y.kind();
        assert_eq!((kind("loss"), kind("rewards/chosen")), (Kind::Log, Kind::Linear));
    }

    #[test]
    fn a_loss_that_is_no_number_has_a_mark() {
        let mut points = points();
        points[41].metrics.set("loss", f64::NAN);
        let plot = Plot::of(&points, &[], "loss", LOOK).unwrap();
        assert_eq!(plot.broken, [plot.x.pixel(42.0).unwrap()]);
        let look = Look { zoom: Some((50.0, 100.0)), ..LOOK };
        assert!(Plot::of(&points, &[], "loss", look).unwrap().broken.is_empty());
        let evals = [eval(50, None)];
        assert!(Plot::of(&points, &evals, "accuracy", LOOK).unwrap().broken.is_empty());
    }

    #[test]
    fn a_single_point_has_a_plot() {
        let plot = Plot::of(&points()[..1], &[], "loss", LOOK).unwrap();
        assert!(plot.x.pixel(1.0).is_some_and(|pixel| pixel > LEFT && pixel < 600.0));
    }
}
