//! The Hugging Face layout: `tokenizer.json`, `tokenizer.model`, `qwen.tiktoken`, or `vocab.json` with `merges.txt`;
//! `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and `chat_template.jinja`.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value, json};
use tokenizers::utils::SysRegex;
use tokenizers::{AddedToken, PostProcessorWrapper};

use super::byte_level::around;
use super::classes::{BYTE_LEVEL, FAST, adds_bos, class_of, default_role, insists};
use super::named::Named;
use super::pipeline::Pipeline;
use super::sentencepiece::{Prefix, SentencePiece};
use super::tiktoken::{self, Family};
use super::{SpecialTokens, Tokenizer, sound, vocabulary};
use crate::error::{Error, Result};
use crate::files;

pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const SENTENCEPIECE: &str = "tokenizer.model";
const QWEN: &str = "qwen.tiktoken";
pub(super) const VOCABULARY: &str = "vocab.json";
pub(super) const MERGES: &str = "merges.txt";
pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_MAP: &str = "special_tokens_map.json";
pub(super) const ADDED: &str = "added_tokens.json";
pub(super) const CHAT_TEMPLATE: &str = "chat_template.jinja";
const MODEL_CONFIG: &str = "config.json";

/// Bytes of the largest vocabulary that is read; the largest known has some tens of megabytes.
const LARGEST: u64 = 512 << 20;

/// Files of tokenizers that cannot be read, and what they hold.
const FOREIGN: [(&str, &str); 4] = [
    ("vocab.txt", "a WordPiece vocabulary"),
    ("tekken.json", "a vocabulary of mistral-common"),
    ("spiece.model", "a sentencepiece model whose ids its class changes"),
    ("sentencepiece.bpe.model", "a sentencepiece model whose ids its class changes"),
];

/// Tokens that ChatGLM3's own code puts behind the sentencepiece vocabulary.
const CHATGLM3_TOKENS: [&str; 9] = [
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "sop",
    "eop",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
];

/// The way out where only transformers can read a folder.
const SAVE_ANEW: &str =
    "load it once with transformers and save it with save_pretrained to get a tokenizer.json";

