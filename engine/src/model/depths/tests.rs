//! Blocks with routers against their definition.

use candle_core::{Device, Tensor};
use serde_json::json;

use super::*;
use crate::autograd::ParamGradients;
use crate::device::with_plain_operations;
use crate::families::depths::FAMILIES;
use crate::model::block::Block;
use crate::model::decoder::tests::{decoder, rotations};
use crate::model::{Batch, Decoder, Objective, Pass};

/// A llama of two blocks, of which the second lets an eighth of the tokens through.
fn routed() -> Decoder {
    decoder("llama", json!({"mixture_of_depths": {"capacity": 0.125}}))
}

fn batch(lengths: &[u32]) -> Batch {
    let mut batch = Batch::default();
    for length in lengths {
        let ids: Vec<u32> = (0..*length).map(|i| (i * i * 7 + i + length) % 40).collect();
        let labels: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        batch.push(&ids, &labels);
    }
    batch
}

fn rows_of(x: &Tensor) -> Vec<Vec<f32>> {
    x.to_vec2().unwrap()
}

/// The second block by equation (1) of the paper, in double precision around the block itself, which gets the chosen tokens
/// as sequences; `choose` says of a sequence's weights which go through.
fn defined(decoder: &Decoder, batch: &Batch, choose: impl Fn(&[f64]) -> Vec<usize>) -> Vec<Vec<f64>> {
    let below = Decoder { blocks: vec![decoder.blocks[0].clone()], ..decoder.clone() };
    let x = rows_of(&below.hidden(&Tape::off(), batch, Pass::default()).unwrap().tensor);
    let block = Block { router: None, ..(*decoder.blocks[1]).clone() };
    let linear = &decoder.blocks[1].router.as_ref().unwrap().map.linears[0];
    let map: Vec<f32> = linear.weight.param().unwrap().tensor.flatten_all().unwrap().to_vec1().unwrap();
    let bias = linear.bias.as_ref().unwrap().tensor.to_vec1::<f32>().unwrap()[0];
    let product = |row: &Vec<f32>| -> f64 {
        row.iter().zip(&map).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>() + f64::from(bias)
    };
    let weights: Vec<f64> = x.iter().map(product).collect();
    let mut out: Vec<Vec<f64>> = x.iter().map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
    for span in batch.spans.iter() {
        let chosen = choose(&weights[span.start..span.start + span.len]);
        let positions: Vec<u32> = chosen.iter().map(|place| *place as u32).collect();
        let rows: Vec<f32> = chosen.iter().flat_map(|place| x[span.start + place].clone()).collect();
        let rows = Tensor::from_vec(rows, (chosen.len(), decoder.spec.hidden), &Device::Cpu).unwrap();
        let context = Context {
            rotations: rotations(decoder, &positions),
            spans: Arc::new(vec![Span::new(0, chosen.len())]),
            ..Context::default()
        };
        let results = rows_of(&block.forward(&Tape::off(), Var::constant(rows), &context).unwrap().tensor);
        for (place, result) in chosen.iter().zip(results) {
            let weight = weights[span.start + place];
            for (out, result) in out[span.start + place].iter_mut().zip(result) {
                *out += weight * (f64::from(result) - *out);
            }
        }
    }
    out
}

/// The places of the largest weights, in order.
fn largest(weights: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
    places.truncate((weights.len() / 8).max(1));
    places.sort_unstable();
    places
}

/// The places that are among the largest of those before them.
fn largest_so_far(weights: &[f64]) -> Vec<usize> {
    (0..weights.len()).filter(|place| largest(&weights[..=*place]).contains(place)).collect()
}

fn assert_close(got: &[f32], want: &[f64]) {
    let most = want.iter().fold(0f64, |most, x| most.max(x.abs()));
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() < 1e-4 * most, "{got}, expected {want}");
    }
}

#[test]
fn the_largest_weights_of_each_sequence_go_through() {
    let Router { map, .. } = routed().blocks[1].router.clone().unwrap();
    let router = Router { map, capacity: 0.5 };
    let spans = [Span { start: 0, len: 6, padding: 1, trailing: 1 }, Span::new(6, 1), Span::new(7, 3)];
    let weights = [9.0, 1.0, -3.0, 2.0, 2.0, 9.0, -5.0, 0.0, 0.0, -1.0];
    let (rows, chosen) = router.choose(&weights, &spans);
    assert_eq!(rows, [3, 4, 6, 7]);
    assert_eq!(chosen, [Span::new(0, 2), Span::new(2, 1), Span::new(3, 1)]);
}

#[test]
fn the_block_adds_to_the_chosen_tokens_what_the_router_says() {
    let batch = batch(&[33, 5, 16]);
    for family in FAMILIES {
        let decoder = decoder(family, json!({"mixture_of_depths": {"capacity": 0.125}}));
        let want = defined(&decoder, &batch, largest);
        let check = || {
            let got = decoder.hidden(&Tape::off(), &batch, Pass::default()).unwrap().tensor;
            rows_of(&got).iter().zip(&want).for_each(|(got, want)| assert_close(got, want));
        };
        check();
        with_plain_operations(check);
    }
}

