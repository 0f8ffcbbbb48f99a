//! From text to token ids and back.
//!
//! A [`Tokenizer`] is read from a model folder (see [`files`]): from `tokenizer.json`, a sentencepiece model
//! ([`sentencepiece`]), a tiktoken file ([`tiktoken`]) or a vocabulary with merges ([`vocabulary`]), with the tokens
//! that its configuration names ([`named`]). Or it is built from the metadata of a GGUF file ([`gguf`]). All end in a
//! pipeline of the `tokenizers` crate ([`pipeline`]).

mod byte_level;
mod classes;
mod files;
mod gguf;
mod marked;
mod named;
mod pipeline;
mod save;
mod sentencepiece;
mod sound;
mod stream;
#[cfg(test)]
mod tests;
mod tiktoken;
mod vocabulary;
mod words;

pub use gguf::GgufTokenizer;
pub use stream::StreamDecoder;

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::error::{Error, Result};
use pipeline::Pipeline;
use words::Words;

/// The tokens with a role of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begins a text.
    pub bos: Option<String>,
    /// Ends a text or an answer.
    pub eos: Option<String>,
    /// Fills up a batch.
    pub pad: Option<String>,
    /// Stands for what the vocabulary cannot write.
    pub unk: Option<String>,
}

impl SpecialTokens {
    /// Those that there are, each with the key of its role in the files.
    fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let roles = [
            ("bos_token", &self.bos),
            ("eos_token", &self.eos),
            ("pad_token", &self.pad),
            ("unk_token", &self.unk),
        ];
        roles.into_iter().filter_map(|(role, token)| Some((role, token.as_deref()?)))
    }
}

/// A tokenizer with its special tokens and the chat template it came with.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Pipeline,
    special: SpecialTokens,
    chat_template: Option<String>,
    add_bos: bool,
    /// Words that were encoded before, where the pipeline splits into words.
    words: OnceLock<Option<Arc<Words>>>,
    /// Where it came from, for messages.
    origin: String,
    /// The rest of `tokenizer_config.json`, kept for writing it out again.
    config: Map<String, Value>,
}

impl Tokenizer {
    /// Token ids of `text`. Without `add_special_tokens` nothing is put around it; special tokens inside the text are
    /// recognised in both cases.
    ///
    /// # Errors
    /// With the tokenizer's file, if it has no ids for the text.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let ids = match self.words() {
            Some(words) if !add_special_tokens => words.encode(text, |word| self.inner.encode(word, false)),
            _ => self.inner.encode(text, add_special_tokens),
        };
        ids.map_err(|e| self.error(format!("cannot encode text: {e}")))
    }

    fn words(&self) -> Option<&Words> {
        let words = self.words.get_or_init(|| match &self.inner {
            Pipeline::Parts(parts) => Words::of(parts).map(Arc::new),
            Pipeline::SentencePiece(_) => None,
        });
        words.as_deref()
    }

    /// Text of `ids`; with `skip_special_tokens` without the special ones.
    ///
    /// # Errors
    /// With the tokenizer's file, if an id is none of its own.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let text = self.inner.decode(ids, skip_special_tokens);
        text.map_err(|e| self.error(format!("cannot decode ids: {e}")))
    }

    /// A decoder that gives text piece by piece as ids arrive.
    pub fn stream(&self, skip_special_tokens: bool) -> StreamDecoder<'_> {
        StreamDecoder::new(self, skip_special_tokens)
    }

    /// The id of a token that is written as in the vocabulary.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token itself, as the vocabulary writes it.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Number of ids, added tokens included (`len(tokenizer)` in transformers).
    pub fn vocab_size(&self) -> usize {
        self.inner.vocab_size()
    }

    /// The tokens with a role of their own.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special
    }

    /// The id of what begins a text.
    pub fn bos_id(&self) -> Option<u32> {
        self.id_of(&self.special.bos)
    }

    /// The id of what ends a text or an answer.
    pub fn eos_id(&self) -> Option<u32> {
        self.id_of(&self.special.eos)
    }

    /// The id of what fills up a batch.
    pub fn pad_id(&self) -> Option<u32> {
        self.id_of(&self.special.pad)
    }

    /// The id of what stands for unknown text.
    pub fn unk_id(&self) -> Option<u32> {
        self.id_of(&self.special.unk)
    }

    /// Whether plain text (pre-training) starts with the BOS token.
    pub fn adds_bos(&self) -> bool {
        self.add_bos && self.special.bos.is_some()
    }

    /// The model's own Jinja chat template.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// Where the tokenizer was read from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Every added token with its id, by id.
    pub fn added_tokens(&self) -> Vec<(u32, String)> {
        self.inner.added_tokens().into_iter().map(|(id, token)| (id, token.content)).collect()
    }

    /// Makes `tokens` special, adding those the vocabulary lacks. Returns the ones it lacked.
    ///
    /// # Errors
    /// If the tokenizer cannot take them in.
    pub fn add_special_tokens(&mut self, tokens: &[String]) -> Result<Vec<String>> {
        self.add_tokens(tokens, true)
    }

    /// Adds those of `tokens` that the vocabulary lacks, and answers with them. A text is cut at its tokens first; special ones
    /// are left out when ids become text.
    ///
    /// # Errors
    /// If the tokenizer cannot take them in.
    pub fn add_tokens(&mut self, tokens: &[String], special: bool) -> Result<Vec<String>> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let missing = tokens.iter().filter(|token| self.token_to_id(token).is_none()).cloned().collect();
        let named = tokens.iter().filter(|token| !token.is_empty());
        let added = named.map(|token| AddedToken::from(token.as_str(), special));
        // What was one word may now hold a token.
        self.words = OnceLock::new();
        self.inner
            .add_tokens(added.collect::<Vec<_>>())
            .map_err(|e| self.error(format!("cannot take in the tokens {tokens:?}: {e}")))?;
        Ok(missing)
    }

    /// Makes `token` the end-of-text token; true if the vocabulary lacked it.
    ///
    /// # Errors
    /// If the tokenizer cannot take it in.
    pub fn set_eos(&mut self, token: &str) -> Result<bool> {
        let added = self.add_special_tokens(&[token.to_owned()])?;
        self.special.eos = Some(token.to_owned());
        Ok(!added.is_empty())
    }

    /// Has a token of the vocabulary fill up batches.
    pub fn set_pad(&mut self, token: &str) {
        self.special.pad = Some(token.to_owned());
    }

    /// Puts a Jinja chat template in place of the one it came with.
    pub fn set_chat_template(&mut self, template: &str) {
        self.chat_template = Some(template.to_owned());
    }

    /// Everything that decides which ids a text becomes, as bytes.
    pub(crate) fn identity(&self) -> Result<Vec<u8>> {
        let mut bytes = match &self.inner {
            Pipeline::Parts(parts) => {
                let text = parts.to_string(false);
                text.map_err(|e| self.error(format!("cannot be written as JSON: {e}")))?.into_bytes()
            }
            Pipeline::SentencePiece(model) => model.file.to_vec(),
        };
        let around = format!("{:?} {} {:?}", self.special, self.add_bos, self.added_tokens());
        bytes.extend_from_slice(around.as_bytes());
        Ok(bytes)
    }

    fn id_of(&self, token: &Option<String>) -> Option<u32> {
        token.as_deref().and_then(|token| self.token_to_id(token))
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::tokenizer(&self.origin, message)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("origin", &self.origin)
            .field("vocab_size", &self.vocab_size())
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}
