//! The Hugging Face layout: `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`
//! and `chat_template.jinja`.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::{SpecialTokens, Tokenizer};
use crate::text::error::{Error, Result};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// Tokenizer classes of transformers that put BOS before plain text unless told otherwise.
const BOS_BY_DEFAULT: [&str; 3] = ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"];

impl Tokenizer {
    /// Reads the tokenizer of a model folder.
    ///
    /// # Errors
    /// If `tokenizer.json` is missing or any of the files is not what it should be.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join(TOKENIZER);
        if !path.is_file() {
            return Err(missing(folder));
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::read(&path, e))?;
        if let Err(e) = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
            return Err(Error::json(&path, &e, 0));
        }
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| Error::Parse {
            path: path.clone(),
            line: 0,
            column: 0,
            message: format!("is JSON, but not a tokenizer that can be used: {e}"),
        })?;
        let config = read_object(&folder.join(CONFIG))?.unwrap_or_default();
        let map = read_object(&folder.join(SPECIAL_MAP))?.unwrap_or_default();
        let mut tokenizer = Self {
            inner,
            special: special_tokens(&config, &map),
            chat_template: chat_template(folder, &config)?,
            add_bos: adds_bos(&config),
            origin: folder.display().to_string(),
            config,
        };
        tokenizer
            .inner
            .with_truncation(None)
            .map_err(|e| Error::tokenizer(&tokenizer.origin, e.to_string()))?;
        tokenizer.inner.with_padding(None);
        tokenizer.add_configured_tokens(&read_object(&folder.join(ADDED))?.unwrap_or_default())?;
        tokenizer.check_special_tokens()?;
        Ok(tokenizer)
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json` and `chat_template.jinja` into
    /// `folder`, with everything that was changed since the tokenizer was read.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let text =
            self.inner.to_string(true).map_err(|e| self.error(format!("cannot be written as JSON: {e}")))?;
        write(&folder.join(TOKENIZER), text.as_bytes())?;
        write_json(&folder.join(CONFIG), &Value::Object(self.config_to_write()))?;
        write_json(&folder.join(SPECIAL_MAP), &Value::Object(self.special_map()))?;
        if let Some(template) = &self.chat_template {
            write(&folder.join(CHAT_TEMPLATE), template.as_bytes())?;
        }
        Ok(())
    }

    /// Tokens that only `tokenizer_config.json` or `added_tokens.json` know.
    fn add_configured_tokens(&mut self, added: &Map<String, Value>) -> Result<()> {
        let mut wanted: Vec<(u64, AddedToken)> = Vec::new();
        if let Some(Value::Object(decoder)) = self.config.get("added_tokens_decoder") {
            for (id, token) in decoder {
                let (Ok(id), Some(token)) = (id.parse(), added_token(token)) else {
                    return Err(self.error(format!(
                        "{CONFIG}: added_tokens_decoder has an entry \"{id}\" that is no token"
                    )));
                };
                wanted.push((id, token));
            }
        }
        for (token, id) in added {
            let id = id
                .as_u64()
                .ok_or_else(|| self.error(format!("{ADDED}: the id of \"{token}\" is {id}, not a number")))?;
            wanted.push((id, AddedToken::from(token.as_str(), false)));
        }
        wanted.retain(|(_, token)| self.inner.token_to_id(&token.content).is_none());
        wanted.sort_by_key(|(id, _)| *id);
        for (id, token) in wanted {
            let content = token.content.clone();
            let added = if token.special {
                self.inner.add_special_tokens([token])
            } else {
                self.inner.add_tokens([token])
            };
            added.map_err(|e| self.error(format!("added token \"{content}\": {e}")))?;
            if let Some(got) = self.inner.token_to_id(&content).filter(|got| u64::from(*got) != id) {
                return Err(
                    self.error(format!("added token \"{content}\" should have id {id} but would get {got}"))
                );
            }
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
        let mut tokens: Vec<_> = self.inner.get_added_tokens_decoder().into_iter().collect();
        tokens.sort_unstable_by_key(|(id, _)| *id);
        let decoder = tokens.into_iter().map(|(id, token)| {
            let entry = json!({
                "content": token.content, "lstrip": token.lstrip, "normalized": token.normalized,
                "rstrip": token.rstrip, "single_word": token.single_word, "special": token.special,
            });
            (id.to_string(), entry)
        });
        config.insert("added_tokens_decoder".into(), Value::Object(decoder.collect()));
        config.extend(self.special_map());
        config.entry("tokenizer_class").or_insert_with(|| json!("PreTrainedTokenizerFast"));
        if let Some(template) = &self.chat_template {
            config.insert("chat_template".into(), json!(template));
        }
        config
    }
}

fn missing(folder: &Path) -> Error {
    let found = |name: &str| folder.join(name).is_file();
    let message = if !folder.is_dir() {
        "the folder does not exist".to_owned()
    } else if found("tokenizer.model") {
        "has tokenizer.model but no tokenizer.json; load it once with transformers and save it with save_pretrained to get one"
            .to_owned()
    } else if found("vocab.json") && found("merges.txt") {
        "has vocab.json and merges.txt but no tokenizer.json; load it once with transformers and save it with \
         save_pretrained to get one"
            .to_owned()
    } else {
        format!("the folder has no {TOKENIZER}")
    };
    Error::tokenizer(&folder.display().to_string(), message)
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
