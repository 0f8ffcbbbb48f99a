//! Supervised fine-tuning that stays near a reference: `use_asft_loss`, the loss of DFT and α times the divergence of the
//! model's next tokens from the reference's, KL(reference ‖ model), at every label (Zhu et al. 2025, "Anchored Supervised
//! Fine-Tuning").

use candle_core::Tensor;

use super::{Means, Stage, Unit};
use crate::Result;
use crate::autograd::{ParamGradients, Tape};
use crate::kernel::cross_entropy::RowWeights;
use crate::method::Loaded;
use crate::model::{Batch, Measured, Pass, Sums};
use crate::ops::head::Reference;
use crate::text::Example;

pub(super) struct Anchored {
    /// What a nat of divergence costs.
    pub alpha: f64,
    /// The same without a reference: evaluations are by its loss.
    pub causal: Box<dyn Stage>,
}

impl Stage for Anchored {
    fn unit(&self) -> Unit {
        Unit::Token
    }

    fn accumulate(
        &self,
        model: &Loaded,
        batch: &Batch,
        pass: Pass,
        scale: f64,
        grads: &mut ParamGradients,
    ) -> Result<Measured> {
        let (decoder, reference) = (&model.decoder, model.reference()?);
        let other = reference.hidden(&Tape::off(), batch, Pass::default())?.tensor;
        let (tape, mode) = (Tape::new(), decoder.mode(pass.dropout));
        let hidden = decoder.hidden(&tape, batch, pass)?;

        let rows = decoder.head.loss(&hidden.tensor, &batch.labels, &mode)?.rows;
        let weights: Vec<f32> = rows.iter().map(|row| scale as f32 * (-row.loss).exp()).collect();
        let supervised: f64 =
            rows.iter().zip(&weights).map(|(row, weight)| f64::from(row.loss * weight)).sum();
        let own = RowWeights::Each(&weights);
        let output = decoder.head.loss_and_gradient(&hidden.tensor, &batch.labels, own, grads, &mode)?;

        let weight = scale * self.alpha;
        let anchor = Reference { head: &reference.head, mode: &reference.mode(None), hidden: &other };
        let (divergence, pull) = decoder.head.divergence_and_gradient(
            &hidden.tensor,
            &batch.labels,
            anchor,
            weight as f32,
            grads,
            &mode,
        )?;
        let seed = output.d_hidden.map_or_else(|| Ok(pull.clone()), |own: Tensor| own + &pull)?;
        tape.backward(&hidden, seed, grads, None)?;
        let metrics = Sums::from([("kl".to_owned(), scale * divergence)]);
        Ok(Measured { loss: supervised + weight * divergence, metrics })
    }

    fn evaluate(&self, model: &Loaded, batch: &Batch, examples: &[Example]) -> Result<Means> {
        self.causal.evaluate(model, batch, examples)
    }
}
