//! Fewer points, the same picture.

use std::fmt::Write;

use super::scale::Scale;

/// A sample: x and y in values.
pub type Sample = (f64, f64);

/// At most two samples for each of `columns` stretches of the series: the lowest and the highest, in
/// their order. No spike is lost. Samples that are not finite are kept, as gaps.
pub fn min_max(samples: &[Sample], columns: usize) -> Vec<Sample> {
    if columns == 0 || samples.len() <= columns * 2 {
        return samples.to_vec();
    }
    let mut kept = Vec::with_capacity(columns * 2);
    for column in 0..columns {
        let (from, to) = (column * samples.len() / columns, (column + 1) * samples.len() / columns);
        let stretch = &samples[from..to];
        let lowest = (0..stretch.len()).min_by(|a, b| stretch[*a].1.total_cmp(&stretch[*b].1));
        let highest = (0..stretch.len()).max_by(|a, b| stretch[*a].1.total_cmp(&stretch[*b].1));
        let (Some(lowest), Some(highest)) = (lowest, highest) else { continue };
        kept.push(stretch[lowest.min(highest)]);
        if lowest != highest {
            kept.push(stretch[lowest.max(highest)]);
        }
    }
    kept
}

/// The `d` of an SVG path through the samples; a sample without a place on the axes breaks the line.
pub fn path(samples: &[Sample], x: &Scale, y: &Scale) -> String {
    let mut path = String::with_capacity(samples.len() * 12);
    let mut pen_down = false;
    for &(at, value) in samples {
        let (Some(px), Some(py)) = (x.pixel(at), y.pixel(value)) else {
            pen_down = false;
            continue;
        };
        // Writing to a String cannot fail.
        let _ = write!(path, "{}{px:.1} {py:.1}", if pen_down { 'L' } else { 'M' });
        pen_down = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::scale::Kind;
    use super::*;

    #[test]
    fn a_spike_survives() {
        let mut samples: Vec<Sample> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        samples[4321].1 = 9.0;
        let kept = min_max(&samples, 100);
        assert!(kept.len() <= 200);
        assert!(kept.contains(&(4321.0, 9.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn short_series_stay_whole() {
        let samples = [(1.0, 2.0), (2.0, 1.0)];
        assert_eq!(min_max(&samples, 100), samples);
    }

    #[test]
    fn a_value_without_a_place_breaks_the_line() {
        let x = Scale::new(Kind::Linear, (0.0, 3.0), (0.0, 30.0));
        let y = Scale::new(Kind::Linear, (0.0, 1.0), (10.0, 0.0));
        let samples = [(0.0, 0.0), (1.0, 1.0), (2.0, f64::NAN), (3.0, 0.5)];
        assert_eq!(path(&samples, &x, &y), "M0.0 10.0L10.0 0.0M30.0 5.0");
    }
}
