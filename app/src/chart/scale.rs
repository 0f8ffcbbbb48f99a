//! From values to pixels.

/// How values are laid out along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Linear,
    /// Powers of ten at equal distances; only values above zero have a place.
    Log,
}

/// Maps a range of values onto a range of pixels (which may run downwards, as y does).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    kind: Kind,
    pub min: f64,
    pub max: f64,
    start: f64,
    end: f64,
}

impl Scale {
    pub fn new(kind: Kind, (min, max): (f64, f64), (start, end): (f64, f64)) -> Scale {
        Scale { kind, min, max, start, end }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The pixel of a value; `None` for what has no place (not finite, or not positive on a log axis).
    pub fn pixel(&self, value: f64) -> Option<f64> {
        let (value, min, max) = match self.kind {
            Kind::Linear => (value, self.min, self.max),
            Kind::Log if value > 0.0 => (value.log10(), self.min.log10(), self.max.log10()),
            Kind::Log => return None,
        };
        let share = (value - min) / (max - min);
        share.is_finite().then_some(self.start + share * (self.end - self.start))
    }

    /// The value at a pixel: the inverse of [`Scale::pixel`].
    pub fn value(&self, pixel: f64) -> f64 {
        let share = (pixel - self.start) / (self.end - self.start);
        match self.kind {
            Kind::Linear => self.min + share * (self.max - self.min),
            Kind::Log => {
                let (min, max) = (self.min.log10(), self.max.log10());
                10f64.powf(min + share * (max - min))
            }
        }
    }
}

/// The range that holds all values that have a place on such an axis, with a little room at both ends.
pub fn range_of(values: impl Iterator<Item = f64>, kind: Kind) -> Option<(f64, f64)> {
    let placed = values.filter(|value| value.is_finite() && (kind == Kind::Linear || *value > 0.0));
    let (min, max) =
        placed.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)));
    if min > max {
        return None;
    }
    Some(match kind {
        Kind::Log if min == max => (min / 2.0, max * 2.0),
        Kind::Log => {
            let room = (max / min).powf(0.05);
            (min / room, max * room)
        }
        Kind::Linear if min == max => {
            let room = if min == 0.0 { 1.0 } else { min.abs() * 0.1 };
            (min - room, max + room)
        }
        Kind::Linear => {
            let room = (max - min) * 0.05;
            // What never falls below zero is not drawn as if it could.
            (if min >= 0.0 { (min - room).max(0.0) } else { min - room }, max + room)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_values_are_inverse() {
        for kind in [Kind::Linear, Kind::Log] {
            let scale = Scale::new(kind, (0.5, 80.0), (300.0, 20.0));
            for value in [0.5, 1.0, 7.5, 80.0] {
                let pixel = scale.pixel(value).unwrap();
                assert!((scale.value(pixel) - value).abs() < 1e-9, "{kind:?} {value}");
            }
            assert_eq!(scale.pixel(0.5), Some(300.0));
            assert_eq!(scale.pixel(80.0), Some(20.0));
        }
    }

    #[test]
    fn what_has_no_place_has_no_pixel() {
        let log = Scale::new(Kind::Log, (0.1, 10.0), (0.0, 100.0));
        assert_eq!(log.pixel(0.0), None);
        assert_eq!(log.pixel(-1.0), None);
        let linear = Scale::new(Kind::Linear, (0.0, 1.0), (0.0, 100.0));
        assert_eq!(linear.pixel(f64::NAN), None);
        assert_eq!(linear.pixel(f64::INFINITY), None);
    }

    #[test]
    fn ranges_skip_what_cannot_be_drawn() {
        let values = [f64::NAN, 1.0, 3.0, f64::INFINITY];
        let (min, max) = range_of(values.into_iter(), Kind::Linear).unwrap();
        assert!((min - 0.9).abs() < 1e-12 && (max - 3.1).abs() < 1e-12);
        assert_eq!(range_of([f64::NAN].into_iter(), Kind::Linear), None);
        assert_eq!(range_of([0.0, -2.0].into_iter(), Kind::Log), None);
    }

    #[test]
    fn a_flat_line_gets_a_range_around_it() {
        assert_eq!(range_of([0.0, 0.0].into_iter(), Kind::Linear), Some((-1.0, 1.0)));
        assert_eq!(range_of([2.0].into_iter(), Kind::Log), Some((1.0, 4.0)));
    }
}
