//! Tables, sums, parts of rows, norms by themselves, latent heads.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var as CandleVar};

use super::{assert_close, compare, param, random, values, variable, with_both};
use crate::Result;
use crate::autograd::{ParamGradients, Tape, Var, Weights};
use crate::ops::elementwise::{add_scaled, clamp, columns, join, normalise, sigmoid_gate};
use crate::ops::latent::{LatentHeads, assemble};
use crate::ops::shift::{with_kept, with_previous};
use crate::ops::{ColumnNorm, Embedding, Extension, HeadNorm, Norm, Slots};

#[test]
fn embedding_scatters_its_gradient() {
    let (tokens, positions) = (param("tokens", &[10, 4], 1, 1.0), param("positions", &[6, 4], 2, 1.0));
    let tables =
        Embedding { tokens: tokens.0.clone().into(), positions: Some(positions.0.clone()), scale: 1.5 };
    let rows = |table: &CandleVar, rows: &[u32; 3]| {
        table.as_tensor().index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap()
    };
    let seed = random(&[3, 4], 2, 1.0);
    let want = (rows(&tokens.1, &[3, 7, 3]) * 1.5).unwrap();
    let want = (want + rows(&positions.1, &[0, 1, 0])).unwrap();
    let want_grads = (&want * &seed).unwrap().sum_all().unwrap().backward().unwrap();
    with_both(|| {
        let tape = Tape::new();
        let x = tables.forward(&tape, &[3, 7, 3], &[0, 1, 0]).unwrap();
        let mut grads = ParamGradients::default();
        tape.backward(&x, seed.copy().unwrap(), &mut grads, None).unwrap();
        assert_close("x", &x.tensor, &want);
        for (param, var) in [&tokens, &positions] {
            assert_close(&param.name, grads.get(param.id).unwrap(), want_grads.get(var).unwrap());
        }
    });
}

#[test]
fn elementwise_operations_agree_with_candle() {
    let (a, b) = (variable(&[40, 12], 1), variable(&[40, 12], 2));
    compare(
        &[&a, &b],
        &[],
        |tape, vars| add_scaled(tape, &vars[0], &vars[1], 0.3),
        |inputs| Ok((&inputs[0] + (&inputs[1] * f64::from(0.3f32))?)?),
    );
    compare(
        &[&a, &b],
        &[],
        |tape, vars| join(tape, vars[0].clone(), vars[1].clone()),
        |inputs| Ok(Tensor::cat(inputs, 1)?),
    );
    compare(&[&a], &[], |tape, vars| columns(tape, &vars[0], 3, 5), |inputs| Ok(inputs[0].narrow(1, 3, 5)?));
    compare(
        &[&a],
        &[],
        |tape, vars| clamp(tape, vars[0].clone(), 0.4),
        |inputs| Ok(inputs[0].clamp(-0.4f32, 0.4f32)?),
    );
    let gate = variable(&[40, 1], 3);
    compare(
        &[&a, &gate],
        &[],
        |tape, vars| sigmoid_gate(tape, vars[0].clone(), vars[1].clone()),
        |inputs| {
            let sigmoid = ((inputs[1].neg()?.exp()? + 1.0)?.recip())?;
            Ok(inputs[0].broadcast_mul(&sigmoid)?)
        },
    );
    let (weight, bias) = (param("weight", &[12], 3, 1.0), param("bias", &[12], 4, 1.0));
    let norm = Arc::new(Norm {
        weight: Some(weight.0.clone()),
        bias: Some(bias.0.clone()),
        one_plus: false,
        center: true,
        eps: 1e-5,
    });
    compare(
        &[&a],
        &[weight, bias],
        |tape, vars| normalise(tape, &norm, &vars[0]),
        |inputs| norm.plain(&inputs[0], &Weights::fixed()),
    );
    // Rows beside the ones before them, in sequences of 15 and 25 rows.
    compare(
        &[&a],
        &[],
        |tape, vars| with_previous(tape, &vars[0], vec![0, 15], None),
        |inputs| {
            let zero = Tensor::zeros((1, 12), DType::F32, &Device::Cpu)?;
            let part = |start: usize, len: usize| inputs[0].narrow(0, start, len);
            let before = Tensor::cat(&[&zero, &part(0, 14)?, &zero, &part(15, 24)?], 0)?;
            Ok(Tensor::stack(&[before, inputs[0].clone()], 2)?.reshape((40, 24))?)
        },
    );
}

