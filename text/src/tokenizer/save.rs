//! Writing a tokenizer as Hugging Face lays it out.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Tokenizer;
use super::classes::FAST;
use super::files::{CHAT_TEMPLATE, CONFIG, SENTENCEPIECE, SPECIAL_MAP, TOKENIZER};
use super::pipeline::Pipeline;
use crate::error::{Error, Result};

impl Tokenizer {
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

    fn special_map(&self) -> Map<String, Value> {
        self.special.named().map(|(role, token)| (role.to_owned(), json!(token))).collect()
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
        let class = if self.is_sentencepiece() { "LlamaTokenizer" } else { FAST };
        config.entry("tokenizer_class").or_insert_with(|| json!(class));
        if let Some(template) = &self.chat_template {
            config.insert("chat_template".into(), json!(template));
        }
        config
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::write(path, e))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, format!("{value:#}\n").as_bytes())
}
