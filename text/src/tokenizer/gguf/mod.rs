//! A tokenizer from the metadata of a GGUF file.
//!
//! GGUF stores vocabulary, merges, scores and the names of the model and of the pre-tokenizer (`tokenizer.ggml.*`).
//! They are put together as the `tokenizer.json` that Hugging Face ships for the same kind of model.

mod ends;
mod pre;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::byte_level::{bos_first, byte_level, isolated};
use super::pipeline::Pipeline;
use super::{SpecialTokens, Tokenizer};
use crate::error::{Error, Result};

/// `tokenizer.ggml.*` of a GGUF file.
#[derive(Clone, Debug, Default)]
pub struct GgufTokenizer<'a> {
    /// Where the metadata came from, for messages.
    pub origin: String,
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (sentencepiece BPE).
    pub model: &'a str,
    /// `tokenizer.ggml.pre`, used with `gpt2`.
    pub pre: Option<&'a str>,
    /// The vocabulary, by id.
    pub tokens: Vec<&'a str>,
    /// Log probabilities of the tokens, with `llama`.
    pub scores: Vec<f32>,
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_types: Vec<i32>,
    /// Pairs joined by a blank, best first.
    pub merges: Vec<&'a str>,
    /// `tokenizer.ggml.ROLE_token_id` by role: `bos`, `eos`, `unknown`, `padding`, `eot` and so on.
    pub ids: HashMap<&'a str, u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<&'a str>,
}

/// Roles of tokens in a sentencepiece vocabulary that names none.
const SENTENCEPIECE_IDS: &[(&str, u32)] = &[("unknown", 0), ("bos", 1), ("eos", 2)];

/// The squares of the lengths of all tokens together; those of known vocabularies have some tens of millions.
const MOST_COMPARED: u64 = 1 << 32;

const NORMAL: i32 = 1;
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
        let parts = match source.model {
            "gpt2" => source.byte_level()?,
            "llama" => source.sentencepiece()?,
            other => {
                return Err(source.error(format!(
                    "tokenizer.ggml.model is \"{other}\"; \"gpt2\" and \"llama\" can be used"
                )));
            }
        };
        let add_bos = source.add_bos.unwrap_or(parts.adds_bos);
        let description = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": source.added_tokens(),
            "normalizer": parts.normalizer, "pre_tokenizer": parts.pre_tokenizer,
            "post_processor": source.post_processor(add_bos), "decoder": parts.decoder, "model": parts.model,
        });
        let inner: tokenizers::Tokenizer =
            serde_json::from_value(description).map_err(|e| source.error(format!("cannot be built: {e}")))?;
        let token = |role: &str| source.id(role).and_then(|id| source.token(id)).map(str::to_owned);
        let special = SpecialTokens {
            bos: token("bos"),
            eos: token("eos"),
            pad: token("padding"),
            unk: token("unknown"),
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
            origin: source.origin.clone(),
            config,
        })
    }
}

/// What a `tokenizer.json` consists of, and whether texts begin with BOS by default.
struct Parts {
    model: Value,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    adds_bos: bool,
}

impl<'a> GgufTokenizer<'a> {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::tokenizer(&self.origin, message)
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
        // How long it takes to look for merges grows with the square of a token's length.
        let square = |token: &&str| (token.len() as u64).saturating_pow(2);
        if self.tokens.iter().map(square).fold(0, u64::saturating_add) > MOST_COMPARED {
            return Err(self.error("tokenizer.ggml.tokens are too long to be tokens"));
        }
        for role in ["bos", "eos", "unknown", "padding"] {
            if let Some(id) = self.ids.get(role).filter(|id| **id as usize >= count) {
                return Err(self.error(format!(
                    "tokenizer.ggml.{role}_token_id is {id}, but there are only {count} tokens"
                )));
            }
        }
        Ok(())
    }

    /// The token with a role: as the file says, or as such vocabularies begin.
    fn id(&self, role: &str) -> Option<u32> {
        let usual =
            SENTENCEPIECE_IDS.iter().filter(|_| self.model == "llama").find(|(known, _)| *known == role);
        let id = self.ids.get(role).copied().or(usual.map(|(_, id)| *id));
        id.filter(|id| self.token(*id).is_some())
    }

    fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).copied()
    }

    /// What a token is: normal where the file does not say.
    fn kind(&self, id: u32) -> i32 {
        self.token_types.get(id as usize).copied().unwrap_or(NORMAL)
    }

    fn vocabulary(&self) -> Value {
        let entry = |(id, token): (usize, &&str)| match *token {
            "" => (format!("[EMPTY_{id}]"), json!(id)),
            token => (token.to_owned(), json!(id)),
        };
        Value::Object(self.tokens.iter().enumerate().map(entry).collect())
    }

    /// Control tokens, the unknown token and those that end a text are special; user-defined ones are matched whole,
    /// but are text.
    fn added_tokens(&self) -> Vec<Value> {
        let ends = self.end_ids();
        let added = self.tokens.iter().enumerate().filter_map(|(id, token)| {
            let kind = self.kind(id as u32);
            let special = matches!(kind, UNKNOWN | CONTROL) || ends.contains(&(id as u32));
            (special || kind == USER_DEFINED).then(|| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": special,
                })
            })
        });
        added.collect()
    }

    /// Puts BOS before a text that asks for special tokens.
    fn post_processor(&self, add_bos: bool) -> Value {
        let bos = self.id("bos").filter(|_| add_bos);
        bos.and_then(|id| Some(bos_first(self.token(id)?, id))).unwrap_or_default()
    }

    fn byte_level(&self) -> Result<Parts> {
        if self.merges.is_empty() {
            return Err(self.error("tokenizer.ggml.merges is missing or empty, which a \"gpt2\" model needs"));
        }
        let pre = pre::pre_tokenizer(self.pre).map_err(|message| self.error(message))?;
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": pre.ignore_merges, "vocab": self.vocabulary(), "merges": self.pairs()?,
        });
        let splits = pre.splits.iter().map(|pattern| isolated(pattern)).chain([byte_level(false)]);
        Ok(Parts {
            model,
            normalizer: if pre.composes { json!({"type": "NFC"}) } else { Value::Null },
            pre_tokenizer: json!({"type": "Sequence", "pretokenizers": splits.collect::<Vec<_>>()}),
            decoder: byte_level(true),
            adds_bos: pre.adds_bos,
        })
    }

    fn pairs(&self) -> Result<Vec<(&str, &str)>> {
        let split = |(row, merge): (usize, &'a str)| {
            merge.split_once(' ').ok_or_else(|| {
                self.error(format!("tokenizer.ggml.merges, entry {row}: \"{merge}\" is not a pair"))
            })
        };
        self.merges.iter().copied().enumerate().map(split).collect()
    }

    /// Sentencepiece BPE joins the pair whose result has the best score; blanks are written as `▁`, and what the
    /// vocabulary lacks is spelt in bytes.
    fn sentencepiece(&self) -> Result<Parts> {
        let merges = if self.merges.is_empty() { self.merges_by_score() } else { self.pairs()? };
        let unk = self.id("unknown").and_then(|id| self.token(id));
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
        Ok(Parts {
            model,
            normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
            pre_tokenizer: Value::Null,
            decoder: json!({"type": "Sequence", "decoders": decoders}),
            adds_bos: true,
        })
    }

    /// Every way to join two tokens into a third, best score of the third first.
    fn merges_by_score(&self) -> Vec<(&str, &str)> {
        let ids: HashMap<&str, usize> =
            self.tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
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
