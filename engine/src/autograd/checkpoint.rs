//! Gradient checkpointing (Chen et al. 2016): keep a segment's input, run it again when its gradient is due.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Backward, Gradients, NodeId, Tape, Var};
use crate::Result;

/// A stretch of the forward pass: the same input gives the same operations. On a tape that replays, its result
/// need not be computed.
pub trait Segment {
    /// The stretch's result for this input.
    ///
    /// # Errors
    /// If an operation fails.
    fn run(&self, tape: &Tape, input: Var) -> Result<Var>;
}

struct Checkpoint<S> {
    segment: Arc<S>,
    input: Tensor,
    node: Option<NodeId>,
}

/// Runs a segment of which only the input is kept.
///
/// # Errors
/// If the segment fails.
pub fn checkpoint<S: Segment + 'static>(tape: &Tape, segment: Arc<S>, input: Var) -> Result<Var> {
    let output = segment.run(&Tape::off(), Var::constant(input.tensor.clone()))?;
    Ok(tape.record(output.tensor, true, || {
        Box::new(Checkpoint { segment, input: input.tensor, node: input.node })
    }))
}

impl<S: Segment> Backward for Checkpoint<S> {
    fn backward(self: Box<Self>, gradient: Tensor, grads: &mut Gradients) -> Result<()> {
        let tape = Tape::replay();
        let input = match self.node {
            Some(_) => tape.leaf(self.input),
            None => Var::constant(self.input),
        };
        let output = self.segment.run(&tape, input.clone())?;
        if let Some(gradient) = tape.backward(&output, gradient, grads.params, input.node)? {
            grads.add(self.node, gradient)?;
        }
        Ok(())
    }
}