/// Two sequences in parts: before the first row of a part is the last one of the part before.
#[test]
fn rows_beside_those_of_an_earlier_part_agree_with_whole_sequences() {
    let all = random(&[2, 9, 4], 3, 1.0);
    let whole = all.reshape((18, 4)).unwrap();
    let extension = |(start, len, past, slot)| Extension { start, len, past, pages: Vec::new(), slot };
    with_both(|| {
        let whole = Var::constant(whole.copy().unwrap());
        let want = with_previous(&Tape::off(), &whole, vec![0, 9], None).unwrap().tensor;
        let mut slots = Slots::default();
        // What another sequence has left in a slot is not for the next one.
        let other = Var::constant(random(&[1, 4], 9, 1.0));
        with_kept(&other, &mut slots, &[extension((0, 1, 0, 1))]).unwrap();
        let mut past = [0, 0];
        for counts in [[4, 0], [1, 1], [4, 7], [0, 1]] {
            let (mut rows, mut expected, mut extensions, mut start) = (vec![], vec![], vec![], 0);
            for (i, len) in counts.into_iter().enumerate().filter(|(_, len)| *len > 0) {
                rows.push(whole.tensor.narrow(0, 9 * i + past[i], len).unwrap());
                expected.push(want.narrow(0, 9 * i + past[i], len).unwrap());
                extensions.push(extension((start, len, past[i], i)));
                (start, past[i]) = (start + len, past[i] + len);
            }
            let rows = Var::constant(Tensor::cat(&rows, 0).unwrap().force_contiguous().unwrap());
            let got = with_kept(&rows, &mut slots, &extensions).unwrap().tensor;
            assert_eq!(values(&got), values(&Tensor::cat(&expected, 0).unwrap()));
        }
    });
}

#[test]
fn head_norms_agree_with_candle() {
    for (own_weights, center) in [(false, false), (true, true)] {
        let count = if own_weights { 3 * 8 } else { 8 };
        let (weight, bias) = (param("weight", &[count], 3, 1.0), param("bias", &[count], 4, 1.0));
        let norm = Norm {
            weight: Some(weight.0.clone()),
            bias: Some(bias.0.clone()),
            one_plus: !own_weights,
            center,
            eps: 1e-5,
        };
        let starts = vec![0, 16, 8];
        let part = ColumnNorm { norm: norm.clone(), starts: starts.clone(), len: 8, own_weights };
        let op = Arc::new(HeadNorm { parts: vec![part] });
        let x = variable(&[50, 30], 1);
        let inner = |stretch: usize| {
            Norm { weight: None, bias: None, ..norm.clone() }
                .plain_with((&weight.1, &bias.1), if own_weights { stretch * 8 } else { 0 })
        };
        compare(
            &[&x],
            &[weight.clone(), bias.clone()],
            |tape, vars| op.forward(tape, vars[0].clone()),
            |inputs| {
                let part = |stretch: usize| inner(stretch)(&inputs[0].narrow(1, starts[stretch], 8)?);
                // Stretches 0, 2, 1 lie side by side, and the last columns stay.
                Ok(Tensor::cat(&[part(0)?, part(2)?, part(1)?, inputs[0].narrow(1, 24, 6)?], 1)?)
            },
        );
    }
}

impl Norm {
    /// This norm with eight of the given weights and biases, from `start` on.
    fn plain_with(
        self,
        (weight, bias): (&CandleVar, &CandleVar),
        start: usize,
    ) -> impl Fn(&Tensor) -> Result<Tensor> {
        let (weight, bias) = (weight.as_tensor().clone(), bias.as_tensor().clone());
        move |x| {
            let weight = weight.narrow(0, start, 8)?;
            let weight = if self.one_plus { (weight + 1.0)? } else { weight };
            Ok(self
                .plain(x, &Weights::fixed())?
                .broadcast_mul(&weight)?
                .broadcast_add(&bias.narrow(0, start, 8)?)?)
        }
    }
}

#[test]
fn latent_heads_agree_with_candle() {
    let sizes = LatentHeads { heads: 3, plain: 4, rotary: 2, value: 5 };
    let (q, expanded, shared) = (variable(&[20, 18], 1), variable(&[20, 27], 2), variable(&[20, 2], 3));
    compare(
        &[&q, &expanded, &shared],
        &[],
        |tape, vars| assemble(tape, sizes, vars[0].clone(), vars[1].clone(), vars[2].clone()),
        |inputs| {
            let mut parts = vec![inputs[0].clone()];
            for head in 0..3 {
                parts.push(inputs[1].narrow(1, head * 9, 4)?);
                parts.push(inputs[2].clone());
            }
            for head in 0..3 {
                parts.push(inputs[1].narrow(1, head * 9 + 4, 5)?);
            }
            Ok(Tensor::cat(&parts, 1)?)
        },
    );
}