/// However a prompt is divided, and whoever is there beside it.
#[test]
fn what_is_written_goes_through_by_what_was_before_it() {
    let (decoder, batch) = (routed(), batch(&[80, 21]));
    let want = defined(&decoder, &batch, largest_so_far);
    let check = || {
        for part in [1, 7, 80] {
            let mut cache = decoder.cache();
            // What it leaves in its slot is no other sequence's.
            let gone = cache.join(&[3; 9]);
            decoder.extend(&mut cache, &[(gone, 9)]).unwrap();
            cache.leave(gone);
            let sequences: Vec<_> =
                batch.spans.iter().map(|span| cache.join(&batch.ids[span.start..][..span.len])).collect();
            let mut ends = vec![0; sequences.len()];
            while sequences.iter().any(|id| cache.waiting(*id) > 0) {
                let next: Vec<_> = (0..sequences.len())
                    .map(|index| (index, cache.waiting(sequences[index]).min(part)))
                    .filter(|(_, count)| *count > 0)
                    .collect();
                let parts: Vec<_> = next.iter().map(|(index, count)| (sequences[*index], *count)).collect();
                let hidden = rows_of(&decoder.extend(&mut cache, &parts).unwrap());
                for ((index, count), hidden) in next.iter().zip(&hidden) {
                    ends[*index] += count;
                    assert_close(hidden, &want[batch.spans[*index].start + ends[*index] - 1]);
                }
            }
        }
    };
    check();
    with_plain_operations(check);
}

/// All parameters, those of the router too, against finite differences; recomputed blocks give the same bits, plain
/// operations the same gradients.
#[test]
fn gradients_are_those_of_finite_differences() {
    let (decoder, batch) = (routed(), batch(&[26, 9]));
    let run = |checkpointing: bool| {
        let (pass, mut grads) =
            (Pass { training: true, checkpointing, ..Pass::default() }, ParamGradients::default());
        let loss = decoder.accumulate(&batch, &pass, Objective::Sum(0.1), &mut grads).unwrap().loss;
        (loss, grads)
    };
    let all =
        [run(false), run(true), with_plain_operations(|| run(false)), with_plain_operations(|| run(true))];
    let mut routers = 0;
    for param in &decoder.trainable() {
        let [gradient, repeated, plain, plainly_repeated] = all
            .each_ref()
            .map(|(_, grads)| grads.get(param.id).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
        assert_eq!((&gradient, &plain), (&repeated, &plainly_repeated), "{}", param.name);
        assert_close(&plain, &gradient.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
        let (place, slope) = gradient.iter().enumerate().fold((0, 0f32), |(at, most), (place, x)| {
            if x.abs() > most.abs() { (place, *x) } else { (at, most) }
        });
        const STEP: f32 = 3e-3;
        let moved = |by: f32| {
            crate::tensor::mutate(&param.tensor, |values| values[place] += by).unwrap();
            let (loss, _) = run(false);
            crate::tensor::mutate(&param.tensor, |values| values[place] -= by).unwrap();
            loss
        };
        let found = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
        let right = (found - f64::from(slope)).abs() < 0.03 * f64::from(slope.abs()).max(0.02);
        assert!(right && slope != 0.0, "{}: {found} != {slope}", param.name);
        routers += usize::from(param.name.contains("router"));
    }
    assert_eq!(routers, 2);
}

/// What passes by is the same to the bit, and a block that all go through, each with the weight 1, is the usual one.
#[test]
fn others_pass_by_and_a_full_capacity_is_the_whole_block() {
    let batch = batch(&[24]);
    let hidden =
        |decoder: &Decoder| rows_of(&decoder.hidden(&Tape::off(), &batch, Pass::default()).unwrap().tensor);
    let decoder = routed();
    let below = Decoder { blocks: vec![decoder.blocks[0].clone()], ..decoder.clone() };
    let (input, output) = (hidden(&below), hidden(&decoder));
    assert_eq!(input.iter().zip(&output).filter(|(input, output)| input != output).count(), 3);
    let full = decoder_of_all();
    let plain = Decoder {
        blocks: full
            .blocks
            .iter()
            .map(|block| Arc::new(Block { router: None, ..(**block).clone() }))
            .collect(),
        ..full.clone()
    };
    for (got, want) in hidden(&full).iter().zip(hidden(&plain)) {
        assert_close(got, &want.into_iter().map(f64::from).collect::<Vec<_>>());
    }
}

/// Every token goes through, with a weight of 0·x + 1.
fn decoder_of_all() -> Decoder {
    let decoder = decoder("llama", json!({"mixture_of_depths": {"capacity": 1.0}}));
    let linear = &decoder.blocks[1].router.as_ref().unwrap().map.linears[0];
    crate::tensor::mutate(&linear.weight.param().unwrap().tensor, |values| values.fill(0.0)).unwrap();
    crate::tensor::mutate(&linear.bias.as_ref().unwrap().tensor, |values| values.fill(1.0)).unwrap();
    decoder
}