impl Tokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json`, else `tokenizer.model`, else `qwen.tiktoken`, else
    /// `vocab.json` with `merges.txt`. Tokens that only the other files name follow the vocabulary.
    ///
    /// # Errors
    /// If none of them is there or any of the files is not what it should be; broken files are named with the place.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let object = |name: &str| Ok(read_object(&folder.join(name))?.unwrap_or_default());
        let mut config = object(CONFIG)?;
        let class = class_of(&config, &object(MODEL_CONFIG)?);
        let named = Named::read(&mut config, object(SPECIAL_MAP)?, &object(ADDED)?);
        let named = named.map_err(|message| Error::tokenizer(&folder.display().to_string(), message))?;
        Source { folder, class, config, named, ids: HashMap::new() }.build()
    }

    pub(super) fn is_sentencepiece(&self) -> bool {
        matches!(self.inner, Pipeline::SentencePiece(_))
    }
}

/// A model folder while its tokenizer is read.
struct Source<'a> {
    folder: &'a Path,
    /// The class that reads it in transformers.
    class: String,
    config: Map<String, Value>,
    named: Named,
    /// Ids of tokens in `tokenizer.json`, which need not be those that they get.
    ids: HashMap<String, u64>,
}

impl Source<'_> {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::tokenizer(&self.folder.display().to_string(), message)
    }

    fn has(&self, name: &str) -> bool {
        self.folder.join(name).is_file()
    }

    fn build(mut self) -> Result<Tokenizer> {
        let (mut inner, own) = self.pipeline()?;
        let class = self.class.clone();
        let of_model = |role| match role {
            "bos_token" => own.bos.clone(),
            "eos_token" => own.eos.clone(),
            "pad_token" => own.pad.clone(),
            "unk_token" => own.unk.clone(),
            _ => None,
        };
        self.named
            .fill_roles(|role| of_model(role).or_else(|| default_role(&class, role).map(str::to_owned)));
        let mut tokens = self.named.tokens(&self.written_tokens(&inner), insists(&self.class));
        if matches!(inner, Pipeline::SentencePiece(_)) {
            // Sentencepiece never sees the added tokens: they are found in the text as it was written.
            tokens.iter_mut().for_each(|token| token.normalized = false);
        }
        sound::check_tokens(tokens.iter().chain(inner.added_tokens().values()))
            .map_err(|why| self.error(why))?;
        inner.add_tokens(tokens).map_err(|e| self.error(format!("added tokens: {e}")))?;
        self.surround(&mut inner)?;
        Ok(Tokenizer {
            inner,
            words: Default::default(),
            special: self.named.special_tokens(),
            chat_template: chat_template(self.folder, &self.config)?,
            add_bos: adds_bos(&self.class, &self.config),
            origin: self.folder.display().to_string(),
            config: self.config,
        })
    }

    /// The tokens that a pipeline has added already, with the ids that they are written with.
    fn written_tokens(&self, inner: &Pipeline) -> BTreeMap<u64, AddedToken> {
        let written = |token: &AddedToken| self.ids.get(&token.content).copied();
        let known = inner.added_tokens().into_iter();
        known.map(|(id, token)| (written(&token).unwrap_or(id.into()), token)).collect()
    }

    fn pipeline(&mut self) -> Result<(Pipeline, SpecialTokens)> {
        let [json, model, qwen] = [TOKENIZER, SENTENCEPIECE, QWEN].map(|name| self.folder.join(name));
        if json.exists() {
            let (tokenizer, ids) = parts(&json)?;
            self.ids = ids;
            return Ok((Pipeline::Parts(Box::new(tokenizer)), SpecialTokens::default()));
        }
        if model.is_file() {
            let bytes = read(&model)?;
            if tiktoken::is_rank_file(&bytes) {
                let family = Family::of_class(&self.class).ok_or_else(|| {
                    let class = &self.class;
                    self.error(format!(
                        "{SENTENCEPIECE} holds ranks, and how tokenizer_class \"{class}\" splits words is not known; {SAVE_ANEW}"
                    ))
                })?;
                return self.tiktoken(&model, &bytes, family);
            }
            return self.sentencepiece(&model, bytes);
        }
        if qwen.is_file() {
            let bytes = read(&qwen)?;
            return self.tiktoken(&qwen, &bytes, Family::Qwen);
        }
        if self.has(VOCABULARY) && self.has(MERGES) && BYTE_LEVEL.contains(&self.class.as_str()) {
            let tokenizer = vocabulary::build(self.folder, &self.class, &self.config)?;
            return Ok((Pipeline::Parts(Box::new(tokenizer)), SpecialTokens::default()));
        }
        Err(self.missing())
    }

    fn sentencepiece(&mut self, path: &Path, bytes: Vec<u8>) -> Result<(Pipeline, SpecialTokens)> {
        // The older behaviour, transformers' default: every text between added tokens gets the leading blank.
        let legacy = self.config.get("legacy").and_then(Value::as_bool).unwrap_or(true);
        let prefix = if legacy { Prefix::Each } else { Prefix::First };
        let (mut model, mut roles) = SentencePiece::read(path, bytes, prefix, &self.named.names())?;
        if self.class == "ChatGLMTokenizer" {
            let tokens = CHATGLM3_TOKENS.map(|token| {
                // Two of them are words: they count only where they stand alone.
                AddedToken::from(token, true).single_word(token.chars().all(char::is_alphabetic))
            });
            model.pipeline.add_special_tokens(tokens).map_err(|e| self.error(e.to_string()))?;
            roles.pad = roles.pad.or(roles.unk.clone());
        }
        Ok((Pipeline::SentencePiece(Box::new(model)), roles))
    }

    fn tiktoken(&mut self, path: &Path, bytes: &[u8], family: Family) -> Result<(Pipeline, SpecialTokens)> {
        let (tokenizer, roles) = tiktoken::read(path, bytes, family, &self.named.names())?;
        // What is written out is a `tokenizer.json`, which needs none of the model's own code.
        self.config.insert("tokenizer_class".into(), json!(FAST));
        self.config.remove("auto_map");
        Ok((Pipeline::Parts(Box::new(tokenizer)), roles))
    }

    /// Puts tokens around a text that asks for special tokens, where the files leave that to the class: BOS before what
    /// a sentencepiece model encodes, BOS and EOS around what `vocab.json` does, CLS and SEP in RoBERTa's case.
    fn surround(&self, inner: &mut Pipeline) -> Result<()> {
        let set = |key: &str| self.config.get(key).and_then(Value::as_bool).unwrap_or_default();
        let (first, last) = match (&inner, self.class.as_str()) {
            (Pipeline::SentencePiece(_), class) => {
                (adds_bos(class, &self.config).then_some("bos_token"), None)
            }
            (Pipeline::Parts(_), _) if self.has(TOKENIZER) || !self.has(VOCABULARY) => (None, None),
            (Pipeline::Parts(_), "RobertaTokenizer") => (Some("cls_token"), Some("sep_token")),
            (Pipeline::Parts(_), _) => {
                (set("add_bos_token").then_some("bos_token"), set("add_eos_token").then_some("eos_token"))
            }
        };
        let token = |role: Option<&str>| {
            let token = self.named.role(role?)?;
            Some((token, inner.token_to_id(token)?))
        };
        let (first, last) = (token(first), token(last));
        if first.is_some() || last.is_some() {
            inner.with_post_processor(part::<PostProcessorWrapper>(self.folder, around(first, last))?);
        }
        Ok(())
    }

    fn missing(&self) -> Error {
        let class = &self.class;
        let foreign = FOREIGN.iter().find(|(name, _)| self.has(name));
        self.error(if !self.folder.is_dir() {
            "the folder does not exist".to_owned()
        } else if self.has(VOCABULARY) && self.has(MERGES) {
            let known = BYTE_LEVEL.join(", ");
            format!(
                "has {VOCABULARY} and {MERGES}, and how tokenizer_class \"{class}\" splits text for them is not known; \
                 known are {known}; {SAVE_ANEW}"
            )
        } else if let Some((name, what)) = foreign {
            format!("has {name}, {what}, which cannot be read; {SAVE_ANEW}")
        } else {
            format!("the folder has no {TOKENIZER}, {SENTENCEPIECE}, {QWEN}, or {VOCABULARY} with {MERGES}")
        })
    }
}

/// The tokens that a `tokenizer.json` adds.
#[derive(Deserialize)]
struct Added {
    added_tokens: Vec<WithId>,
}

#[derive(Deserialize)]
struct WithId {
    content: String,
    id: u64,
}

/// A `tokenizer.json`, without padding and truncation of its own, and the ids that it gives added tokens.
fn parts(path: &Path) -> Result<(tokenizers::Tokenizer, HashMap<String, u64>)> {
    let bytes = read(path)?;
    if let Err(e) = serde_json::from_slice::<IgnoredAny>(&bytes) {
        return Err(Error::json(path, &e, 0));
    }
    let unusable = |e: tokenizers::Error| {
        let written: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let pattern = wrong_pattern(&written).map(|pattern| format!(" (pattern \"{pattern}\")"));
        let pattern = pattern.unwrap_or_default();
        broken(path, format!("is JSON, but not a tokenizer that can be used: {e}{pattern}"))
    };
    let unsound = |why: String| broken(path, format!("cannot be used: {why}"));
    sound::check(&bytes).map_err(unsound)?;
    let read = || tokenizers::Tokenizer::from_bytes(&bytes);
    let read =
        catch_unwind(AssertUnwindSafe(read)).map_err(|_| unsound("it breaks what reads it".to_owned()))?;
    let mut tokenizer = read.map_err(unusable)?;
    tokenizer.with_truncation(None).map_err(unusable)?;
    tokenizer.with_padding(None);
    sound::check_post_processor(&tokenizer).map_err(unsound)?;
    let added = serde_json::from_slice::<Added>(&bytes).map(|added| added.added_tokens).unwrap_or_default();
    Ok((tokenizer, added.into_iter().map(|token| (token.content, token.id)).collect()))
}

/// The first pattern that is no regular expression.
fn wrong_pattern(part: &Value) -> Option<&str> {
    match part {
        Value::Object(object) => match object.get("Regex") {
            Some(Value::String(pattern)) => {
                Some(pattern.as_str()).filter(|pattern| SysRegex::new(pattern).is_err())
            }
            _ => object.values().find_map(wrong_pattern),
        },
        Value::Array(parts) => parts.iter().find_map(wrong_pattern),
        _ => None,
    }
}

/// A part of a pipeline as `tokenizer.json` would have it.
pub(super) fn part<T: DeserializeOwned>(path: &Path, description: Value) -> Result<Option<T>> {
    serde_json::from_value(description)
        .map_err(|e| Error::tokenizer(&path.display().to_string(), format!("cannot be built: {e}")))
}

pub(super) fn broken(path: &Path, message: String) -> Error {
    Error::Parse { path: path.to_owned(), line: 0, column: 0, message }
}

/// A file's bytes; a pointer that Git LFS left in its place is none.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(path, LARGEST).map_err(|e| Error::read(path, e))?;
    if bytes.starts_with(b"version https://git-lfs") {
        let message = "is a pointer to the file, which was not downloaded; fetch it with `git lfs pull`";
        return Err(broken(path, message.to_owned()));
    }
    Ok(bytes)
}

/// A JSON object, or `None` if there is no such file.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>> {
    let bytes = match files::read(path, files::SETTINGS) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::read(path, e)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::json(path, &e, 0))
}

/// The file wins over the entry in the configuration; of several named templates the one called `default` counts.
fn chat_template(folder: &Path, config: &Map<String, Value>) -> Result<Option<String>> {
    let path = folder.join(CHAT_TEMPLATE);
    match files::read_text(&path, files::SETTINGS) {
        Ok(text) => return Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::read(&path, e)),
    }
    Ok(match config.get("chat_template") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(named)) => named
            .iter()
            .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|entry| entry.get("template")?.as_str().map(str::to_owned)),
        _ => None,
    })
}
