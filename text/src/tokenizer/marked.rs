//! Which tokens stand for marked parts of a text.

use std::ops::Range;

use super::Tokenizer;
use crate::error::Result;

impl Tokenizer {
    /// Ids of `text` as it stands, and whether each belongs to one of `ranges` of its characters. As transformers
    /// finds the tokens of an assistant's text: from the one that has the first character to the one that has the last,
    /// or to the end if there is none.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_marked(&self, text: &str, ranges: &[Range<usize>]) -> Result<(Vec<u32>, Vec<bool>)> {
        let encoding = self.inner.encode_whole(text);
        let encoding = encoding.map_err(|e| self.error(format!("cannot encode text: {e}")))?;
        let ids = encoding.get_ids().to_vec();
        let mut marks = vec![false; ids.len()];
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let Some(first) = encoding.char_to_token(range.start, 0) else { break };
            let last = encoding.char_to_token(range.end - 1, 0).filter(|last| *last > 0);
            let end = last.map_or(ids.len(), |last| last + 1);
            if first < end {
                marks[first..end].fill(true);
            }
        }
        Ok((ids, marks))
    }

    /// The tokens that have a name, as chat templates know them: `bos_token`, `pad_token`, and whatever else the
    /// configuration names so.
    pub fn named_tokens(&self) -> Vec<(String, String)> {
        let own = self.special.named();
        let mut named: Vec<(String, String)> =
            own.map(|(name, token)| (name.to_owned(), token.to_owned())).collect();
        // The configuration's other tokens, and transformers 5's `extra_special_tokens` if they have names.
        let extra = self.config.get("extra_special_tokens").and_then(|extra| extra.as_object());
        let entries = self.config.iter().filter(|(name, _)| name.ends_with("_token"));
        for (name, value) in entries.chain(extra.into_iter().flatten()) {
            let token = value.as_str().or_else(|| value.get("content")?.as_str());
            if let Some(token) = token.filter(|_| named.iter().all(|(known, _)| known != name)) {
                named.push((name.clone(), token.to_owned()));
            }
        }
        named
    }
}
