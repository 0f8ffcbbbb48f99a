//! GRPO (Shao et al. 2024) and its kin: an answer is worth what its score is above those of other answers to the prompt.

use recipe::{GrpoLoss, ImportanceSampling, ScaleRewards};

use super::{Rows, larger};

/// What advantages tell besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Of each sequence.
    pub advantages: Vec<f64>,
    /// The mean of the deviations by which they were, or could have been, divided.
    pub deviation: f64,
    /// The share of sequences whose group has the same score throughout, from which nothing is learnt.
    pub without_spread: f64,
}

/// The unbiased standard deviation; 0 of fewer than two.
fn deviation(scores: &[f64]) -> f64 {
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let squares: f64 = scores.iter().map(|x| (x - mean).powi(2)).sum();
    (squares / scores.len().saturating_sub(1).max(1) as f64).sqrt()
}

/// Scores of sequences, those of a prompt one after the other, less the mean of their group (equation 1 of "Understanding
/// R1-Zero-Like Training", Liu et al. 2025, without a scale); divided by the deviation of the group or of all.
pub fn advantages(scores: &[f64], group: usize, scale: ScaleRewards) -> Group {
    let groups = scores.chunks(group.max(1));
    let of_all = deviation(scores);
    let deviations = groups.clone().flat_map(|group| {
        let own = if scale == ScaleRewards::Batch { of_all } else { deviation(group) };
        group.iter().map(move |_| own)
    });
    let deviations: Vec<f64> = deviations.collect();
    let above = groups.flat_map(|group| {
        let mean = group.iter().sum::<f64>() / group.len() as f64;
        group.iter().map(move |score| score - mean)
    });
    let scaled = |(above, deviation): (f64, &f64)| match scale {
        ScaleRewards::None => above,
        ScaleRewards::Group | ScaleRewards::Batch => above / (deviation + 1e-4),
    };
    let count = deviations.len().max(1) as f64;
    Group {
        advantages: above.zip(&deviations).map(scaled).collect(),
        deviation: deviations.iter().sum::<f64>() / count,
        without_spread: deviations.iter().filter(|own| **own < 1e-8).count() as f64 / count,
    }
}

/// How the loss is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// By what a batch's losses are divided, and where they are clipped.
    pub loss: GrpoLoss,
    /// Whether a ratio is of a token, or of its whole sequence (Zheng et al. 2025, GSPO).
    pub ratio: ImportanceSampling,
    /// The weight of the divergence from the reference.
    pub beta: f64,
    /// How far a ratio may fall below 1.
    pub below: f64,
    /// How far a ratio may rise above 1.
    pub above: f64,
    /// The largest ratio at all, also where it is not clipped.
    pub delta: Option<f64>,
    /// The most tokens that an answer may have.
    pub longest: usize,
}

/// What a batch is part of: by these its losses are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    /// Sequences of the batch.
    pub sequences: usize,
    /// Tokens of the batch.
    pub tokens: usize,
    /// Tokens of all batches of the update.
    pub tokens_of_all: f64,
    /// Batches of the update.
    pub batches: usize,
}

/// What is known of answers besides their log-probabilities.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Of each sequence.
    pub advantages: &'a [f64],
    /// Log-probabilities by the policy that wrote the answers; none says that it is the one that trains.
    pub old: Option<&'a [Vec<f64>]>,
    /// Those by the reference; needed where beta is not 0.
    pub reference: Option<&'a [Vec<f64>]>,
}

/// The loss of some sequences of a batch, its derivatives, and what is measured beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loss {
    /// The share of the batch's loss.
    pub loss: f64,
    /// Its derivative by the log-probability of each token.
    pub by_log_probs: Rows,
    /// The mean divergence from the reference; this and the next two are shares of the batch, to be summed over its
    /// sequences.
    pub divergence: f64,
    /// Tokens whose ratio fell too far.
    pub clipped_below: f64,
    /// Tokens whose ratio rose too far.
    pub clipped_above: f64,
}

/// max(−min(ρ, δ)·A, −clip(ρ)·A), its slope by ln ρ, and whether ρ is beyond the lower or the upper bound.
fn surrogate(log_ratio: f64, advantage: f64, settings: &Settings) -> ((f64, f64), [bool; 2]) {
    let ratio = log_ratio.exp();
    let (low, high) = (1.0 - settings.below, 1.0 + settings.above);
    let bounded = settings.delta.map_or(ratio, |delta| ratio.min(delta));
    let clipped = ratio.max(low).min(high);
    let term = |value: f64| (-value * advantage, if value == ratio { -ratio * advantage } else { 0.0 });
    let term = larger(term(bounded), term(clipped));
    (term, [bounded < low && advantage < 0.0, bounded > high && advantage > 0.0])
}

/// What the losses of a sequence's tokens are multiplied by.
fn share(settings: &Settings, tokens: usize, totals: Totals) -> f64 {
    let batches = totals.batches.max(1) as f64;
    let divisor = match settings.loss {
        // Each sequence a mean of its own.
        GrpoLoss::Grpo => (tokens.max(1) * totals.sequences.max(1)) as f64 * batches,
        GrpoLoss::Bnpo => totals.tokens.max(1) as f64 * batches,
        GrpoLoss::DrGrpo => (totals.sequences.max(1) * settings.longest.max(1)) as f64 * batches,
        GrpoLoss::Dapo => totals.tokens_of_all.max(1.0),
    };
    1.0 / divisor
}

/// The loss of sequences that are a part of a batch.
pub fn loss(log_probs: &[Vec<f64>], known: Known, settings: &Settings, totals: Totals) -> Loss {
    let mut all = Loss::default();
    for (index, row) in log_probs.iter().enumerate() {
        let advantage = known.advantages[index];
        let length = row.len().max(1) as f64;
        let scale = share(settings, row.len(), totals);
        let by_sequence = settings.ratio == ImportanceSampling::Sequence;
        let log_ratio = |place: usize| known.old.map_or(0.0, |old| row[place] - old[index][place]);
        let mean = || (0..row.len()).map(log_ratio).sum::<f64>() / length;
        let of_sequence = if by_sequence { mean() } else { 0.0 };
        let counted = 1.0 / if by_sequence { length * totals.sequences as f64 } else { totals.tokens as f64 };
        let mut slopes = vec![0.0; row.len()];
        let mut of_all = 0.0;
        for place in 0..row.len() {
            let log_ratio = if by_sequence { of_sequence } else { log_ratio(place) };
            let ((term, slope), [below, above]) = surrogate(log_ratio, advantage, settings);
            all.loss += scale * term;
            // A sequence's ratio moves with each of its tokens alike.
            if by_sequence {
                of_all += scale * slope / length
            } else {
                slopes[place] += scale * slope
            }
            all.clipped_below += f64::from(u8::from(below)) * counted;
            all.clipped_above += f64::from(u8::from(above)) * counted;
            if let Some(reference) = known.reference.filter(|_| settings.beta != 0.0) {
                // e^d − d − 1 with d = ln of reference by policy, which is never below 0 (Schulman 2020: k3).
                let d = reference[index][place] - row[place];
                let divergence = d.exp() - d - 1.0;
                all.loss += scale * settings.beta * divergence;
                slopes[place] += scale * settings.beta * (1.0 - d.exp());
                all.divergence += divergence / totals.tokens.max(1) as f64;
            }
        }
        slopes.iter_mut().for_each(|slope| *slope += of_all);
        all.by_log_probs.push(slopes);
    }
    all
}
