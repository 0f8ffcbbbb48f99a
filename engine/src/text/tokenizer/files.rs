//! The Hugging Face layout: `tokenizer.json`, `tokenizer.model` or `qwen.tiktoken`; `tokenizer_config.json`,
//! `special_tokens_map.json`, `added_tokens.json` and `chat_template.jinja`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, PostProcessorWrapper};

use super::byte_level::bos_first;
use super::pipeline::Pipeline;
use super::sentencepiece::{Prefix, SentencePiece};
use super::tiktoken::{self, Family};
use super::{SpecialTokens, Tokenizer};
use crate::text::error::{Error, Result};

const TOKENIZER: &str = "tokenizer.json";
const SENTENCEPIECE: &str = "tokenizer.model";
const QWEN: &str = "qwen.tiktoken";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// Tokenizer classes of transformers that put BOS before plain text unless told otherwise.
const BOS_BY_DEFAULT: [&str; 6] = [
    "LlamaTokenizer",
    "CodeLlamaTokenizer",
    "GemmaTokenizer",
    "BaichuanTokenizer",
    "InternLMTokenizer",
    "InternLM2Tokenizer",
];

/// The class of a `tokenizer.json` that needs no code of its own.
const FAST_CLASS: &str = "PreTrainedTokenizerFast";
const ADDITIONAL: &str = "additional_special_tokens";

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

