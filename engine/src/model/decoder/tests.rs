//! The decoder of real families, with weights drawn here.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Tensor;
use serde_json::{Value, json};

use super::{Batch, Cache, Context, Decoder, Lengths, Pass, SequenceId};
use crate::Result;
use crate::autograd::{Active, GradientGuard, ParamGradients, Tape, Var};
use crate::families::{Config, read};
use crate::kernel::attention::Span;
use crate::kernel::cross_entropy::RowWeights;
use crate::model::{Objective, Selection, Tuning};
use crate::ops::{Mode, Rotation};
use crate::weights::InitialSource;

/// A tiny model of a family, its configuration completed by `more`.
pub(crate) fn decoder(model_type: &str, more: Value) -> Decoder {
    let common = json!({
        "model_type": model_type, "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 1024, "n_embd": 16, "n_head": 2, "n_layer": 2, "sliding_window": 64,
    });
    let values = more.as_object().cloned().unwrap();
    let config = Config { path: "config.json".into(), values }.with_defaults(common);
    let spec = read(&config).unwrap();
    Decoder::build(
        spec,
        &InitialSource::new(3, 0.4),
        &Tuning { selection: Selection::All, ..Tuning::default() },
    )
    .unwrap()
}

/// Angles of these positions of a sequence.
pub(crate) fn rotations(decoder: &Decoder, positions: &[u32]) -> Vec<Rotation> {
    let spans = Arc::new(vec![Span::new(0, positions.len())]);
    let batch = Batch { positions: positions.to_vec(), spans, ..Batch::default() };
    decoder.rotations(positions, &Lengths::of(&batch, false))
}

/// The hidden state of a sequence's last token when all that wait are computed, in parts of at most so many rows.
fn computed(decoder: &Decoder, cache: &mut Cache, id: SequenceId, rows: usize) -> Tensor {
    loop {
        let last = decoder.extend(cache, &[(id, cache.waiting(id).min(rows))]).unwrap();
        if cache.waiting(id) == 0 {
            return last;
        }
    }
}

/// Rotations are those of the whole prompt, although it is computed in parts.
#[test]
fn a_long_prompt_is_rotated_by_its_whole_length() {
    let divisors = |by: f64| json!((0..4).map(|i| 1.0 + by * f64::from(i)).collect::<Vec<_>>());
    let long = json!({"type": "longrope", "short_factor": divisors(0.2), "long_factor": divisors(2.0)});
    for (family, more) in [
        (
            "phi3",
            json!({"original_max_position_embeddings": 520, "rope_scaling": long, "sliding_window": null}),
        ),
        (
            "llama",
            json!({"rope_scaling": {"type": "dynamic", "factor": 4.0}, "max_position_embeddings": 200}),
        ),
        ("qwen", json!({"seq_length": 200})),
        ("llama", json!({})),
    ] {
        let decoder = decoder(family, more);
        let ids: Vec<u32> = (0..530).map(|i| i * 7 % 40).collect();
        let whole = decoder.hidden(&Tape::off(), &Batch::of(&ids), Pass::default()).unwrap().tensor;
        let mut cache = decoder.cache();
        let id = cache.join(&ids);
        let last = computed(&decoder, &mut cache, id, 200);
        let difference = largest_difference(&whole.narrow(0, ids.len() - 1, 1).unwrap(), &last);
        assert!(difference < 1e-3, "{family}: {difference}");
    }
}

/// LongRoPE's other divisors hold for the cached keys as well.
#[test]
fn a_sequence_that_outgrows_its_frequencies_is_computed_again() {
    let divisors = |by: f64| json!((0..4).map(|i| 1.0 + by * f64::from(i)).collect::<Vec<_>>());
    let long = json!({"type": "longrope", "short_factor": divisors(0.2), "long_factor": divisors(2.0)});
    let decoder = decoder("phi3", json!({"original_max_position_embeddings": 10, "rope_scaling": long}));
    let ids: Vec<u32> = (0..12).collect();
    let mut cache = decoder.cache();
    let id = cache.join(&ids[..8]);
    let mut last = computed(&decoder, &mut cache, id, 5);
    let mut waited = Vec::new();
    for token in &ids[8..] {
        cache.append(id, *token).unwrap();
        waited.push(cache.waiting(id));
        last = computed(&decoder, &mut cache, id, 5);
    }
    assert_eq!(waited, [1, 1, 11, 1]);
    let whole = decoder.hidden(&Tape::off(), &Batch::of(&ids), Pass::default()).unwrap().tensor;
    assert!(largest_difference(&whole.narrow(0, 11, 1).unwrap(), &last) < 1e-3);
}

