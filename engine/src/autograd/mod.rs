//! Reverse-mode differentiation over the engine's own operations.
//!
//! candle's graph computes and keeps gradients of frozen weights, and several of its fused operations cut
//! it in silence. Here an operation *is* its backward pass: what goes onto a [`Tape`] is an object that
//! owns what it saved, turns the gradient of its output into gradients of its inputs and parameters, and
//! is dropped as soon as it has done so. Memory falls while the backward pass proceeds.

mod checkpoint;
mod function;
mod gradients;
mod guard;
mod param;

pub use checkpoint::{Segment, checkpoint};
pub use function::{Weights, gradients};
pub use gradients::{Active, Gradients, ParamGradients};
pub use guard::GradientGuard;
pub use param::{Param, ParamId};

use std::cell::RefCell;

use candle_core::Tensor;

use crate::Result;

/// The backward half of an operation.
pub trait Backward {
    /// Adds to the gradients of inputs and parameters, given that of the output.
    ///
    /// # Errors
    /// If an operation fails.
    fn backward(self: Box<Self>, output: Tensor, grads: &mut Gradients) -> Result<()>;
}

/// A value on a tape; without a node no gradient flows into it.
#[derive(Clone, Debug)]
pub struct Var {
    /// The value.
    pub tensor: Tensor,
    /// Where its gradient is collected.
    pub node: Option<NodeId>,
}

/// The position of an operation on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(usize);

impl Var {
    /// A value that needs no gradient.
    pub fn constant(tensor: Tensor) -> Self {
        Var { tensor, node: None }
    }

    /// Whether a gradient flows into it.
    pub fn needs_grad(&self) -> bool {
        self.node.is_some()
    }
}

enum Node {
    Leaf,
    Op(Box<dyn Backward>),
}

/// The operations of a forward pass, in order.
pub struct Tape {
    nodes: RefCell<Vec<Node>>,
    recording: bool,
    replaying: bool,
}

impl Tape {
    /// A tape that records.
    pub fn new() -> Self {
        Tape { nodes: RefCell::default(), recording: true, replaying: false }
    }

    /// A tape that records a stretch once more, for its gradient alone: nothing reads its result.
    pub fn replay() -> Self {
        Tape { replaying: true, ..Tape::new() }
    }

    /// A tape that records nothing, for evaluation and generation.
    pub fn off() -> Self {
        Tape { recording: false, ..Tape::new() }
    }

    /// Whether operations leave their backward half here.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// Whether a stretch is run again for its backward half alone.
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// A value whose gradient is wanted at the end.
    pub fn leaf(&self, tensor: Tensor) -> Var {
        Var { tensor, node: Some(self.push(Node::Leaf)) }
    }

    /// The result of an operation; its backward half is kept if the tape records and something below
    /// needs a gradient.
    pub fn record(&self, tensor: Tensor, needs_grad: bool, op: impl FnOnce() -> Box<dyn Backward>) -> Var {
        if !self.recording || !needs_grad {
            return Var::constant(tensor);
        }
        Var { tensor, node: Some(self.push(Node::Op(op()))) }
    }

    fn push(&self, node: Node) -> NodeId {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(node);
        NodeId(nodes.len() - 1)
    }

    /// Runs all operations backwards from `output`, whose gradient is `seed`, and answers with the
    /// gradient of `leaf`, if it got one. Gradients of parameters are added to `params`.
    ///
    /// # Errors
    /// If an operation's backward pass fails.
    pub fn backward(
        self,
        output: &Var,
        seed: Tensor,
        params: &mut ParamGradients,
        leaf: Option<NodeId>,
    ) -> Result<Option<Tensor>> {
        self.backward_of([(output, seed)], params, leaf)
    }

    /// The same from several outputs, each with its gradient.
    ///
    /// # Errors
    /// If an operation's backward pass fails.
    pub fn backward_of<const N: usize>(
        self,
        outputs: [(&Var, Tensor); N],
        params: &mut ParamGradients,
        leaf: Option<NodeId>,
    ) -> Result<Option<Tensor>> {
        let mut nodes = self.nodes.into_inner();
        let mut grads = Gradients::new(nodes.len(), params);
        for (output, seed) in outputs {
            grads.add(output.node, seed)?;
        }
        let mut result = None;
        while let Some(node) = nodes.pop() {
            let id = NodeId(nodes.len());
            let Some(gradient) = grads.take(id) else { continue };
            match node {
                Node::Op(op) => op.backward(gradient, &mut grads)?,
                Node::Leaf if leaf == Some(id) => result = Some(gradient),
                Node::Leaf => {}
            }
        }
        Ok(result)
    }
}

impl Default for Tape {
    fn default() -> Self {
        Tape::new()
    }
}
