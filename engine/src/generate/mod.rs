//! Generation: tokens one after the other, with cached keys and values.

mod sampling;

pub use sampling::{Sampler, Sampling};

use std::ops::ControlFlow;

use crate::Result;
use crate::model::{Cache, Decoder};

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its answer.
    Stop,
    /// The limit of new tokens, or the model's context, was reached.
    Length,
    /// The caller broke it off.
    Cancelled,
}

impl Finish {
    /// The name in OpenAI's API.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
        }
    }
}

/// Prompt rows that are computed at once: bounds the memory of a long prompt.
const PREFILL: usize = 512;

/// Continues `prompt`, handing each new token to `take` until a stop id is drawn. `context` is the largest number of
/// positions.
pub fn generate(
    decoder: &Decoder,
    prompt: &[u32],
    (sampling, context): (&Sampling, usize),
    stop_ids: &[u32],
    take: &mut dyn FnMut(u32) -> Result<ControlFlow<()>>,
) -> Result<Finish> {
    let mut cache = Cache::default();
    let mut sampler = Sampler::new(sampling, prompt);
    let mut hidden = None;
    for part in prompt.chunks(PREFILL) {
        hidden = Some((decoder.extend(&mut cache, part)?, part.len()));
    }
    for _ in 0..sampling.max_new_tokens {
        let Some((rows, count)) = hidden.take() else { return Ok(Finish::Stop) };
        if cache.len >= context {
            return Ok(Finish::Length);
        }
        let logits = decoder.head.next(&rows, count as u32 - 1)?;
        let token = sampler.draw(logits);
        if stop_ids.contains(&token) {
            return Ok(Finish::Stop);
        }
        if take(token)?.is_break() {
            return Ok(Finish::Cancelled);
        }
        hidden = Some((decoder.extend(&mut cache, &[token])?, 1));
    }
    Ok(Finish::Length)
}
