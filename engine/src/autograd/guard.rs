//! The gradient guard: what claims to train must get a gradient.

use std::sync::Arc;

use super::{Param, ParamGradients};
use crate::{Error, Result};

/// Checks the first step's gradients; a cut graph otherwise looks like training that learns little.
#[derive(Default)]
pub struct GradientGuard {
    /// Parameters whose gradient is zero at the first step by construction (LoRA A while B = 0).
    zero_at_first: Vec<super::ParamId>,
    /// Parameters that a step may leave out (experts).
    optional: std::collections::BTreeSet<super::ParamId>,
}

impl GradientGuard {
    /// Accepts a zero gradient of these parameters.
    pub fn allow_zero(mut self, params: impl IntoIterator<Item = super::ParamId>) -> Self {
        self.zero_at_first.extend(params);
        self
    }

    /// Accepts that these parameters have no gradient, or none but zero.
    pub fn allow_none(mut self, params: impl IntoIterator<Item = super::ParamId>) -> Self {
        self.optional.extend(params);
        self
    }

    /// # Errors
    /// Names every trainable parameter that has no gradient, a non-finite one, or one that is zero all over.
    pub fn check(&self, trainable: &[Arc<Param>], grads: &ParamGradients) -> Result<()> {
        let mut problems = Vec::new();
        for param in trainable {
            let optional = self.optional.contains(&param.id);
            let Some(gradient) = grads.get(param.id) else {
                if optional {
                    continue;
                }
                problems.push(format!("{} has no gradient", param.name));
                continue;
            };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            if gradient.iter().any(|x| !x.is_finite()) {
                problems.push(format!("{} has a gradient that is not finite", param.name));
            } else if gradient.iter().all(|x| *x == 0.0)
                && !optional
                && !self.zero_at_first.contains(&param.id)
            {
                problems.push(format!("the gradient of {} is zero", param.name));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let more = problems.len().saturating_sub(5);
        problems.truncate(5);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(Error::Training(format!("gradients of the first step are wrong: {}{rest}", problems.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::{Tape, Var};
    use crate::kernel::activation::Activation;
    use crate::ops::linear::Adaptable;
    use crate::ops::{Linear, Mode, Projection, Prologue};
    use crate::tensor::from_vec;

    fn map(name: &str, prologue: Prologue) -> Arc<Projection> {
        let tensor = from_vec((0..9).map(|i| i as f32 / 9.0 - 0.3).collect(), (3, 3)).unwrap();
        let weight = Arc::new(Param::new(format!("{name}.weight"), tensor, true).unwrap());
        let linear = Linear {
            name: name.to_owned(),
            weight: weight.into(),
            bias: None,
            transposed: false,
            adaptable: Adaptable::Always,
        };
        Arc::new(Projection { prologue, linears: vec![linear], bf16: false })
    }

    /// Two maps with `between` in the middle; what the guard says of their gradients.
    fn guarded(between: impl Fn(Var) -> Var) -> Result<()> {
        let (first, second) =
            (map("first", Prologue::Identity), map("second", Prologue::Plain(Activation::Silu)));
        let tape = Tape::new();
        let x = Var::constant(from_vec(vec![0.5, -1.0, 2.0], (1, 3))?);
        let y = between(first.forward(&tape, x, None, &Mode::default())?);
        let y = second.forward(&tape, y, None, &Mode::default())?;
        let mut grads = ParamGradients::default();
        tape.backward(&y, from_vec(vec![1.0; 3], (1, 3))?, &mut grads, None)?;
        let params: Vec<_> = first.params().chain(second.params()).cloned().collect();
        GradientGuard::default().check(&params, &grads)
    }

    #[test]
    fn an_operation_without_a_backward_pass_is_caught() {
        guarded(|y| y).unwrap();
        // What candle's fused operations do: the value goes on, the gradient does not.
        let error = guarded(|y| Var::constant(y.tensor)).unwrap_err().to_string();
        assert!(error.contains("first.weight has no gradient") && !error.contains("second"), "{error}");
    }

    #[test]
    fn gradients_of_zero_and_of_no_number_are_caught() {
        let param = Arc::new(Param::new("w", from_vec(vec![1.0], (1, 1)).unwrap(), true).unwrap());
        for (value, word) in [(0.0, "zero"), (f32::NAN, "not finite")] {
            let mut grads = ParamGradients::default();
            grads.accumulate(&param, |out| out[0] = value).unwrap();
            let check = |guard: GradientGuard| guard.check(std::slice::from_ref(&param), &grads);
            assert!(check(GradientGuard::default()).unwrap_err().to_string().contains(word));
            let allowed = check(GradientGuard::default().allow_zero([param.id]));
            assert_eq!(allowed.is_ok(), value == 0.0);
        }
    }
}
