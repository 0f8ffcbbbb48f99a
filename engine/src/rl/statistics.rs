//! Means and variances over tokens.

/// Tokens of all rows.
pub fn count(rows: &[Vec<f64>]) -> usize {
    rows.iter().map(Vec::len).sum()
}

/// The mean over all tokens of all rows; 0 of none.
pub fn mean(rows: &[Vec<f64>]) -> f64 {
    rows.iter().flatten().sum::<f64>() / count(rows).max(1) as f64
}

/// The unbiased variance over all tokens of all rows; 0 where there are fewer than two.
pub fn variance(rows: &[Vec<f64>]) -> f64 {
    let center = mean(rows);
    let squares: f64 = rows.iter().flatten().map(|x| (x - center).powi(2)).sum();
    squares / count(rows).saturating_sub(1).max(1) as f64
}

/// What scales tokens to variance 1, and shifts them to mean 0 or leaves the mean where it was.
pub fn whitening(rows: &[Vec<f64>], shift: bool) -> impl Fn(f64) -> f64 + use<> {
    let (center, scale) = (mean(rows), 1.0 / (variance(rows) + 1e-8).sqrt());
    let to = if shift { 0.0 } else { center };
    move |x| (x - center) * scale + to
}

/// Whitens all tokens.
pub fn whiten(rows: &mut [Vec<f64>], shift: bool) {
    let whitened = whitening(rows, shift);
    rows.iter_mut().flatten().for_each(|x| *x = whitened(*x));
}

/// −Σ p ln p of the tokens that logits leave open, in nats.
pub fn entropy(logits: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let (total, weighted) = logits.fold((0.0, 0.0), |(total, weighted), x| {
        let share = (x - top).exp();
        (total + share, weighted + share * (x - top))
    });
    total.ln() - weighted / total
}

/// Mean and variance of all numbers that there have been, from batch to batch (Chan et al. 1979).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
    /// How many there have been.
    pub count: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments { mean: 0.0, variance: 1.0, count: 1e-24 }
    }
}

impl Moments {
    /// Takes in a batch.
    pub fn update(&mut self, batch: &[f64]) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as f64;
        let center = batch.iter().sum::<f64>() / count;
        let squares: f64 = batch.iter().map(|x| (x - center).powi(2)).sum();
        let (delta, total) = (center - self.mean, self.count + count);
        let between = delta * delta * self.count * count / total;
        self.variance = (self.variance * self.count + between + squares) / total;
        self.mean += delta * count / total;
        self.count = total;
    }

    /// The unbiased standard deviation; 1 before there are two numbers.
    pub fn deviation(&self) -> f64 {
        if self.count < 2.0 { 1.0 } else { (self.variance * self.count / (self.count - 1.0)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_batches_are_those_of_all_together() {
        let mut moments = Moments::default();
        [&[1.0, 2.0, 6.0][..], &[], &[3.0], &[-4.0, 0.5]].into_iter().for_each(|batch| moments.update(batch));
        let all = vec![vec![1.0, 2.0, 6.0, 3.0, -4.0, 0.5]];
        assert!((moments.mean - mean(&all)).abs() < 1e-12);
        assert!((moments.deviation().powi(2) - variance(&all)).abs() < 1e-12);
    }

    #[test]
    fn a_token_alone_has_no_variance() {
        let mut one = vec![vec![3.0]];
        whiten(&mut one, true);
        assert_eq!(one, [[0.0]]);
    }
}
