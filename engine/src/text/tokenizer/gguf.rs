//! A tokenizer from the metadata of a GGUF file.
//!
//! GGUF stores vocabulary, merges, scores and the names of the model and of the pre-tokenizer (`tokenizer.ggml.*`).
//! They are put together as the `tokenizer.json` that Hugging Face ships for the same kind of model.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::byte_level::{LLAMA3_SPLIT, QWEN_SPLIT, bos_first, byte_level, split};
use super::pipeline::Pipeline;
use super::{SpecialTokens, Tokenizer};
use crate::text::error::{Error, Result};

/// `tokenizer.ggml.*` of a GGUF file.
#[derive(Clone, Debug, Default)]
pub struct GgufTokenizer<'a> {
    /// Where the metadata came from, for messages.
    pub origin: &'a str,
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (sentencepiece BPE).
    pub model: &'a str,
    /// `tokenizer.ggml.pre`, used with `gpt2`.
    pub pre: Option<&'a str>,
    pub tokens: Vec<String>,
    /// Log probabilities of the tokens, with `llama`.
    pub scores: Vec<f32>,
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_types: Vec<i32>,
    /// Pairs joined by a blank, best first.
    pub merges: Vec<String>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub unk: Option<u32>,
    pub pad: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<&'a str>,
}

const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

impl Tokenizer {
    /// Builds the tokenizer that GGUF metadata describe.
    ///
    /// # Errors
    /// If the kind of model or pre-tokenizer is not known, or the parts do not fit each other.
    pub fn from_gguf(source: &GgufTokenizer<'_>) -> Result<Self> {
        source.check()?;
        let (model, normalizer, pre_tokenizer, decoder) = match source.model {
            "gpt2" => source.byte_level()?,
            "llama" => source.sentencepiece()?,
            other => {
                return Err(source.error(format!(
                    "tokenizer.ggml.model is \"{other}\"; \"gpt2\" and \"llama\" can be used"
                )));
            }
        };
        let add_bos = source.add_bos.unwrap_or(source.model == "llama");
        let description = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": source.added_tokens(),
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": source.post_processor(add_bos), "decoder": decoder,
            "model": model,
        });
        let inner: tokenizers::Tokenizer =
            serde_json::from_value(description).map_err(|e| source.error(format!("cannot be built: {e}")))?;
        let token = |id: Option<u32>| id.and_then(|id| source.tokens.get(id as usize).cloned());
        let special = SpecialTokens {
            bos: token(source.bos),
            eos: token(source.eos),
            pad: token(source.pad),
            unk: token(source.unk),
        };
        let mut config = Map::new();
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        config.insert("add_bos_token".into(), json!(add_bos));
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        Ok(Self {
            inner: Pipeline::Parts(Box::new(inner)),
            words: Default::default(),
            special,
            chat_template: source.chat_template.map(str::to_owned),
            add_bos,
            origin: source.origin.to_owned(),
            config,
        })
    }
}

/// Model, normaliser, pre-tokenizer, decoder.
type Parts = (Value, Value, Value, Value);

