//! Generation: tokens one after the other, with what was computed of the past kept in a cache; of one sequence, or of
//! several that join and leave at any step.

mod sampling;
mod scheduler;
#[cfg(test)]
mod tests;

pub use recipe::Sampling;
pub use sampling::Sampler;
pub use scheduler::{Event, Generation};

use std::ops::ControlFlow;

use crate::Result;
use crate::model::Decoder;

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

/// Continues `prompt`, handing each new token to `take` until a stop id is drawn.
///
/// # Errors
/// As of [`Generation::add`] and [`Generation::step`]; or `take` fails.
pub fn generate(
    decoder: &Decoder,
    prompt: &[u32],
    sampling: &Sampling,
    stop_ids: &[u32],
    take: &mut dyn FnMut(u32) -> Result<ControlFlow<()>>,
) -> Result<Finish> {
    let mut generation = Generation::new(decoder);
    generation.add(prompt, sampling, stop_ids)?;
    loop {
        for (_, event) in generation.step()? {
            match event {
                Event::Token(token) if take(token)?.is_break() => return Ok(Finish::Cancelled),
                Event::Token(_) => {}
                Event::Finished(finish) => return Ok(finish),
            }
        }
    }
}
