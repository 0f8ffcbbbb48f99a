//! Medians and how far apart measurements lie.

/// Middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// `0.57 (0.55–0.60)`: the median, and the least and greatest value.
pub fn with_spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.2} ({least:.2}–{greatest:.2})", median(values))
}

/// A measurement with two digits at least: `936`, `4.2`.
pub fn figure(value: f64) -> String {
    let places = if value < 99.95 { 1 } else { 0 };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_of_any_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(with_spread(&[0.6, 0.55, 0.57]), "0.57 (0.55–0.60)");
    }

    #[test]
    fn short_figures_keep_a_decimal() {
        assert_eq!([4.24, 99.96, 936.4].map(figure), ["4.2", "100", "936"]);
    }
}
