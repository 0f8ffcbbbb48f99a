//! The gradient guard: what claims to train must get a gradient.

use std::sync::Arc;

use super::{Param, ParamGradients};
use crate::tensor::view;
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
            let gradient = view(gradient)?;
            let gradient = gradient.f32()?;
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