impl Tokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json`, else `tokenizer.model`, else `qwen.tiktoken`.
    ///
    /// # Errors
    /// If none of them is there or any of the files is not what it should be; broken files are named with the place.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let config = read_object(&folder.join(CONFIG))?.unwrap_or_default();
        let map = read_object(&folder.join(SPECIAL_MAP))?.unwrap_or_default();
        let added = read_object(&folder.join(ADDED))?.unwrap_or_default();
        let mut source = Source { folder, config, tokens: Vec::new() };
        source.read_tokens(&map, &added)?;
        let (inner, roles) = source.pipeline()?;
        let config = source.config;
        let given = special_tokens(&config, &map);
        let mut tokenizer = Self {
            inner,
            words: Default::default(),
            special: SpecialTokens {
                bos: given.bos.or(roles.bos),
                eos: given.eos.or(roles.eos),
                pad: given.pad.or(roles.pad),
                unk: given.unk.or(roles.unk),
            },
            chat_template: chat_template(folder, &config)?,
            add_bos: adds_bos(&config),
            origin: folder.display().to_string(),
            config,
        };
        tokenizer.add_configured_tokens(source.tokens)?;
        if tokenizer.is_sentencepiece() {
            tokenizer.add_roles(&map)?;
            tokenizer.put_bos_first()?;
        }
        tokenizer.check_special_tokens()?;
        Ok(tokenizer)
    }

    /// Writes `tokenizer.json` or the sentencepiece model, `tokenizer_config.json`, `special_tokens_map.json` and
    /// `chat_template.jinja` into `folder`, with everything that was changed since the tokenizer was read.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        match &self.inner {
            Pipeline::Parts(parts) => {
                let text = parts.to_string(true);
                let text = text.map_err(|e| self.error(format!("cannot be written as JSON: {e}")))?;
                write(&folder.join(TOKENIZER), text.as_bytes())?;
            }
            Pipeline::SentencePiece(model) => write(&folder.join(SENTENCEPIECE), &model.file)?,
        }
        write_json(&folder.join(CONFIG), &Value::Object(self.config_to_write()))?;
        write_json(&folder.join(SPECIAL_MAP), &Value::Object(self.special_map()))?;
        if let Some(template) = &self.chat_template {
            write(&folder.join(CHAT_TEMPLATE), template.as_bytes())?;
        }
        Ok(())
    }

    fn is_sentencepiece(&self) -> bool {
        matches!(self.inner, Pipeline::SentencePiece(_))
    }

    /// Adds tokens under their ids, unless they have been added as they are.
    fn add_configured_tokens(&mut self, mut wanted: Vec<(u64, AddedToken)>) -> Result<()> {
        if self.is_sentencepiece() {
            // Sentencepiece never sees the added tokens: they are found in the text as it was written.
            wanted.iter_mut().for_each(|(_, token)| token.normalized = false);
        } else {
            let known = self.inner.added_tokens();
            wanted.retain(|(_, token)| !known.values().any(|known| known.content == token.content));
        }
        wanted.sort_by_key(|(id, _)| *id);
        let tokens: Vec<AddedToken> = wanted.iter().map(|(_, token)| token.clone()).collect();
        self.inner.add_tokens(tokens).map_err(|e| self.error(format!("added tokens: {e}")))?;
        for (id, AddedToken { content, .. }) in wanted {
            if let Some(got) = self.inner.token_to_id(&content).filter(|got| u64::from(*got) != id) {
                return Err(
                    self.error(format!("added token \"{content}\" should have id {id} but would get {got}"))
                );
            }
        }
        Ok(())
    }

    /// As transformers does with a sentencepiece model: tokens with a role are special, and added if it lacks them.
    fn add_roles(&mut self, map: &Map<String, Value>) -> Result<()> {
        let special = &self.special;
        let roles = [&special.bos, &special.eos, &special.unk, &special.pad];
        let mut tokens: Vec<AddedToken> =
            roles.into_iter().flatten().map(|token| AddedToken::from(token.as_str(), true)).collect();
        let more = self.config.get(ADDITIONAL).or(map.get(ADDITIONAL)).and_then(Value::as_array);
        let more = more.into_iter().flatten().filter_map(|token| match token {
            Value::String(text) => Some(AddedToken::from(text.as_str(), true)),
            token => added_token(token).map(|token| token.special(true).normalized(false)),
        });
        tokens.extend(more);
        let known = self.inner.added_tokens();
        tokens.retain(|token| !known.values().any(|known| known.content == token.content && known.special));
        self.inner.add_tokens(tokens).map_err(|e| self.error(format!("special tokens: {e}")))?;
        Ok(())
    }

    /// Lets BOS stand before a text that asks for special tokens.
    fn put_bos_first(&mut self) -> Result<()> {
        let bos = self.special.bos.clone().filter(|_| self.add_bos);
        if let (Some(token), Some(id), Pipeline::SentencePiece(model)) = (bos, self.bos_id(), &mut self.inner)
        {
            let processor = serde_json::from_value::<PostProcessorWrapper>(bos_first(&token, id));
            let processor =
                processor.map_err(|e| Error::tokenizer(&self.origin, format!("bos_token: {e}")))?;
            model.pipeline.with_post_processor(Some(processor));
        }
        Ok(())
    }

    /// A special token must be in the vocabulary.
    fn check_special_tokens(&self) -> Result<()> {
        let special = &self.special;
        for (role, token) in [
            ("bos_token", &special.bos),
            ("eos_token", &special.eos),
            ("pad_token", &special.pad),
            ("unk_token", &special.unk),
        ] {
            if let Some(token) = token.as_deref().filter(|token| self.token_to_id(token).is_none()) {
                return Err(self.error(format!("{role} is \"{token}\", which the vocabulary does not have")));
            }
        }
        Ok(())
    }

    fn special_map(&self) -> Map<String, Value> {
        let special = &self.special;
        let roles = [
            ("bos_token", &special.bos),
            ("eos_token", &special.eos),
            ("pad_token", &special.pad),
            ("unk_token", &special.unk),
        ];
        roles
            .into_iter()
            .filter_map(|(role, token)| Some((role.to_owned(), json!(token.as_ref()?))))
            .collect()
    }

    fn config_to_write(&self) -> Map<String, Value> {
        let mut config = self.config.clone();
        let decoder = self.inner.added_tokens().into_iter().map(|(id, token)| {
            let entry = json!({
                "content": token.content, "lstrip": token.lstrip, "normalized": token.normalized,
                "rstrip": token.rstrip, "single_word": token.single_word, "special": token.special,
            });
            (id.to_string(), entry)
        });
        config.insert("added_tokens_decoder".into(), Value::Object(decoder.collect()));
        config.extend(self.special_map());
        let class = if self.is_sentencepiece() { "LlamaTokenizer" } else { FAST_CLASS };
        config.entry("tokenizer_class").or_insert_with(|| json!(class));
        if let Some(template) = &self.chat_template {
            config.insert("chat_template".into(), json!(template));
        }
        config
    }
}

/// A model folder while its tokenizer is read.
struct Source<'a> {
    folder: &'a Path,
    config: Map<String, Value>,
    /// Tokens that the configuration adds, with their ids.
    tokens: Vec<(u64, AddedToken)>,
}

impl Source<'_> {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::tokenizer(&self.folder.display().to_string(), message)
    }

    fn class(&self) -> &str {
        self.config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default()
    }

    /// What `tokenizer_config.json` and `added_tokens.json` add.
    fn read_tokens(&mut self, map: &Map<String, Value>, added: &Map<String, Value>) -> Result<()> {
        if let Some(Value::Object(decoder)) = self.config.get("added_tokens_decoder") {
            for (id, token) in decoder {
                let (Ok(id), Some(token)) = (id.parse(), added_token(token)) else {
                    return Err(self.error(format!(
                        "{CONFIG}: added_tokens_decoder has an entry \"{id}\" that is no token"
                    )));
                };
                self.tokens.push((id, token));
            }
        }
        let more = self.config.get(ADDITIONAL).or(map.get(ADDITIONAL)).and_then(Value::as_array);
        let special: Vec<String> =
            more.into_iter().flatten().filter_map(|token| token_text(Some(token))).collect();
        for (token, id) in added {
            let id = id
                .as_u64()
                .ok_or_else(|| self.error(format!("{ADDED}: the id of \"{token}\" is {id}, not a number")))?;
            if !self.tokens.iter().any(|(_, known)| known.content == *token) {
                self.tokens.push((id, AddedToken::from(token.as_str(), special.contains(token))));
            }
        }
        Ok(())
    }

    /// The configuration's names by id.
    fn names(&self) -> HashMap<u32, String> {
        let small = |(id, token): &(u64, AddedToken)| Some((u32::try_from(*id).ok()?, token.content.clone()));
        self.tokens.iter().filter_map(small).collect()
    }

    fn pipeline(&mut self) -> Result<(Pipeline, SpecialTokens)> {
        let [json, model, qwen] = [TOKENIZER, SENTENCEPIECE, QWEN].map(|name| self.folder.join(name));
        if json.is_file() {
            return Ok((Pipeline::Parts(Box::new(parts(&json)?)), SpecialTokens::default()));
        }
        if model.is_file() {
            let bytes = read(&model)?;
            if tiktoken::is_rank_file(&bytes) {
                let family = Family::of_class(self.class()).ok_or_else(|| {
                    self.error(format!(
                        "{SENTENCEPIECE} holds ranks, and how tokenizer_class \"{}\" splits words is not known; load it \
                         once with transformers and save it with save_pretrained to get a {TOKENIZER}",
                        self.class()
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
        Err(self.missing())
    }

    fn sentencepiece(&mut self, path: &Path, bytes: Vec<u8>) -> Result<(Pipeline, SpecialTokens)> {
        // The older behaviour, transformers' default: every text between added tokens gets the leading blank.
        let legacy = self.config.get("legacy").and_then(Value::as_bool).unwrap_or(true);
        let prefix = if legacy { Prefix::Each } else { Prefix::First };
        let (mut model, mut roles) = SentencePiece::read(path, bytes, prefix, &self.names())?;
        if self.class() == "ChatGLMTokenizer" {
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
        let (tokenizer, roles) = tiktoken::read(path, bytes, family, &self.names())?;
        // What is written out is a `tokenizer.json`, which needs none of the model's own code.
        self.config.insert("tokenizer_class".into(), json!(FAST_CLASS));
        self.config.remove("auto_map");
        Ok((Pipeline::Parts(Box::new(tokenizer)), roles))
    }

    fn missing(&self) -> Error {
        let found = |name: &str| self.folder.join(name).is_file();
        self.error(if !self.folder.is_dir() {
            "the folder does not exist".to_owned()
        } else if found("vocab.json") && found("merges.txt") {
            "has vocab.json and merges.txt but no tokenizer.json; load it once with transformers and save it with \
             save_pretrained to get one"
                .to_owned()
        } else {
            format!("the folder has no {TOKENIZER}, {SENTENCEPIECE} or {QWEN}")
        })
    }
}

/// A `tokenizer.json`, without padding and truncation of its own.
fn parts(path: &Path) -> Result<tokenizers::Tokenizer> {
    let bytes = read(path)?;
    if let Err(e) = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
        return Err(Error::json(path, &e, 0));
    }
    let unusable = |e: tokenizers::Error| Error::Parse {
        path: path.to_owned(),
        line: 0,
        column: 0,
        message: format!("is JSON, but not a tokenizer that can be used: {e}"),
    };
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(&bytes).map_err(unusable)?;
    tokenizer.with_truncation(None).map_err(unusable)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// A file's bytes; a pointer that Git LFS left in its place is none.
fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    if bytes.starts_with(b"version https://git-lfs") {
        let message =
            "is a pointer to the file, which was not downloaded; fetch it with `git lfs pull`".to_owned();
        return Err(Error::Parse { path: path.to_owned(), line: 0, column: 0, message });
    }
    Ok(bytes)
}

/// A JSON object, or `None` if there is no such file.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::read(path, e)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::json(path, &e, 0))
}

/// A token is written as its text or as an object with its text.
fn token_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Object(token) => token.get("content")?.as_str().map(str::to_owned),
        _ => None,
    }
}

fn special_tokens(config: &Map<String, Value>, map: &Map<String, Value>) -> SpecialTokens {
    let find = |role: &str| token_text(config.get(role)).or_else(|| token_text(map.get(role)));
    SpecialTokens {
        bos: find("bos_token"),
        eos: find("eos_token"),
        pad: find("pad_token"),
        unk: find("unk_token"),
    }
}

fn added_token(value: &Value) -> Option<AddedToken> {
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(
        AddedToken::from(value.get("content")?.as_str()?, flag("special"))
            .lstrip(flag("lstrip"))
            .rstrip(flag("rstrip"))
            .single_word(flag("single_word"))
            .normalized(flag("normalized")),
    )
}

fn adds_bos(config: &Map<String, Value>) -> bool {
    let by_class = || {
        let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
        BOS_BY_DEFAULT.contains(&class.trim_end_matches("Fast"))
    };
    config.get("add_bos_token").and_then(Value::as_bool).unwrap_or_else(by_class)
}

/// The file wins over the entry in the configuration; of several named templates the one called `default` counts.
fn chat_template(folder: &Path, config: &Map<String, Value>) -> Result<Option<String>> {
    let path = folder.join(CHAT_TEMPLATE);
    match std::fs::read_to_string(&path) {
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

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::write(path, e))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, format!("{value:#}\n").as_bytes())
}
