//! Greedy continuations against transformers: each sequence goes on among others as it does alone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use engine::families::DecoderSpec;
use engine::generate::{Event, Finish, Generation, Sampling, generate};
use engine::model::{Decoder, SequenceId};

use super::{Check, Golden, say};

/// Continues the first row, alone and then among others that join and leave while it is continued: every sequence goes
/// on as it does alone.
pub fn greedy(decoder: &Decoder, golden: &Golden) -> Check {
    let want = golden.get("generate_ids")?.to_vec1::<i64>().map_err(say)?;
    let prompt: Vec<u32> = golden.rows("input_ids")?[0].iter().map(|id| *id as u32).collect();
    let room = decoder.spec.max_positions.saturating_sub(want.len()).clamp(1, 300);
    // The reference goes on where a model's context ends.
    let spec = DecoderSpec { max_positions: 1 << 20, ..decoder.spec.clone() };
    let decoder = &Decoder { spec, ..decoder.clone() };
    let got = alone(decoder, &prompt, want.len())?;
    if got.iter().map(|id| i64::from(*id)).ne(want.iter().copied()) {
        return Err(format!("greedy ids are {got:?}, expected {want:?}"));
    }
    // Other prompts: a shorter one, and one that takes several pages and parts where the model has room for that.
    let short = &prompt[..prompt.len() / 2 + 1];
    let long: Vec<u32> = prompt.iter().rev().cycle().take(room).copied().collect();
    let mut generation = Generation::new(decoder);
    let mut drawn: BTreeMap<SequenceId, Vec<u32>> = BTreeMap::new();
    let join = |generation: &mut Generation, prompt: &[u32]| {
        generation.add(prompt, &likeliest(want.len()), &[]).map_err(say)
    };
    let first = join(&mut generation, &prompt)?;
    let mut others = Vec::new();
    for step in 0.. {
        match step {
            1 => others.push((join(&mut generation, short)?, short)),
            2 => others.push((join(&mut generation, &long)?, &long)),
            // One that leaves in the middle; what it had is lent to the next.
            3 => {
                let id = join(&mut generation, short)?;
                generation.cancel(id);
            }
            4 => others.push((join(&mut generation, &prompt)?, &prompt)),
            _ if generation.is_idle() => break,
            _ => {}
        }
        for (id, event) in generation.step().map_err(say)? {
            if let Event::Token(token) = event {
                drawn.entry(id).or_default().push(token);
            }
        }
    }
    for (id, prompt) in [(first, &prompt[..])].into_iter().chain(others) {
        let (got, want) = (drawn.remove(&id).unwrap_or_default(), alone(decoder, prompt, want.len())?);
        if got != want {
            return Err(format!("among others, a sequence goes on with {got:?}, alone with {want:?}"));
        }
    }
    Ok(())
}

fn likeliest(max_new_tokens: usize) -> Sampling {
    Sampling { do_sample: false, max_new_tokens, ..Sampling::default() }
}

fn alone(decoder: &Decoder, prompt: &[u32], count: usize) -> Check<Vec<u32>> {
    let mut got = Vec::new();
    let mut take = |token| {
        got.push(token);
        Ok(ControlFlow::Continue(()))
    };
    match generate(decoder, prompt, &likeliest(count), &[], &mut take).map_err(say)? {
        Finish::Length => Ok(got),
        other => Err(format!("a generation without stop ids ended by {other:?}")),
    }
}
