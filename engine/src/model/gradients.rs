//! The loss of a batch and its gradients, by parts that threads work on side by side.
//!
//! Threads that share every operation of a pass meet after each, hundreds of times a step, and the slower one is waited
//! for. With a part of the batch's sequences each they meet once; what is left of the last part they share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Tensor;
use parking_lot::Mutex;
use recipe::memory::Division;

use super::batch::Batch;
use super::decoder::{Decoder, Pass};
use super::value_head::ValueHead;
use crate::Result;
use crate::autograd::{ParamGradients, Tape};
use crate::device::{is_plain, with_kernels};
use crate::kernel::cross_entropy::{RowLoss, RowWeights};
use crate::ops::Targets;

/// What is made of the losses of a part's labels and of the values of their rows.
pub(super) type OfValues<'a> = dyn Fn(&Batch, &[RowLoss], &[f32]) -> Seeds + Sync + 'a;

/// What the losses of a batch's labels, each the negative log-probability of its token, come to.
#[derive(Clone, Copy)]
pub enum Objective<'a> {
    /// Their sum, times a factor.
    Sum(f32),
    /// The same of labels that give a share of their probability to all tokens.
    Smoothed {
        /// Factor on the sum.
        scale: f32,
        /// The share that goes to all tokens.
        smoothing: f32,
    },
    /// Whatever is made of them, for a part of the batch at a time. The logits are computed twice.
    Of(&'a (dyn Fn(&Batch, &[RowLoss]) -> Seeds + Sync)),
    /// The same, and of the entropy that each label's likeliest tokens have among themselves.
    OfEntropy {
        /// So many of them.
        tokens: usize,
        /// What is made of the losses and entropies.
        make: &'a (dyn Fn(&[RowLoss], &[f32]) -> Seeds + Sync),
    },
    /// The same, of the losses and of the values that a head gives the rows which predict the labels.
    Valued(&'a ValueHead, &'a OfValues<'a>),
}

/// The loss that an [`Objective`] makes of a part of a batch.
#[derive(Clone, Debug, Default)]
pub struct Seeds {
    /// The loss of the part.
    pub loss: f64,
    /// Its derivative by the loss of each label.
    pub weights: Vec<f32>,
    /// Its derivative by the value of each label's row, where there are values.
    pub by_values: Vec<f32>,
    /// What else is measured of the part.
    pub measured: Sums,
}

/// What a batch comes to: its loss, and what else was measured, both summed over its parts.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The loss of the batch.
    pub loss: f64,
    /// What else was measured, by name.
    pub metrics: Sums,
}

/// Sums by name.
pub type Sums = BTreeMap<String, f64>;

impl Measured {
    /// Adds what another batch, or another part, came to.
    pub fn add(&mut self, other: Measured) {
        self.loss += other.loss;
        for (name, value) in other.metrics {
            *self.metrics.entry(name).or_default() += value;
        }
    }
}

