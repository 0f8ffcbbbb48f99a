//! Where the ticks of an axis go, and what they say.

use super::scale::{Kind, Scale};
use crate::format;

/// A tick: its value and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// About `wanted` ticks at round values within the scale's range.
pub fn ticks(scale: &Scale, wanted: usize) -> Vec<Tick> {
    let values = match scale.kind() {
        Kind::Linear => linear(scale.min, scale.max, wanted),
        Kind::Log => log(scale.min, scale.max, wanted),
    };
    let step = match values.as_slice() {
        [first, second, ..] => (second - first).abs(),
        _ => 0.0,
    };
    values.into_iter().map(|value| Tick { value, label: label(value, step, scale.kind()) }).collect()
}

/// About `wanted` ticks at whole numbers (steps).
pub fn whole_ticks(scale: &Scale, wanted: usize) -> Vec<Tick> {
    linear(scale.min, scale.max, wanted)
        .into_iter()
        .filter(|value| value.fract() == 0.0)
        .map(|value| Tick { value, label: format::count(value as u64) })
        .collect()
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear(min: f64, max: f64, wanted: usize) -> Vec<f64> {
    let span = max - min;
    if !span.is_finite() || span <= 0.0 || wanted == 0 {
        return Vec::new();
    }
    let rough = span / wanted as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(power);
    let (first, last) = ((min / step).ceil() as i64, (max / step).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// Powers of ten, with 2 and 5 between them where there is room; where the range holds too few, as linear.
fn log(min: f64, max: f64, wanted: usize) -> Vec<f64> {
    let (first, last) = (min.log10().floor() as i32, max.log10().ceil() as i32);
    let inside = |value: &f64| *value >= min && *value <= max;
    let decades = (max / min).log10();
    let every = (decades / wanted.max(1) as f64).ceil().max(1.0) as usize;
    let multiples: &[f64] = if decades <= wanted as f64 / 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let values: Vec<f64> = (first..=last)
        .step_by(every)
        .flat_map(|power| multiples.iter().map(move |multiple| multiple * 10f64.powi(power)))
        .filter(inside)
        .collect();
    if values.len() >= 3 { values } else { linear(min, max, wanted).into_iter().filter(inside).collect() }
}

/// As many decimals as tell neighbours apart.
fn label(value: f64, step: f64, kind: Kind) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&size) {
        return format::scientific(value);
    }
    let finest = if kind == Kind::Log { size } else { step };
    let decimals = (-finest.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: Kind, min: f64, max: f64) -> Vec<String> {
        let scale = Scale::new(kind, (min, max), (0.0, 100.0));
        ticks(&scale, 5).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(labels(Kind::Linear, 0.0, 4.3), ["0", "1", "2", "3", "4"]);
        assert_eq!(labels(Kind::Linear, 1.02, 1.11), ["1.02", "1.04", "1.06", "1.08", "1.10"]);
        assert_eq!(labels(Kind::Linear, 0.0, 5e-5), ["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]);
    }

    #[test]
    fn log_ticks_are_powers_of_ten() {
        assert_eq!(labels(Kind::Log, 0.005, 50.0), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(Kind::Log, 0.8, 12.0), ["1", "2", "5", "10"]);
    }

    #[test]
    fn a_narrow_log_range_still_has_ticks() {
        assert!(labels(Kind::Log, 2.1, 2.9).len() >= 3);
    }

    #[test]
    fn steps_have_whole_ticks() {
        let scale = Scale::new(Kind::Linear, (1.0, 3.0), (0.0, 100.0));
        let labels: Vec<String> = whole_ticks(&scale, 6).into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["1", "2", "3"]);
    }
}
