//! Several generations at once: whose tokens are computed when.

use crate::kernel::attention::PAGE;
use crate::model::{Cache, Decoder, SequenceId};
use crate::{Error, Result, device};

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
    /// Pages that the cache may have.
    pages: usize,
    /// In the order in which they came.
    running: Vec<Running>,
}

struct Running {
    id: SequenceId,
    sampler: Sampler,
    stop_ids: Vec<u32>,
    /// Tokens that may still be drawn.
    left: usize,
    /// Pages that it has at the longest that it may become.
    pages: usize,
}

/// What a step brought of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its next token.
    Token(u32),
    /// It has left.
    Finished(Finish),
}

impl<'a> Generation<'a> {
    /// With a cache that may take all memory that the device has left.
    pub fn new(decoder: &'a Decoder) -> Generation<'a> {
        Generation::within(decoder, device::available_memory(decoder.device()))
    }

    /// With a cache whose keys and values take so many bytes at most.
    pub fn within(decoder: &'a Decoder, bytes: usize) -> Generation<'a> {
        let cache = decoder.cache();
        let pages = bytes / cache.page_bytes().max(1);
        Generation { decoder, cache, pages, running: Vec::new() }
    }

    /// Takes in a sequence, whose first token comes when its prompt is computed: after those before it have left so much
    /// of the cache that it fits at the longest that it may become.
    ///
    /// # Errors
    /// The prompt is empty, or leaves no room in the model's context; or it and all tokens that may follow do not fit
    /// into the cache, even alone.
    pub fn add(&mut self, prompt: &[u32], sampling: &Sampling, stop_ids: &[u32]) -> Result<SequenceId> {
        let context = self.context();
        if prompt.len() >= context {
            return Err(Error::Context { tokens: prompt.len(), context });
        }
        if prompt.is_empty() {
            return Err(Error::Generation("there is nothing to continue: the prompt is empty".to_owned()));
        }
        let left = sampling.max_new_tokens.min(context - prompt.len());
        // Nothing follows the last token: it is not computed.
        let pages = (prompt.len() + left.saturating_sub(1)).div_ceil(PAGE);
        if pages > self.pages {
            let [needed, there] = [pages, self.pages].map(|pages| pages * self.cache.page_bytes());
            return Err(Error::Memory {
                prompt: prompt.len(),
                answer: left,
                needed,
                there,
                room: self.pages * PAGE,
            });
        }
        let id = self.cache.join(prompt);
        let sampler = Sampler::new(sampling, prompt);
        self.running.push(Running { id, sampler, stop_ids: stop_ids.to_vec(), left, pages });
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

    /// What is kept of the sequences.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How many of the sequences are continued; those after them wait.
    ///
    /// They are the first ones that fit together at the longest that each may become, so that none of them ever has to
    /// give up pages that it has. Nobody overtakes: a short sequence behind a long one waits as long as that does. Who is
    /// among them stays, for only those before it can go.
    fn admitted(&self) -> usize {
        let sums = self.running.iter().scan(0, |sum, running| {
            *sum += running.pages;
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= self.pages).count()
    }

    /// Computes the next tokens, and says what came of it: nothing, while prompts are being computed.
    ///
    /// # Errors
    /// The device fails. The sequences cannot go on then.
    pub fn step(&mut self) -> Result<Vec<(SequenceId, Event)>> {
        let waiting = |running: &Running| (running.id, self.cache.waiting(running.id));
        let (newest, prompts): (Vec<_>, Vec<_>) =
            self.running[..self.admitted()].iter().map(waiting).partition(|(_, count)| *count <= 1);
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
