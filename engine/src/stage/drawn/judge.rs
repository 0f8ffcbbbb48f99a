//! What models say of the tokens of answers, before anything is learnt of them.

use super::{Sample, batch_of, rows_of};
use crate::Result;
use crate::autograd::Tape;
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Pass, at_labels};
use crate::rl::statistics::entropy;
use crate::stage::losses;

/// Rows whose logits exist at a time.
const ROWS: usize = 32;

/// What is asked for beside the entropy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    pub log_probs: bool,
    pub reference: bool,
    pub values: bool,
}

/// Fills in what is asked for of a batch of answers.
///
/// # Errors
/// If a model fails or there is none.
pub(super) fn judge(model: &Loaded, samples: &mut [Sample], wants: Wants) -> Result<()> {
    let batch = batch_of(&*samples);
    // As it is computed when it trains.
    let pass = Pass { training: true, ..Pass::default() };
    let hidden = model.decoder.hidden(&Tape::off(), &batch, pass)?;
    let vocab = model.decoder.head.vocab();
    let mut entropies = Vec::with_capacity(batch.labels.len());
    for labels in batch.labels.chunks(ROWS) {
        let rows: Vec<u32> = labels.iter().map(|label| label.row).collect();
        let logits = model.decoder.logits(&hidden.tensor, &rows)?;
        entropies.extend(logits.chunks_exact(vocab).map(|row| entropy(row.iter().map(|x| f64::from(*x)))));
    }
    for (sample, row) in samples.iter_mut().zip(rows_of(&batch, |place| entropies[place])) {
        sample.entropy = row.iter().sum::<f64>() / row.len().max(1) as f64;
    }
    if wants.log_probs {
        let rows = model.decoder.losses(&hidden.tensor, &batch.labels)?.rows;
        fill(samples, &batch, &rows, |sample| &mut sample.log_probs);
    }
    if let Some(head) = model.value_head.as_ref().filter(|_| wants.values) {
        let values = at_labels(&head.values(&Tape::off(), hidden)?.tensor, &batch)?;
        for (sample, row) in samples.iter_mut().zip(rows_of(&batch, |place| f64::from(values[place]))) {
            sample.values = row;
        }
    }
    if wants.reference {
        let rows = losses(model.reference()?, &batch)?;
        fill(samples, &batch, &rows, |sample| &mut sample.reference);
    }
    Ok(())
}

/// Puts log-probabilities where `place` says.
fn fill(
    samples: &mut [Sample],
    batch: &Batch,
    rows: &[RowLoss],
    place: impl Fn(&mut Sample) -> &mut Vec<f64>,
) {
    for (sample, row) in samples.iter_mut().zip(rows_of(batch, |label| -f64::from(rows[label].loss))) {
        *place(sample) = row;
    }
}
