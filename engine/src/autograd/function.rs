//! Operations given as functions of candle tensors, which candle differentiates.
//!
//! The function runs forward without candle's graph. When its gradient is due it runs again on variables, and
//! candle's graph lives for that one operation: memory stays that of the tape.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Tensor, Var as Variable};

use super::{Backward, Gradients, Param, ParamGradients, ParamId, Tape, Var};
use crate::Result;

/// Parameters as candle's variables.
type Variables = BTreeMap<ParamId, (Arc<Param>, Variable)>;

/// The parameters that a function reads.
#[derive(Default)]
pub struct Weights {
    /// Where gradients are due: trainable parameters read so far, as variables.
    variables: Option<RefCell<Variables>>,
}

impl Weights {
    /// Parameters as they are, for the forward pass.
    pub fn fixed() -> Self {
        Weights::default()
    }

    fn tracked() -> Self {
        Weights { variables: Some(RefCell::default()) }
    }

    /// A parameter, widened to f32.
    ///
    /// # Errors
    /// If the values cannot be widened.
    pub fn read(&self, param: &Arc<Param>) -> Result<Tensor> {
        let Some(variables) = self.variables.as_ref().filter(|_| param.trainable) else {
            return Ok(param.tensor.to_dtype(DType::F32)?);
        };
        let mut variables = variables.borrow_mut();
        if let Some((_, variable)) = variables.get(&param.id) {
            return Ok(variable.as_tensor().clone());
        }
        let variable = Variable::from_tensor(&param.tensor.detach().to_dtype(DType::F32)?)?;
        let tensor = variable.as_tensor().clone();
        variables.insert(param.id, (param.clone(), variable));
        Ok(tensor)
    }
}

/// Takes gradients of a function's outputs back to its inputs, as far as they are wanted, and to the trainable
/// parameters that it reads.
///
/// # Errors
/// If the function fails, or gives another number of outputs than there are gradients.
pub fn gradients(
    inputs: &[(&Tensor, bool)],
    seeds: &[Tensor],
    params: &mut ParamGradients,
    function: impl FnOnce(&[Tensor], &Weights) -> Result<Vec<Tensor>>,
) -> Result<Vec<Option<Tensor>>> {
    let weights = Weights::tracked();
    let mut variables = Vec::with_capacity(inputs.len());
    for (tensor, wanted) in inputs {
        variables.push(if *wanted { Some(Variable::from_tensor(tensor)?) } else { None });
    }
    let tensors: Vec<Tensor> = variables
        .iter()
        .zip(inputs)
        .map(|(variable, (tensor, _))| variable.as_ref().map_or(*tensor, |var| var.as_tensor()).clone())
        .collect();
    let outputs = function(&tensors, &weights)?;
    // Σ output · seed has the wanted gradients.
    let mut total: Option<Tensor> = None;
    for (output, seed) in outputs.iter().zip(seeds) {
        let part = (output * seed.reshape(output.shape())?)?.sum_all()?;
        total = Some(match total {
            Some(total) => (total + part)?,
            None => part,
        });
    }
    drop((outputs, tensors));
    let Some(total) = total else { return Ok(vec![None; inputs.len()]) };
    let mut store = total.backward()?;
    let mut take =
        |variable: &Variable| store.remove(variable).map(|gradient| gradient.contiguous()).transpose();
    for (param, variable) in weights.variables.into_iter().flat_map(|map| map.into_inner().into_values()) {
        if let Some(gradient) = take(&variable)? {
            params.add(&param, gradient)?;
        }
    }
    let results: candle_core::Result<Vec<_>> =
        variables.iter().map(|variable| variable.as_ref().map_or(Ok(None), &mut take)).collect();
    Ok(results?)
}

struct FunctionNode<F> {
    function: F,
    inputs: Vec<Var>,
}

impl Tape {
    /// Runs a function of tensors and records it; `trains` says whether it reads trainable parameters.
    ///
    /// # Errors
    /// If the function fails.
    pub fn function<F>(&self, inputs: &[&Var], trains: bool, function: F) -> Result<Var>
    where
        F: Fn(&[Tensor], &Weights) -> Result<Tensor> + 'static,
    {
        let tensors: Vec<Tensor> = inputs.iter().map(|input| input.tensor.clone()).collect();
        let output = function(&tensors, &Weights::fixed())?.contiguous()?;
        let needs_grad = trains || inputs.iter().any(|input| input.needs_grad());
        Ok(self.record(output, needs_grad, || {
            Box::new(FunctionNode { function, inputs: inputs.iter().map(|input| (*input).clone()).collect() })
        }))
    }
}

impl<F: Fn(&[Tensor], &Weights) -> Result<Tensor>> Backward for FunctionNode<F> {
    fn backward(self: Box<Self>, gradient: Tensor, grads: &mut Gradients) -> Result<()> {
        let inputs: Vec<_> = self.inputs.iter().map(|input| (&input.tensor, input.needs_grad())).collect();
        let results = gradients(&inputs, &[gradient], grads.params, |inputs, weights| {
            Ok(vec![(self.function)(inputs, weights)?])
        })?;
        for (input, gradient) in self.inputs.iter().zip(results) {
            if let Some(gradient) = gradient {
                grads.add(input.node, gradient)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::from_vec;

    fn column(values: &[f32]) -> Tensor {
        from_vec(values.to_vec(), (values.len(), 1)).unwrap()
    }

    /// x · w + c over x [2, 1], w and c [1, 1]: the gradient of w is Σ seed · x.
    #[test]
    fn gradients_go_where_they_are_wanted_and_nowhere_else() {
        let trained = Arc::new(Param::new("w", column(&[3.0]), true).unwrap());
        let frozen = Arc::new(Param::new("c", column(&[5.0]), false).unwrap());
        let tape = Tape::new();
        let (x, constant) = (tape.leaf(column(&[1.0, 2.0])), Var::constant(column(&[7.0, 7.0])));
        let (w, c) = (trained.clone(), frozen.clone());
        let y = tape.function(&[&x, &constant], true, move |inputs, weights| {
            let product = inputs[0].matmul(&weights.read(&w)?)?.broadcast_add(&weights.read(&c)?)?;
            Ok((product + &inputs[1])?)
        });
        let y = y.unwrap();
        assert_eq!(y.tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [15.0, 18.0]);
        let mut grads = ParamGradients::default();
        let dx = tape.backward(&y, column(&[10.0, 100.0]), &mut grads, x.node).unwrap().unwrap();
        assert_eq!(dx.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [30.0, 300.0]);
        let dw = grads.get(trained.id).unwrap().flatten_all().unwrap();
        assert_eq!(dw.to_vec1::<f32>().unwrap(), [210.0]);
        assert!(grads.get(frozen.id).is_none());
    }

    #[test]
    fn an_input_that_needs_no_gradient_gets_none() {
        let (a, b) = (column(&[2.0]), column(&[3.0]));
        let mut params = ParamGradients::default();
        let results = gradients(&[(&a, false), (&b, true)], &[column(&[1.0])], &mut params, |inputs, _| {
            Ok(vec![(&inputs[0] * &inputs[1])?])
        });
        let results = results.unwrap();
        assert!(results[0].is_none() && params.is_empty());
        assert_eq!(results[1].as_ref().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [2.0]);
    }
}
