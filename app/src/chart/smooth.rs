//! Smoothing, as TensorBoard does it.

/// The exponential moving average of a series, corrected for its start at zero:
/// `m_i = w·m_(i-1) + (1-w)·x_i`, shown as `m_i / (1 - w^i)` (TensorBoard's line chart does the same).
/// A weight of 0 leaves the series as it is. Values that are not finite pass through and are not averaged.
pub fn debiased_ema(values: impl Iterator<Item = f64>, weight: f64) -> Vec<f64> {
    let weight = weight.clamp(0.0, 0.999);
    let (mut average, mut share) = (0.0, 1.0);
    values
        .map(|value| {
            if !value.is_finite() {
                return value;
            }
            average = weight * average + (1.0 - weight) * value;
            share *= weight;
            average / (1.0 - share)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_constant_from_the_first_value() {
        for value in debiased_ema([3.0; 20].into_iter(), 0.9) {
            assert!((value - 3.0).abs() < 1e-12);
        }
    }

    #[test]
    fn no_weight_changes_nothing() {
        assert_eq!(debiased_ema([1.0, 5.0, 2.0].into_iter(), 0.0), [1.0, 5.0, 2.0]);
    }

    #[test]
    fn follows_the_formula() {
        let smoothed = debiased_ema([1.0, 2.0].into_iter(), 0.5);
        assert_eq!(smoothed[0], 1.0);
        assert!((smoothed[1] - (0.25 + 1.0) / 0.75).abs() < 1e-12);
    }

    #[test]
    fn gaps_do_not_poison_what_follows() {
        let smoothed = debiased_ema([1.0, f64::NAN, 1.0].into_iter(), 0.6);
        assert!(smoothed[1].is_nan());
        assert!((smoothed[2] - 1.0).abs() < 1e-12);
    }
}
