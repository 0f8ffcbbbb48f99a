//! Text of a growing sequence of ids, never cut inside a character.

use super::Tokenizer;
use crate::error::Result;

/// Gives the new text after each id. A byte-level token may hold only part of a character; such bytes are held back
/// until the character is whole.
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    skip_special: bool,
    /// The ids since `start` of the window; earlier text cannot change any more.
    ids: Vec<u32>,
    /// How many of `ids` have been given out.
    given: usize,
}

/// After so many ids in the window its given part is cut off (a tokenizer's decoder looks at neighbours only).
const WINDOW: usize = 24;

impl<'a> StreamDecoder<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, skip_special: bool) -> Self {
        Self { tokenizer, skip_special, ids: Vec::new(), given: 0 }
    }

    /// The text that `id` completes; empty if a character is still unfinished.
    ///
    /// # Errors
    /// If the tokenizer cannot decode.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.pending()?;
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        self.advance();
        Ok(text)
    }

    /// What is still held back: at the end of an answer cut inside a character, its replacement character.
    ///
    /// # Errors
    /// If the tokenizer cannot decode.
    pub fn finish(mut self) -> Result<String> {
        let text = self.pending()?;
        self.advance();
        Ok(text)
    }

    /// Text of the whole window less the text of its given part: a token's text can depend on the one before it
    /// (a leading blank that only the first token of a text loses).
    fn pending(&self) -> Result<String> {
        let whole = self.tokenizer.decode(&self.ids, self.skip_special)?;
        let given = self.tokenizer.decode(&self.ids[..self.given], self.skip_special)?;
        Ok(whole.strip_prefix(given.as_str()).unwrap_or_default().to_owned())
    }

    fn advance(&mut self) {
        if self.ids.len() > WINDOW && self.is_anchored() {
            self.ids.drain(..self.given);
        }
        self.given = self.ids.len();
    }

    /// Whether what has just been given is text by itself: a blank at the start of a text may not be, and then what
    /// follows would lose its own.
    fn is_anchored(&self) -> bool {
        let newest = self.tokenizer.decode(&self.ids[self.given..], self.skip_special);
        newest.is_ok_and(|text| !text.is_empty())
    }
}
