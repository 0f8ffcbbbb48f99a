//! Mixture-of-Depths (Raposo et al. 2024): a block that only some tokens of a sequence go through.
//!
//! A router gives each token a weight r = w·x + b. The tokens with the largest weights, as many as the capacity says, go
//! through the block as a shorter sequence of their own, with the positions that they had; the others pass by. Equation
//! (1) of the paper: x + r·f(x) for the chosen, where f is what the block adds, and x for all others, so that the loss has
//! a gradient by r.
//!
//! Which weights are among the largest is known of whole sequences, not while one is written: there a token goes through
//! if it is among the largest of those up to itself. That needs no second router, and asks nothing of what comes later.

use std::sync::Arc;

use candle_core::Tensor;

use super::attention::Past;
use super::batch::Context;
use super::shifted::ShiftedSpans;
use crate::Result;
use crate::autograd::{Tape, Var};
use crate::kernel::attention::{PAGE, Span};
use crate::ops::dispatch::{gather_rows, scatter_rows};
use crate::ops::elementwise::add_scaled;
use crate::ops::{Extension, Projection, Rotation};

/// What chooses the tokens of a block.
#[derive(Clone, Debug)]
pub struct Router {
    /// From hidden states to a weight each.
    pub map: Arc<Projection>,
    /// The share of a sequence's tokens that go through.
    pub capacity: f64,
}

/// Of the tokens of a sequence that is written: their weights, and whether they went through.
#[derive(Clone, Debug, Default)]
pub struct Routed(Vec<(f32, bool)>);

impl Router {
    /// Tokens that go through, of so many.
    fn count(&self, tokens: usize) -> usize {
        ((self.capacity * tokens as f64) as usize).max(1).min(tokens)
    }

    /// The rows that go through, in order, and where each sequence is among them. Padding never does.
    fn choose(&self, weights: &[f32], spans: &[Span]) -> (Vec<u32>, Vec<Span>) {
        let (mut rows, mut chosen) = (Vec::new(), Vec::new());
        for span in spans {
            let first = span.start + span.padding;
            let real = first..span.start + span.len - span.trailing;
            let mut best: Vec<u32> = real.map(|row| row as u32).collect();
            best.sort_by(|a, b| weights[*b as usize].total_cmp(&weights[*a as usize]));
            best.truncate(self.count(best.len()));
            best.sort_unstable();
            chosen.push(Span::new(rows.len(), best.len()));
            rows.extend(best);
        }
        chosen.retain(|span| span.len > 0);
        (rows, chosen)
    }

    /// What becomes of whole sequences when `block` is what the chosen rows go through.
    pub fn forward(
        &self,
        tape: &Tape,
        x: Var,
        context: &Context,
        block: impl FnOnce(&Tape, Var, &Context) -> Result<Var>,
    ) -> Result<Var> {
        let weights = self.map.forward(tape, x.clone(), None, &context.mode)?;
        let (rows, spans) = self.choose(&values(&weights.tensor)?, &context.spans);
        let inner = Context {
            groups: context.groups.as_ref().map(|_| ShiftedSpans::of(&spans)),
            spans: Arc::new(spans),
            ..context.at(&rows, x.tensor.dims()[0])
        };
        self.add(tape, x, weights, rows, |chosen| block(tape, chosen, &inner))
    }

    /// The same of new rows of sequences that are written.
    pub fn extend(
        &self,
        x: Tensor,
        context: &Context,
        past: Past,
        block: impl FnOnce(Tensor, &Context, Past) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (tape, all) = (Tape::off(), Var::constant(x));
        let weights = self.map.forward(&tape, all.clone(), None, &context.mode)?;
        let (rows, extensions) =
            self.continued(&values(&weights.tensor)?, past.extensions, &mut past.cache.routed);
        if rows.is_empty() {
            return Ok(all.tensor);
        }
        let inner = context.at(&rows, all.tensor.dims()[0]);
        let past = Past { cache: past.cache, extensions: &extensions };
        let out = self.add(&tape, all, weights, rows, |chosen| {
            Ok(Var::constant(block(chosen.tensor, &inner, past)?))
        })?;
        Ok(out.tensor)
    }

    /// The new rows that go through, and the sequences that they continue: of those only the chosen tokens are there.
    fn continued(
        &self,
        weights: &[f32],
        extensions: &[Extension],
        routed: &mut Vec<Routed>,
    ) -> (Vec<u32>, Vec<Extension>) {
        let (mut rows, mut chosen) = (Vec::new(), Vec::new());
        for extension in extensions {
            if routed.len() <= extension.slot {
                routed.resize(extension.slot + 1, Routed::default());
            }
            let Routed(known) = &mut routed[extension.slot];
            // A sequence may be computed again from its beginning, and a slot may be another one's by now.
            known.truncate(extension.past);
            let past = known.iter().filter(|(_, through)| *through).count();
            let start = rows.len();
            for (row, new) in (extension.start as u32..).zip(&weights[extension.start..][..extension.len]) {
                let before = known.iter().filter(|(weight, _)| weight >= new).count();
                let goes = before < self.count(known.len() + 1);
                known.push((*new, goes));
                rows.extend(goes.then_some(row));
            }
            let len = rows.len() - start;
            if len > 0 {
                let pages = extension.pages[..(past + len).div_ceil(PAGE)].to_vec();
                chosen.push(Extension { start, len, past, pages, slot: extension.slot });
            }
        }
        (rows, chosen)
    }

    /// x + weight · (block(x) − x) at the given rows.
    fn add(
        &self,
        tape: &Tape,
        x: Var,
        weights: Var,
        rows: Vec<u32>,
        block: impl FnOnce(Var) -> Result<Var>,
    ) -> Result<Var> {
        let chosen = gather_rows(tape, &x, rows.clone())?;
        let result = block(chosen.clone())?;
        let added = add_scaled(tape, &result, &chosen, -1.0)?;
        scatter_rows(tape, &x, weights, added, rows)
    }
}

impl Context {
    /// The same for some of its rows; which of them see each other is not known here.
    fn at(&self, rows: &[u32], of: usize) -> Context {
        let rotations = self.rotations.iter().map(|rotation| at(rotation, rows, of)).collect();
        Context { rotations, ..self.clone() }
    }
}

/// Angles of some of the rows.
fn at(rotation: &Rotation, rows: &[u32], of: usize) -> Rotation {
    let pick = |values: &Arc<Vec<f32>>| {
        let width = values.len() / of.max(1);
        Arc::new(rows.iter().flat_map(|row| &values[*row as usize * width..][..width]).copied().collect())
    };
    Rotation {
        cos: pick(&rotation.cos),
        sin: pick(&rotation.sin),
        query_factors: rotation.query_factors.as_ref().map(pick),
    }
}

fn values(weights: &Tensor) -> Result<Vec<f32>> {
    Ok(weights.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests;