impl GgufTokenizer<'_> {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::tokenizer(self.origin, message)
    }

    fn check(&self) -> Result<()> {
        let count = self.tokens.len();
        if count == 0 {
            return Err(self.error("tokenizer.ggml.tokens is missing or empty"));
        }
        for (key, length) in [("scores", self.scores.len()), ("token_type", self.token_types.len())] {
            if length != 0 && length != count {
                return Err(
                    self.error(format!("tokenizer.ggml.{key} has {length} entries for {count} tokens"))
                );
            }
        }
        for (key, id) in [("bos", self.bos), ("eos", self.eos), ("unknown", self.unk), ("padding", self.pad)]
        {
            if let Some(id) = id.filter(|id| *id as usize >= count) {
                return Err(self.error(format!(
                    "tokenizer.ggml.{key}_token_id is {id}, but there are only {count} tokens"
                )));
            }
        }
        Ok(())
    }

    fn vocabulary(&self) -> Value {
        Value::Object(self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect())
    }

    fn kind(&self, id: usize) -> i32 {
        self.token_types.get(id).copied().unwrap_or(1)
    }

    /// Control tokens and the unknown token are special; user-defined ones are matched whole, but are text.
    fn added_tokens(&self) -> Vec<Value> {
        let added = self
            .tokens
            .iter()
            .enumerate()
            .filter(|(id, _)| matches!(self.kind(*id), UNKNOWN | CONTROL | USER_DEFINED));
        added
            .map(|(id, token)| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": self.kind(id) != USER_DEFINED,
                })
            })
            .collect()
    }

    /// Puts BOS before a text that asks for special tokens.
    fn post_processor(&self, add_bos: bool) -> Value {
        let Some((id, token)) =
            self.bos.filter(|_| add_bos).and_then(|id| Some((id, self.tokens.get(id as usize)?)))
        else {
            return Value::Null;
        };
        bos_first(token, id)
    }

    fn byte_level(&self) -> Result<Parts> {
        if self.merges.is_empty() {
            return Err(self.error("tokenizer.ggml.merges is missing or empty, which a \"gpt2\" model needs"));
        }
        let digits = json!({"type": "Digits", "individual_digits": true});
        let (pre_tokenizer, normalizer, ignore_merges) = match self.pre.unwrap_or("gpt-2") {
            "gpt-2" | "gpt2" | "default" | "olmo" | "phi-2" | "mpt" | "jais" | "codeshell" => {
                (byte_level(true), Value::Null, false)
            }
            "smollm" | "refact" | "command-r" | "starcoder" => {
                (json!({"type": "Sequence", "pretokenizers": [digits, byte_level(true)]}), Value::Null, false)
            }
            "llama-bpe" | "llama3" | "llama-v3" | "dbrx" => (split(LLAMA3_SPLIT), Value::Null, true),
            "qwen2" | "deepseek-r1-qwen" => (split(QWEN_SPLIT), json!({"type": "NFC"}), false),
            other => {
                return Err(self.error(format!(
                    "tokenizer.ggml.pre is \"{other}\"; gpt-2, smollm, llama-bpe, qwen2 and their equals can be used"
                )));
            }
        };
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": ignore_merges,
            "vocab": self.vocabulary(), "merges": self.pairs()?,
        });
        Ok((model, normalizer, pre_tokenizer, byte_level(true)))
    }

    fn pairs(&self) -> Result<Vec<(&str, &str)>> {
        let split = |(row, merge)| {
            str::split_once(merge, ' ').ok_or_else(|| {
                self.error(format!("tokenizer.ggml.merges, entry {row}: \"{merge}\" is not a pair"))
            })
        };
        self.merges.iter().map(String::as_str).enumerate().map(split).collect()
    }

    /// Sentencepiece BPE joins the pair whose result has the best score; blanks are written as `▁`, and what the
    /// vocabulary lacks is spelt in bytes.
    fn sentencepiece(&self) -> Result<Parts> {
        let merges = if self.merges.is_empty() { self.merges_by_score() } else { self.pairs()? };
        let unk = self.unk.and_then(|id| self.tokens.get(id as usize));
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": unk, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": self.vocabulary(), "merges": merges,
        });
        let blank = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let mut normalizers = vec![blank];
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if self.add_space_prefix.unwrap_or(true) {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let normalizer = json!({"type": "Sequence", "normalizers": normalizers});
        Ok((model, normalizer, Value::Null, json!({"type": "Sequence", "decoders": decoders})))
    }

    /// Every way to join two tokens into a third, best score of the third first.
    fn merges_by_score(&self) -> Vec<(&str, &str)> {
        let ids: HashMap<&str, usize> =
            self.tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
        let mut merges = Vec::new();
        for (id, token) in self.tokens.iter().enumerate() {
            let score = self.scores.get(id).copied().unwrap_or_default();
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if let (Some(&left_id), Some(&right_id)) = (ids.get(left), ids.get(right)) {
                    merges.push((score, id, left_id, right_id, (left, right)));
                }
            }
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
        merges.into_iter().map(|merge| merge.4).collect()
    }
}
