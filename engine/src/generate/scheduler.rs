//! Several generations at once: whose tokens are computed when.

use crate::model::{Cache, Decoder, SequenceId};
use crate::{Error, Result};

use super::{Finish, Sampler, Sampling};

/// Tokens of a prompt that are computed at once. Bounds the memory of a long prompt, and how long it keeps the others
/// waiting; with fewer, weights are read and packed more often. A constant, so that a prompt is computed alike whoever
/// else is there.
const ROWS: usize = 256;

/// Sequences that are continued together, each by its own rules: what one of them draws does not depend on the others.
///
/// Every step is a pass over the newest token of all whose prompts are computed, and one over the next part of the
/// oldest prompt that is not. They are passes of their own: products of a few rows are computed row by row, whoever
/// else is in them, and those of many are not.
pub struct Generation<'a> {
    decoder: &'a Decoder,
    cache: Cache,
    /// In the order in which they came.
    running: Vec<Running>,
}

struct Running {
    id: SequenceId,
    sampler: Sampler,
    stop_ids: Vec<u32>,
    /// Tokens that may still be drawn.
    left: usize,
}

/// What a step brought of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Token(u32),
    /// It has left.
    Finished(Finish),
}

impl<'a> Generation<'a> {
    pub fn new(decoder: &'a Decoder) -> Generation<'a> {
        Generation { decoder, cache: decoder.cache(), running: Vec::new() }
    }

    /// Takes in a sequence, whose first token comes when its prompt is computed.
    ///
    /// # Errors
    /// The prompt is empty, or leaves no room in the model's context.
    pub fn add(&mut self, prompt: &[u32], sampling: &Sampling, stop_ids: &[u32]) -> Result<SequenceId> {
        let context = self.context();
        if prompt.len() >= context {
            return Err(Error::Context { tokens: prompt.len(), context });
        }
        if prompt.is_empty() {
            return Err(Error::Generation("there is nothing to continue: the prompt is empty".to_owned()));
        }
        let id = self.cache.join(prompt);
        let sampler = Sampler::new(sampling, prompt);
        let left = sampling.max_new_tokens.min(context - prompt.len());
        self.running.push(Running { id, sampler, stop_ids: stop_ids.to_vec(), left });
        Ok(id)
    }

    /// Lets a sequence go; one that has left already is let be.
    pub fn cancel(&mut self, id: SequenceId) {
        self.cache.leave(id);
        self.running.retain(|running| running.id != id);
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Tokens of a prompt and what follows it, at most.
    pub fn context(&self) -> usize {
        self.decoder.spec.max_positions
    }

    /// Computes the next tokens, and says what came of it: nothing, while prompts are being computed.
    ///
    /// # Errors
    /// The device fails. The sequences cannot go on then.
    pub fn step(&mut self) -> Result<Vec<(SequenceId, Event)>> {
        let waiting = |running: &Running| (running.id, self.cache.waiting(running.id));
        let (newest, prompts): (Vec<_>, Vec<_>) =
            self.running.iter().map(waiting).partition(|(_, count)| *count <= 1);
        let part = prompts.first().map(|(id, count)| (*id, ROWS.min(*count)));
        let mut events = Vec::new();
        for parts in [&newest[..], part.as_slice()] {
            if !parts.is_empty() {
                self.pass(parts, &mut events)?;
            }
        }
        Ok(events)
    }

    /// Computes tokens of these sequences, and draws the next one of each of which no more wait.
    fn pass(&mut self, parts: &[(SequenceId, usize)], events: &mut Vec<(SequenceId, Event)>) -> Result<()> {
        let hidden = self.decoder.extend(&mut self.cache, parts)?;
        let ready = (0..).zip(parts).filter(|(_, (id, _))| self.cache.waiting(*id) == 0);
        let (rows, ids): (Vec<u32>, Vec<SequenceId>) = ready.map(|(row, (id, _))| (row, *id)).unzip();
        let head = &self.decoder.head;
        let logits = if rows.is_empty() { Vec::new() } else { self.decoder.logits(&hidden, &rows)? };
        for (id, logits) in ids.into_iter().zip(logits.chunks_exact(head.vocab())) {
            self.draw(id, &logits[..head.tokens], events)?;
        }
        Ok(())
    }

    /// The next token of a sequence; where none may follow, it leaves.
    fn draw(&mut self, id: SequenceId, logits: &[f32], events: &mut Vec<(SequenceId, Event)>) -> Result<()> {
        let Some(running) = self.running.iter_mut().find(|running| running.id == id) else { return Ok(()) };
        let token = (running.left > 0).then(|| running.sampler.draw(logits.to_vec()));
        let finish = match token {
            Some(token) if running.stop_ids.contains(&token) => Finish::Stop,
            None => Finish::Length,
            Some(token) => {
                events.push((id, Event::Token(token)));
                running.left -= 1;
                if running.left > 0 {
                    return self.cache.append(id, token);
                }
                Finish::Length
            }
        };
        events.push((id, Event::Finished(finish)));
        self.cancel(id);
        Ok(())
    }
}