/// Pages and slots go back with a sequence, also with one that leaves in the middle of its prompt, and are lent again.
#[test]
fn what_a_sequence_leaves_behind_is_the_next_ones() {
    let decoder = decoder("llama", json!({}));
    let mut cache = decoder.cache();
    let [long, short] = [[1; 200].as_slice(), &[2; 3]].map(|ids| cache.join(ids));
    decoder.extend(&mut cache, &[(long, 130), (short, 3)]).unwrap();
    assert_eq!(cache.pages(), (4, 4));
    cache.leave(long);
    cache.leave(long);
    assert_eq!((cache.pages(), cache.waiting(long)), ((1, 4), 0));
    let next = cache.join(&[3; 64]);
    decoder.extend(&mut cache, &[(next, 64)]).unwrap();
    assert_eq!(cache.pages(), (2, 4));
    for (parts, why) in
        [([(long, 1)].as_slice(), "has left"), (&[(next, 1)], "0 wait"), (&[(short, 0)], "0 tokens")]
    {
        let error = decoder.extend(&mut cache, parts).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    cache.append(next, 1).unwrap();
    cache.append(next, 1).unwrap();
    let error = decoder.extend(&mut cache, &[(next, 1), (next, 1)]).unwrap_err().to_string();
    assert!(error.contains("twice"), "{error}");
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    difference.to_vec1::<f32>().unwrap().into_iter().fold(0.0, f32::max)
}

/// What the guard says of a family's gradients when `between` stands after its first block.
fn guarded(decoder: &Decoder, between: impl Fn(Var) -> Var) -> Result<()> {
    let mut batch = Batch::default();
    batch.push(&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]);
    let tape = Tape::new();
    let rotations = decoder.rotations(&batch.positions, &Lengths::of(&batch, true));
    let context = Context { rotations, spans: batch.spans.clone(), ..Context::default() };
    let mut hidden = decoder.embed(&tape, &batch.ids, &batch.positions, None)?;
    for (index, block) in decoder.blocks.iter().enumerate() {
        hidden = block.forward(&tape, hidden, &context)?;
        if index == 0 {
            hidden = between(hidden);
        }
    }
    let mut grads = ParamGradients::default();
    let output = decoder.head.loss_and_gradient(
        &hidden.tensor,
        &batch.labels,
        RowWeights::Same(1.0),
        &mut grads,
        &Mode::default(),
    )?;
    tape.backward(&hidden, output.d_hidden.unwrap(), &mut grads, None)?;
    GradientGuard::default().check(&decoder.trainable(), &grads)
}

/// An operation that loses the gradient, as candle's fused ones do, between the blocks of a family.
#[test]
fn a_family_through_an_operation_without_a_backward_pass_is_caught() {
    for family in ["llama", "qwen3", "gemma2", "phi", "gpt2"] {
        let decoder = decoder(family, json!({}));
        guarded(&decoder, |x| x).unwrap();
        let error = guarded(&decoder, |x| Var::constant(x.tensor)).unwrap_err();
        assert!(error.to_string().contains(".0."), "{family}: {error}");
    }
}

/// What does not train below it is not gone through backwards, and its gradients are those that all training gives.
#[test]
fn nothing_is_recorded_below_what_trains() {
    let decoder = decoder("llama", json!({}));
    let mut batch = Batch::default();
    batch.push(&[1, 5, 9, 2, 7], &[1, 5, 9, 2, 7]);
    let found = |active: Active| {
        let mut grads = ParamGradients::of(active.clone());
        let pass = Pass { training: true, active, ..Pass::default() };
        decoder.accumulate(&batch, &pass, Objective::Sum(0.1), &mut grads).unwrap();
        grads
    };
    let all = found(None);
    for block in &decoder.blocks {
        let ids: BTreeSet<_> = block.params().map(|param| param.id).collect();
        let some = found(Some(Arc::new(ids.clone())));
        assert_eq!(some.iter().map(|(id, _)| id).collect::<BTreeSet<_>>(), ids);
        for (id, gradient) in some.iter() {
            let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(gradient), values(all.get(id).unwrap()));
        }
    }
    let is_recorded = |active: Active| {
        let pass = Pass { training: true, active, ..Pass::default() };
        decoder.hidden(&Tape::new(), &batch, pass).unwrap().needs_grad()
    };
    let of_head = decoder.head.params().map(|param| param.id).collect();
    assert!(is_recorded(None) && !is_recorded(Some(Arc::new(of_head))));
}
