//! What a tokenizer runs on: the parts that `tokenizer.json` names, or a sentencepiece model.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use tokenizers::{AddedToken, Decoder, Encoding, Model, PostProcessorWrapper};

use super::sentencepiece::SentencePiece;

type Outcome<T> = tokenizers::Result<T>;

/// One of the two, behind the same functions.
#[derive(Clone)]
pub(super) enum Pipeline {
    Parts(Box<tokenizers::Tokenizer>),
    SentencePiece(Box<SentencePiece>),
}

/// The same call on either.
macro_rules! either {
    ($pipeline:expr, $inner:ident => $call:expr) => {
        match $pipeline {
            Pipeline::Parts($inner) => $call,
            Pipeline::SentencePiece(model) => {
                let $inner = &model.pipeline;
                $call
            }
        }
    };
}

impl Pipeline {
    /// Ids of a text; with `add_special_tokens` with what a `tokenizer.json` puts around it.
    pub(super) fn encode(&self, text: &str, add_special_tokens: bool) -> Outcome<Vec<u32>> {
        let encode = || either!(self, inner => inner.encode_fast(text, add_special_tokens));
        // The library breaks off with a panic where a pattern needs more steps than Oniguruma takes, where one that
        // matches nothing is replaced, and where a map of characters leads nowhere.
        let encoding = std::panic::catch_unwind(AssertUnwindSafe(encode));
        let encoding =
            encoding.map_err(|_| "a pattern or a map of characters of the tokenizer breaks what runs it")?;
        Ok(encoding?.get_ids().to_vec())
    }

    /// Ids of a text with nothing put around it, and the characters that each stands for.
    pub(super) fn encode_whole(&self, text: &str) -> Outcome<Encoding> {
        either!(self, inner => inner.encode_char_offsets(text, false))
    }

    /// Text of ids. An added token is written as it was added, whatever a normalizer makes of it: so do the versions of
    /// the library that transformers uses (0.22), unlike later ones.
    pub(super) fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Outcome<String> {
        either!(self, inner => {
            let added = inner.get_added_vocabulary();
            let shown = |token: &String| !skip_special_tokens || !added.is_special_token(token);
            let tokens: Vec<String> = ids.iter().filter_map(|id| self.id_to_token(*id)).filter(shown).collect();
            match inner.get_decoder() {
                // A broken pattern of a decoder breaks the library, too.
                Some(decoder) => std::panic::catch_unwind(AssertUnwindSafe(|| decoder.decode(tokens)))
                    .map_err(|_| "a pattern of the tokenizer's decoder breaks what runs it")?,
                None => Ok(tokens.join(" ")),
            }
        })
    }

    pub(super) fn token_to_id(&self, token: &str) -> Option<u32> {
        either!(self, inner => inner.token_to_id(token))
    }

    pub(super) fn id_to_token(&self, id: u32) -> Option<String> {
        either!(self, inner => match inner.get_added_vocabulary().get_added_tokens_decoder().get(&id) {
            Some(token) => Some(token.content.clone()),
            None => inner.get_model().id_to_token(id),
        })
    }

    /// Number of ids, added tokens included.
    pub(super) fn vocab_size(&self) -> usize {
        either!(self, inner => inner.get_vocab_size(true))
    }

    /// Every added token, by id.
    pub(super) fn added_tokens(&self) -> BTreeMap<u32, AddedToken> {
        either!(self, inner => inner.get_added_tokens_decoder()).into_iter().collect()
    }

    pub(super) fn with_post_processor(&mut self, processor: Option<PostProcessorWrapper>) {
        match self {
            Pipeline::Parts(inner) => _ = inner.with_post_processor(processor),
            Pipeline::SentencePiece(model) => _ = model.pipeline.with_post_processor(processor),
        }
    }

    /// Adds tokens, each special or not as it says; those that the vocabulary has keep their ids.
    pub(super) fn add_tokens(&mut self, tokens: impl IntoIterator<Item = AddedToken>) -> Outcome<usize> {
        match self {
            Pipeline::Parts(inner) => inner.add_tokens(tokens),
            Pipeline::SentencePiece(model) => model.pipeline.add_tokens(tokens),
        }
    }
}