impl Decoder {
    /// Adds the gradients of a batch's loss, and answers with that loss.
    ///
    /// How a batch is divided depends on it and on the model, not on the number of threads, and so do results.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn accumulate(
        &self,
        batch: &Batch,
        pass: &Pass,
        objective: Objective,
        grads: &mut ParamGradients,
    ) -> Result<Measured> {
        let parts = self.parts(batch, pass);
        if parts.len() < 2 {
            return self.accumulate_part(batch, pass.clone(), objective, grads);
        }
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let empty = || grads.apart();
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(index) else { break };
                let mut grads = empty();
                let loss = self.accumulate_part(part, pass.of_part(index), objective, &mut grads);
                done.lock().insert(index, loss.map(|loss| (loss, grads)));
            }
        };
        if is_plain() {
            work();
        } else {
            // One job a thread, not one a part: a thread that waits for a piece of its part would begin another part.
            let jobs = rayon::current_num_threads().min(parts.len());
            rayon::scope(|scope| (0..jobs).for_each(|_| scope.spawn(|_| with_kernels(work))));
        }
        let mut all = Measured::default();
        for part in done.into_inner().into_values() {
            let (measured, part_grads) = part?;
            all.add(measured);
            grads.merge(part_grads)?;
        }
        Ok(all)
    }

    fn accumulate_part(
        &self,
        batch: &Batch,
        pass: Pass,
        objective: Objective,
        grads: &mut ParamGradients,
    ) -> Result<Measured> {
        let tape = Tape::new();
        let mode = self.mode(pass.dropout);
        let hidden = self.hidden(&tape, batch, pass)?;
        let smoothing = if let Objective::Smoothed { smoothing, .. } = objective { smoothing } else { 0.0 };
        let targets = Targets { labels: &batch.labels, smoothing };
        let mut seed =
            |weights: RowWeights| self.head.loss_and_gradient(&hidden.tensor, targets, weights, grads, &mode);
        match objective {
            Objective::Sum(scale) | Objective::Smoothed { scale, .. } => {
                let output = seed(RowWeights::Same(scale))?;
                let loss = output.total() * f64::from(scale);
                if let Some(seed) = output.d_hidden {
                    tape.backward(&hidden, seed, grads, None)?;
                }
                Ok(Measured { loss, metrics: Sums::new() })
            }
            Objective::Of(make) => {
                let rows = self.head.loss(&hidden.tensor, &batch.labels, &mode)?.rows;
                let Seeds { loss, weights, measured, .. } = make(batch, &rows);
                if let Some(seed) = seed(RowWeights::Each(&weights))?.d_hidden {
                    tape.backward(&hidden, seed, grads, None)?;
                }
                Ok(Measured { loss, metrics: measured })
            }
            Objective::OfEntropy { tokens, make } => {
                let rows = self.head.loss(&hidden.tensor, &batch.labels, &mode)?.rows;
                let entropies = self.head.entropies(&hidden.tensor, &batch.labels, tokens, &mode)?;
                let Seeds { loss, weights, measured, .. } = make(&rows, &entropies);
                if let Some(seed) = seed(RowWeights::Each(&weights))?.d_hidden {
                    tape.backward(&hidden, seed, grads, None)?;
                }
                Ok(Measured { loss, metrics: measured })
            }
            Objective::Valued(head, make) => {
                let rows = self.head.loss(&hidden.tensor, &batch.labels, &mode)?.rows;
                let values = head.values(&tape, hidden.clone())?;
                let Seeds { loss, weights, by_values, measured } =
                    make(batch, &rows, &at_labels(&values.tensor, batch)?);
                let mut by_row = vec![0f32; batch.tokens()];
                for (label, slope) in batch.labels.iter().zip(by_values) {
                    by_row[label.row as usize] += slope;
                }
                let by_row = Tensor::from_vec(by_row, values.tensor.shape(), values.tensor.device())?;
                match seed(RowWeights::Each(&weights))?.d_hidden {
                    Some(seed) => tape.backward_of([(&hidden, seed), (&values, by_row)], grads, None)?,
                    None => tape.backward(&values, by_row, grads, None)?,
                };
                Ok(Measured { loss, metrics: measured })
            }
        }
    }

    /// A batch's parts; none if it is better, or has to be, computed as a whole.
    fn parts(&self, batch: &Batch, pass: &Pass) -> Vec<Batch> {
        // Routers are balanced over the whole batch.
        if pass.balance.is_some() || pass.router_logits.is_some() || !self.device().is_cpu() {
            return Vec::new();
        }
        let division = Division {
            tokens: batch.tokens(),
            sequences: batch.spans.len(),
            block: self.blocks.first().map_or(0, |block| block.elements()),
            trainable: self.trainable().iter().map(|param| param.len()).sum(),
            activation_floats: self.spec.activation_floats(),
        };
        let count = division.parts();
        if count < 2 {
            return Vec::new();
        }
        let parts = batch.parts(count);
        let alike = parts.iter().all(|part| self.rotates_alike(part, batch));
        if alike { parts } else { Vec::new() }
    }
}

