//! A decoder block: x + attention(norm x), then x + feed-forward(norm x), or what a family makes of that.

use std::sync::Arc;

use candle_core::Tensor;

use super::attention::{Attention, Past};
use super::batch::Context;
use super::depths::Router;
use super::feed_forward::FeedForward;
use super::lora::is_zero;
use crate::Result;

use crate::autograd::{Param, ParamId, Segment, Tape, Var};
use crate::ops::elementwise::{add_scaled, normalise};
use crate::ops::{Linear, Norm, Projection, Values, Weight};

/// Parts of a block; each [`Projection`] carries the norm or activation in front of it.
#[derive(Debug, Clone)]
pub struct Block {
    pub attention: Attention,
    pub output: Arc<Projection>,
    pub feed_forward: FeedForward,
    /// Norms of what attention and feed-forward add.
    pub post_norms: [Option<Arc<Norm>>; 2],
    /// Both read the block's input.
    pub parallel: bool,
    /// Factor on what is added.
    pub residual_scale: f32,
    /// Chooses the tokens that go through, if not all do.
    pub router: Option<Router>,
}

impl Block {
    pub fn projections(&self) -> Vec<&Arc<Projection>> {
        let mut all = self.attention.input.projections();
        all.push(&self.output);
        all.extend(self.feed_forward.projections());
        all.extend(self.router.iter().map(|router| &router.map));
        all
    }

    pub fn projections_mut(&mut self) -> Vec<&mut Arc<Projection>> {
        let mut all = self.attention.input.projections_mut();
        all.push(&mut self.output);
        all.extend(self.feed_forward.projections_mut());
        all.extend(self.router.iter_mut().map(|router| &mut router.map));
        all
    }

    /// Every parameter; one that two parts share comes twice.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        let posts = self.post_norms.iter().flatten().flat_map(|norm| norm.params());
        let norms = self.attention.input.norm_params().into_iter().chain(self.feed_forward.norm_params());
        self.projections().into_iter().flat_map(|projection| projection.params()).chain(norms).chain(posts)
    }

    /// Weights that stay quantised, each under its module's name.
    pub fn quantised(&self) -> impl Iterator<Item = (&str, &Weight)> {
        self.projections()
            .into_iter()
            .flat_map(|projection| &projection.linears)
            .filter_map(Linear::quantised)
    }

    /// Elements of all weights, however they are stored.
    pub fn elements(&self) -> usize {
        let quantised = self.quantised().map(|(_, weight)| weight.len());
        self.params().map(|param| param.len()).chain(quantised).sum()
    }

    /// Parameters of parts whose last maps train and are zero for now, without those maps.
    pub fn without_effect(&self) -> Vec<ParamId> {
        let is_silent = |last: &[&Arc<Projection>]| {
            let mut linears = last.iter().flat_map(|projection| &projection.linears);
            linears.all(|linear| linear.weight.trained().is_some_and(|weight| is_zero(weight)))
        };
        let ids = |all: Vec<&Arc<Projection>>, norms: Vec<&Arc<Param>>, last: &[&Arc<Projection>]| {
            let last: Vec<ParamId> =
                last.iter().flat_map(|p| p.linears.iter().flat_map(Linear::params)).map(|p| p.id).collect();
            let params = all.into_iter().flat_map(|projection| projection.params()).chain(norms);
            params.map(|param| param.id).filter(|id| !last.contains(id)).collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        let output = [&self.output];
        if is_silent(&output) {
            let all = self.attention.input.projections().into_iter().chain(output).collect();
            found.extend(ids(all, self.attention.input.norm_params(), &output));
        }
        let last = self.feed_forward.last();
        if is_silent(&last) {
            found.extend(ids(self.feed_forward.projections(), self.feed_forward.norm_params(), &last));
        }
        found
    }

    /// The block over whole sequences.
    pub fn forward(&self, tape: &Tape, x: Var, context: &Context) -> Result<Var> {
        match &self.router {
            Some(router) => router.forward(tape, x, context, |tape, x, context| self.pass(tape, x, context)),
            None => self.pass(tape, x, context),
        }
    }

    /// The block over all the rows that it gets.
    fn pass(&self, tape: &Tape, x: Var, context: &Context) -> Result<Var> {
        let mixed = self.attention.forward(tape, x.clone(), context)?;
        self.finish(tape, x, mixed, context)
    }

    /// The block over new rows of several sequences.
    pub fn extend(&self, x: Tensor, context: &Context, past: Past) -> Result<Tensor> {
        match &self.router {
            Some(router) => {
                router.extend(x, context, past, |x, context, past| self.continues(x, context, past))
            }
            None => self.continues(x, context, past),
        }
    }

    /// The block over all the new rows that it gets.
    fn continues(&self, x: Tensor, context: &Context, past: Past) -> Result<Tensor> {
        let x = Var::constant(x);
        let mixed = Var::constant(self.attention.extend(x.clone(), context, past)?);
        Ok(self.finish(&Tape::off(), x, mixed, context)?.tensor)
    }

    /// Everything after attention.
    fn finish(&self, tape: &Tape, x: Var, mixed: Var, context: &Context) -> Result<Var> {
        let [attention_norm, feed_forward_norm] = &self.post_norms;
        let after = self.add(tape, &x, attention_norm, |residual| {
            self.output.forward(tape, mixed, residual, &context.mode)
        })?;
        let input = if self.parallel { x } else { after.clone() };
        let is_result = self.adds_itself(feed_forward_norm);
        let is_last = is_result && self.router.is_none();
        let values = if is_last && tape.is_replaying() { Values::Unread } else { Values::Read };
        self.add(tape, &after, feed_forward_norm, |residual| {
            self.feed_forward.forward(tape, input, residual, context, values)
        })
    }

    /// Whether a part with this norm after it adds x by itself, so that what it gives is the sum.
    fn adds_itself(&self, norm: &Option<Arc<Norm>>) -> bool {
        norm.is_none() && self.residual_scale == 1.0
    }

    /// x + scale · norm(part); without norm and scale the part itself adds x.
    fn add(
        &self,
        tape: &Tape,
        x: &Var,
        norm: &Option<Arc<Norm>>,
        part: impl FnOnce(Option<&Var>) -> Result<Var>,
    ) -> Result<Var> {
        if self.adds_itself(norm) {
            return part(Some(x));
        }
        let y = part(None)?;
        let y = match norm {
            Some(norm) => normalise(tape, norm, &y)?,
            None => y,
        };
        add_scaled(tape, x, &y, self.residual_scale)
    }
}

/// A block within a pass, as a stretch that can be run again.
pub(super) struct BlockInPass {
    pub block: Arc<Block>,
    pub context: Arc<Context>,
}

impl Segment for BlockInPass {
    fn run(&self, tape: &Tape, input: Var) -> Result<Var> {
        self.block.forward(tape, input, &self.context)
    }
}
