//! Generation: tokens one after the other, with cached keys and values.

mod sampling;

pub use recipe::Sampling;
pub use sampling::Sampler;

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
    if prompt.is_empty() {
        return Ok(Finish::Stop);
    }
    let mut hidden = decoder.extend(&mut cache, prompt)?;
    for _ in 0..sampling.max_new_tokens {
        if cache.ids.len() >= context {
            return Ok(Finish::Length);
        }
        let logits = decoder.head.next(&hidden, 0)?;
        let token = sampler.draw(logits);
        if stop_ids.contains(&token) {
            return Ok(Finish::Stop);
        }
        if take(token)?.is_break() {
            return Ok(Finish::Cancelled);
        }
        hidden = decoder.extend(&mut cache, &[token])?;
    }
    Ok(Finish::Length)
}