/// Of values [tokens, 1] those of the rows that predict a batch's labels.
///
/// # Errors
/// If the values cannot be read from their device.
pub fn at_labels(values: &Tensor, batch: &Batch) -> Result<Vec<f32>> {
    let all: Vec<f32> = values.flatten_all()?.to_vec1()?;
    Ok(batch.labels.iter().map(|label| all[label.row as usize]).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::decoder::tests::decoder;
    use crate::model::{LoraSettings, Noise};
    use crate::ops::{Balance, BalanceKind};

    fn batch(lengths: &[u32]) -> Batch {
        let mut batch = Batch::default();
        for length in lengths {
            let ids: Vec<u32> = (0..*length).map(|i| (i * 7 + length) % 40).collect();
            let labels: Vec<i64> =
                ids.iter().map(|id| if id % 5 == 0 { -100 } else { i64::from(*id) }).collect();
            batch.push(&ids, &labels);
        }
        batch
    }

    /// Loss, and gradients by parameter.
    fn found(run: impl FnOnce(&mut ParamGradients) -> Result<Measured>) -> (f64, Vec<Vec<f32>>) {
        let mut grads = ParamGradients::default();
        let loss = run(&mut grads).unwrap().loss;
        (loss, grads.iter().map(|(_, grad)| grad.flatten_all().unwrap().to_vec1().unwrap()).collect())
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let decoder = decoder("llama", json!({}));
        let batch = batch(&[70, 30, 64, 90, 40]);
        let pass = Pass { training: true, ..Pass::default() };
        let sizes: Vec<usize> = decoder.parts(&batch, &pass).iter().map(Batch::tokens).collect();
        assert_eq!(sizes, [70, 94, 90, 40]);
        let (loss, grads) = found(|grads| decoder.accumulate(&batch, &pass, Objective::Sum(0.1), grads));
        let (want, all) =
            found(|grads| decoder.accumulate_part(&batch, pass.clone(), Objective::Sum(0.1), grads));
        assert!((loss - want).abs() < 1e-6 * want, "{loss} != {want}");
        assert_eq!(grads.len(), all.len());
        for (grad, all) in grads.iter().zip(&all) {
            let largest = all.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            for (x, want) in grad.iter().zip(all) {
                assert!((x - want).abs() < 1e-5 * largest, "{x} != {want}, of up to {largest}");
            }
        }
    }

    /// Log-probabilities and values in one pass, against finite differences of what is made of them.
    #[test]
    fn values_and_losses_are_differentiated_together() {
        let decoder = decoder("llama", json!({}));
        let head = ValueHead::new(&decoder, 3).unwrap();
        let batch = batch(&[9, 6]);
        let pass = Pass { training: true, ..Pass::default() };
        let objective = |_: &Batch, rows: &[RowLoss], values: &[f32]| {
            // Σ (i + 1)·lossᵢ + ½·valueᵢ²
            let weights: Vec<f32> = (0..rows.len()).map(|place| 1.0 + place as f32).collect();
            let losses = rows.iter().zip(&weights).map(|(row, weight)| f64::from(row.loss * weight));
            let squares = values.iter().map(|value| 0.5 * f64::from(value * value));
            Seeds {
                loss: losses.chain(squares).sum(),
                by_values: values.to_vec(),
                weights,
                ..Seeds::default()
            }
        };
        let run = |grads: &mut ParamGradients| {
            decoder.accumulate(&batch, &pass, Objective::Valued(&head, &objective), grads).unwrap().loss
        };
        let mut grads = ParamGradients::default();
        run(&mut grads);
        let params: Vec<_> = head.params().cloned().chain(decoder.trainable()).collect();
        assert!(params.len() > 4);
        let mut differing = 0;
        for param in &params {
            let gradient: Vec<f32> = grads.get(param.id).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let (place, slope) = gradient.iter().enumerate().fold((0, 0f32), |(at, most), (place, x)| {
                if x.abs() > most.abs() { (place, *x) } else { (at, most) }
            });
            const STEP: f32 = 1e-2;
            let moved = |by: f32| {
                crate::tensor::mutate(&param.tensor, |values| values[place] += by).unwrap();
                let loss = run(&mut ParamGradients::default());
                crate::tensor::mutate(&param.tensor, |values| values[place] -= by).unwrap();
                loss
            };
            let found = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
            let right = (found - f64::from(slope)).abs() < 0.03 * f64::from(slope.abs()).max(0.05);
            assert!(right, "{}: {found} != {slope}", param.name);
            differing += usize::from(slope != 0.0);
        }
        assert!(differing > params.len() / 2);
    }

    /// With masks and noise, which each part draws for itself.
    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let mut decoder = decoder("llama", json!({}));
        let lora = LoraSettings {
            rank: 4,
            scale: 1.0,
            dropout: 0.3,
            targets: vec!["all".to_owned()],
            ..LoraSettings::default()
        };
        decoder.add_lora(&lora, 1).unwrap();
        let batch = batch(&[70, 70, 70]);
        let noise = Some(Noise { alpha: 5.0, length: 70, seed: 3 });
        let pass = Pass { training: true, dropout: Some(7), noise, ..Pass::default() };
        assert_eq!(decoder.parts(&batch, &pass).len(), 3);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| found(|grads| decoder.accumulate(&batch, &pass, Objective::Sum(0.1), grads)))
        };
        assert!(run(1) == run(3));
        let [first, second] = [0, 1].map(|index| pass.of_part(index));
        assert_eq!((first.dropout, first.noise.map(|noise| noise.seed)), (Some(7), Some(3)));
        assert!(second.dropout != Some(7) && second.noise.is_some_and(|noise| noise.seed != 3));
    }

    #[test]
    fn what_belongs_together_is_not_divided() {
        let training = Pass { training: true, ..Pass::default() };
        let divisors = |by: f64| json!((0..4).map(|i| 1.0 + by * f64::from(i)).collect::<Vec<_>>());
        let long = json!({"type": "longrope", "short_factor": divisors(0.2), "long_factor": divisors(2.0)});
        let phi = decoder("phi3", json!({"original_max_position_embeddings": 80, "rope_scaling": long}));
        assert_eq!(phi.parts(&batch(&[70, 75]), &training).len(), 2);
        assert_eq!(
            phi.parts(&batch(&[70, 90]), &training).len(),
            0,
            "the longest sequence decides on all frequencies"
        );
        let llama = decoder("llama", json!({}));
        assert_eq!(llama.parts(&batch(&[300]), &training).len(), 0, "a sequence is a whole");
        let wide = decoder("llama", json!({"vocab_size": 4000}));
        assert_eq!(wide.parts(&batch(&[70, 90]), &training).len(), 0, "gradients would outweigh activations");
        let batch = batch(&[70, 90]);
        assert_eq!(llama.parts(&batch, &training).len(), 2);
        let balance = Balance::new(BalanceKind::Batch, 0.1, batch.spans.clone());
        let balanced = Pass { balance: Some(Arc::new(balance)), ..training.clone() };
        let routed = Pass { router_logits: Some(Arc::default()), ..training };
        assert_eq!([&balanced, &routed].map(|pass| llama.parts(&batch, pass).len()), [0, 0]);
    }
}
