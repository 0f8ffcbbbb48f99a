//! Large parameters of rules that treat each number by itself, moved piece by piece: what a rule makes on the way is as
//! large as a piece, not several times as large as a table of tokens.

use candle_core::Tensor;

use super::{Memory, Rule, Step};
use crate::Result;
use crate::autograd::Param;
use crate::device::has_kernels;

/// Numbers of a piece, at most.
const PIECE: usize = 1 << 20;
/// Pieces begin at multiples of this: where a block of what is remembered in 8 bits does.
const UNIT: usize = 256;

/// Moves a parameter as its rule says.
///
/// # Errors
/// If an operation fails on the parameter's device.
pub(super) fn update(
    rule: &dyn Rule,
    param: &Param,
    gradient: &Tensor,
    memory: &mut Memory,
    step: &Step,
) -> Result<()> {
    if param.len() <= PIECE || !rule.is_elementwise() || !has_kernels(&param.tensor) {
        return rule.update(param, gradient, memory, step);
    }
    by_pieces(rule, param, gradient, memory, step, PIECE)
}

fn by_pieces(
    rule: &dyn Rule,
    param: &Param,
    gradient: &Tensor,
    memory: &mut Memory,
    step: &Step,
    most: usize,
) -> Result<()> {
    let count = param.len();
    let len = count.div_ceil(count.div_ceil(most)).next_multiple_of(UNIT);
    // These share what they are made of.
    let (all, gradient) = (param.tensor.flatten_all()?, gradient.flatten_all()?);
    let kept: candle_core::Result<Vec<_>> =
        memory.iter().map(|(name, tensor)| Ok((*name, tensor.flatten_all()?))).collect();
    let kept = kept?;
    for start in (0..count).step_by(len) {
        let len = len.min(count - start);
        let part = Param { tensor: all.narrow(0, start, len)?, name: param.name.clone(), ..*param };
        let place = |tensor: &Tensor| {
            // A scale stands for several numbers.
            let each = count.div_ceil(tensor.elem_count().max(1));
            (start / each, len.div_ceil(each))
        };
        let mut own = Memory::with_capacity(kept.len());
        for (name, tensor) in &kept {
            let (start, len) = place(tensor);
            own.push((name, tensor.narrow(0, start, len)?));
        }
        let before: Vec<_> = own.iter().map(|(_, tensor)| tensor.id()).collect();
        rule.update(&part, &gradient.narrow(0, start, len)?, &mut own, step)?;
        for (((_, tensor), (_, own)), before) in kept.iter().zip(own).zip(before) {
            // What was changed in place is where it belongs.
            if own.id() != before {
                tensor.slice_set(&own.flatten_all()?, 0, place(tensor).0)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{AdEmaMix, AdamW, EightBit, Lion, RmsProp, Sgd};
    use super::*;
    use crate::tensor::from_vec;

    /// Three steps of a whole matrix, and of the same in pieces.
    #[test]
    fn pieces_move_as_the_whole_does() {
        let adam = || AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8, eps_first: false };
        let rules: [Box<dyn Rule>; 6] = [
            Box::new(adam()),
            Box::new(EightBit(Box::new(adam()))),
            Box::new(EightBit(Box::new(Lion { beta1: 0.9, beta2: 0.99 }))),
            Box::new(Sgd { momentum: 0.9, ..Sgd::default() }),
            Box::new(RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() }),
            Box::new(AdEmaMix { beta1: 0.9, beta2: 0.99, beta3: 0.999, alpha: 5.0, eps: 1e-8 }),
        ];
        const SHAPE: (usize, usize) = (130, 210);
        let mut rng = crate::rng::Rng::new(5);
        let mut draw = || {
            let values = (0..SHAPE.0 * SHAPE.1).map(|_| rng.normal() as f32).collect();
            from_vec(values, SHAPE).unwrap()
        };
        for rule in rules {
            assert!(rule.is_elementwise());
            let start = draw();
            let param = |tensor: Tensor| Param::new("w", tensor, true).unwrap();
            let (whole, parts) = (param(start.copy().unwrap()), param(start.copy().unwrap()));
            let [mut of_whole, mut of_parts] = [&whole, &parts].map(|param| rule.start(param).unwrap());
            for number in 1..=3 {
                let step = Step { number, turn: 0, rate: 0.01, decay: 0.1, clip: 0.5 };
                let gradient = draw();
                rule.update(&whole, &gradient, &mut of_whole, &step).unwrap();
                by_pieces(&*rule, &parts, &gradient, &mut of_parts, &step, 9000).unwrap();
            }
            assert!(whole.to_f32().unwrap() == parts.to_f32().unwrap());
            for ((name, whole), (_, parts)) in of_whole.iter().zip(&of_parts) {
                let difference = (whole.flatten_all().unwrap().to_dtype(candle_core::DType::F32).unwrap()
                    - parts.flatten_all().unwrap().to_dtype(candle_core::DType::F32).unwrap())
                .unwrap();
                assert_eq!(
                    difference.abs().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap(),
                    0.0,
                    "{name}"
                );
            }
        }
    }
}
