//! Gradients of values on a tape, and of parameters.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::{NodeId, Param, ParamId};
use crate::Result;
use crate::device::has_kernels;
use crate::tensor::{mutate, view};

/// Parameters that train in a step: of those that may train some, or all of them.
pub type Active = Option<Arc<BTreeSet<ParamId>>>;

/// Gradients of parameters, accumulated over micro-batches until they are cleared.
#[derive(Default)]
pub struct ParamGradients {
    map: BTreeMap<ParamId, Tensor>,
    active: Active,
    /// The largest that were cleared, to be used again.
    spare: BTreeMap<ParamId, Tensor>,
}

/// Elements from which on a cleared gradient's memory is kept. A token table's is wanted first in the next backward
/// pass, when memory is fullest: small values of the forward pass would stand in its place, and it would need another.
const KEPT: usize = 16 << 20;

impl ParamGradients {
    /// None yet, of these parameters alone: what is added of others is left out, and not computed where it is computed in
    /// place.
    pub fn of(active: Active) -> Self {
        ParamGradients { active, ..ParamGradients::default() }
    }

    /// None yet, of the same parameters.
    pub fn apart(&self) -> Self {
        ParamGradients::of(self.active.clone())
    }

    /// Changes which parameters gradients are taken of, from now on.
    pub fn choose(&mut self, active: Active) {
        self.active = active;
    }

    /// Whether a parameter's gradient is asked for.
    pub fn wants(&self, id: ParamId) -> bool {
        self.active.as_ref().is_none_or(|active| active.contains(&id))
    }

    /// Puts another gradient in the place of a parameter's.
    pub fn replace(&mut self, id: ParamId, gradient: Tensor) {
        self.map.insert(id, gradient);
    }

    /// Gives a gradient away, which frees its memory when it is used.
    pub fn take(&mut self, id: ParamId) -> Option<Tensor> {
        self.map.remove(&id)
    }

    /// The gradient of a parameter, if it has one.
    pub fn get(&self, id: ParamId) -> Option<&Tensor> {
        self.map.get(&id)
    }

    /// Lets `add` add to the gradient of a parameter, which starts at zero.
    ///
    /// # Errors
    /// If the gradient so far is not of f32 on the CPU.
    pub fn accumulate(&mut self, param: &Param, add: impl FnOnce(&mut [f32]) + Send) -> Result<()> {
        if !self.wants(param.id) {
            return Ok(());
        }
        let slot = match self.map.entry(param.id) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => slot.insert(match self.spare.remove(&param.id) {
                Some(spare) => {
                    mutate(&spare, |data| data.par_chunks_mut(8192).for_each(|part| part.fill(0.0)))?;
                    spare
                }
                None => Tensor::zeros(param.tensor.shape(), DType::F32, param.tensor.device())?,
            }),
        };
        mutate(slot, add)
    }

    /// Adds a tensor of the parameter's shape to its gradient.
    ///
    /// # Errors
    /// If the tensor has another number of elements, or is on another device.
    pub fn add(&mut self, param: &Param, gradient: Tensor) -> Result<()> {
        self.add_by_id(param.id, gradient.reshape(param.tensor.shape())?)
    }

    /// Adds what was collected apart.
    ///
    /// # Errors
    /// If gradients of one parameter have different shapes.
    pub fn merge(&mut self, other: ParamGradients) -> Result<()> {
        other.map.into_iter().try_for_each(|(id, gradient)| self.add_by_id(id, gradient))
    }

    fn add_by_id(&mut self, id: ParamId, gradient: Tensor) -> Result<()> {
        if !self.wants(id) {
            return Ok(());
        }
        match self.map.entry(id) {
            Entry::Vacant(slot) => {
                slot.insert(gradient);
                Ok(())
            }
            Entry::Occupied(mut slot) => add_to(slot.get_mut(), gradient),
        }
    }

    /// Forgets all gradients.
    pub fn clear(&mut self) {
        let large = |tensor: &Tensor| tensor.elem_count() >= KEPT && has_kernels(tensor);
        self.spare = std::mem::take(&mut self.map).into_iter().filter(|(_, tensor)| large(tensor)).collect();
    }

    /// Whether there is no gradient.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Gradients with the ids of their parameters.
    pub fn iter(&self) -> impl Iterator<Item = (ParamId, &Tensor)> {
        self.map.iter().map(|(id, tensor)| (*id, tensor))
    }

    /// √Σ g² over all parameters.
    ///
    /// # Errors
    /// If a gradient cannot be read.
    pub fn global_norm(&self) -> Result<f64> {
        let mut total = 0.0;
        // One transfer for all tensors of a device.
        let mut sums = Vec::new();
        for tensor in self.map.values() {
            if has_kernels(tensor) {
                total += squares(view(tensor)?.f32()?);
            } else {
                sums.push(tensor.sqr()?.sum_all()?);
            }
        }
        if !sums.is_empty() {
            total +=
                Tensor::stack(&sums, 0)?.to_vec1::<f32>()?.iter().map(|sum| f64::from(*sum)).sum::<f64>();
        }
        Ok(total.sqrt())
    }
}

/// Σ x² in double precision, in an order that does not depend on the number of threads.
fn squares(data: &[f32]) -> f64 {
    let parts: Vec<f64> =
        data.par_chunks(8192).map(|part| part.iter().map(|x| (*x as f64) * (*x as f64)).sum()).collect();
    parts.iter().sum()
}

/// total += gradient: in place on all cores, where there are kernels.
fn add_to(total: &mut Tensor, gradient: Tensor) -> Result<()> {
    if !has_kernels(total) {
        *total = (&*total + gradient)?;
        return Ok(());
    }
    let gradient = view(&gradient)?;
    let gradient = gradient.f32()?;
    mutate(total, |total| {
        total.par_chunks_mut(8192).zip(gradient.par_chunks(8192)).for_each(|(total, part)| {
            total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
        });
    })
}

/// What a backward pass has collected so far.
pub struct Gradients<'a> {
    nodes: Vec<Option<Tensor>>,
    /// Gradients of parameters, which outlive the pass.
    pub params: &'a mut ParamGradients,
}

impl<'a> Gradients<'a> {
    pub(super) fn new(nodes: usize, params: &'a mut ParamGradients) -> Self {
        Gradients { nodes: vec![None; nodes], params }
    }

    pub(super) fn take(&mut self, id: NodeId) -> Option<Tensor> {
        self.nodes[id.0].take()
    }

    /// Adds `gradient` to that of a value. The tensor is taken over: the caller keeps no other use of it.
    ///
    /// # Errors
    /// If the gradient so far has another shape or is elsewhere.
    pub fn add(&mut self, node: Option<NodeId>, gradient: Tensor) -> Result<()> {
        let Some(NodeId(index)) = node else { return Ok(()) };
        match &mut self.nodes[index] {
            Some(total) => add_to(total, gradient),
            empty => {
                *empty = Some(gradient);
                Ok(())
            }
        }
    }

    /// The gradient of a value so far, to be added to in place; zero if there is none yet.
    ///
    /// # Errors
    /// If the gradient so far is not of f32 on the CPU.
    pub fn accumulate<R: Send>(
        &mut self,
        node: Option<NodeId>,
        like: &Tensor,
        add: impl FnOnce(&mut [f32]) -> R + Send,
    ) -> Result<Option<R>> {
        let Some(NodeId(index)) = node else { return Ok(None) };
        let slot = &mut self.nodes[index];
        let total = match slot {
            Some(total) => total,
            None => slot.insert(like.zeros_like()?),
        };
        mutate(total, add).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_active_gets_a_gradient() {
        let param =
            || Param::new("w", Tensor::zeros(2, DType::F32, &candle_core::Device::Cpu).unwrap(), true);
        let (first, second) = (param().unwrap(), param().unwrap());
        let mut grads = ParamGradients::of(Some(Arc::new(BTreeSet::from([second.id]))));
        grads.accumulate(&first, |_| panic!("it is not asked for")).unwrap();
        grads.add(&first, first.tensor.ones_like().unwrap()).unwrap();
        let mut part = grads.apart();
        part.accumulate(&second, |gradient| gradient[0] = 3.0).unwrap();
        part.add(&first, first.tensor.ones_like().unwrap()).unwrap();
        grads.merge(part).unwrap();
        assert!(grads.get(first.id).is_none() && grads.global_norm().unwrap() == 3.0);
        grads.choose(None);
        grads.add(&first, first.tensor.ones_like().unwrap()).unwrap();
        assert!(grads.get(first.id).is_some());
    }

    #[test]
    fn a_large_gradient_starts_anew_in_the_same_memory() {
        let tensor = Tensor::zeros(KEPT, DType::F32, &candle_core::Device::Cpu).unwrap();
        let param = Param::new("table", tensor, true).unwrap();
        let mut grads = ParamGradients::default();
        let place =
            |grads: &ParamGradients| view(grads.get(param.id).unwrap()).unwrap().f32().unwrap().as_ptr();
        grads.accumulate(&param, |gradient| gradient[7] = 1.0).unwrap();
        let before = place(&grads);
        grads.clear();
        assert!(grads.is_empty() && grads.get(param.id).is_none());
        grads.accumulate(&param, |gradient| gradient[8] += 2.0).unwrap();
        assert_eq!(place(&grads), before);
        assert_eq!(grads.global_norm().unwrap(), 2.0);
    }
}
