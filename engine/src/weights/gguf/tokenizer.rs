//! The tokenizer that a file's metadata describe, and the tokens that end a text.

use serde_json::Value;

use super::GgufSource;
use crate::text::{GgufTokenizer, Tokenizer};
use crate::{Error, Result};

impl GgufSource {
    /// The tokenizer that the metadata describe.
    ///
    /// # Errors
    /// Names the kind of tokenizer or the key that cannot be used.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::from_gguf(&self.described()?)?)
    }

    /// Tokens that end an answer, as llama.cpp collects them; none where there is no vocabulary.
    pub fn end_ids(&self) -> Vec<u32> {
        self.described().map(|described| described.end_ids()).unwrap_or_default()
    }

    fn described(&self) -> Result<GgufTokenizer<'_>> {
        let metadata = self.file.metadata();
        let text = |key: &str| metadata.get(key).and_then(Value::as_str);
        let flag = |key: &str| metadata.get(key).and_then(Value::as_bool);
        let model = text("tokenizer.ggml.model").ok_or_else(|| {
            Error::file(self.file.path(), "its metadata have no text `tokenizer.ggml.model`")
        })?;
        let ids = metadata.iter().filter_map(|(key, id)| {
            let role = key.strip_prefix("tokenizer.ggml.")?.strip_suffix("_token_id")?;
            // A number that is no id is higher than any token's.
            Some((role, u32::try_from(id.as_u64()?).unwrap_or(u32::MAX)))
        });
        Ok(GgufTokenizer {
            origin: self.file.path().display().to_string(),
            model,
            pre: text("tokenizer.ggml.pre"),
            tokens: self.list("tokens", Value::as_str)?,
            // A score without a number is that of a token that is never chosen.
            scores: self.list("scores", |value| {
                Some(value.as_f64().map_or(f32::NEG_INFINITY, |score| score as f32))
            })?,
            token_types: self.list("token_type", |value| value.as_i64().map(|kind| kind as i32))?,
            merges: self.list("merges", Value::as_str)?,
            ids: ids.collect(),
            add_bos: flag("tokenizer.ggml.add_bos_token"),
            add_space_prefix: flag("tokenizer.ggml.add_space_prefix"),
            chat_template: text("tokenizer.chat_template"),
        })
    }

    /// A list of `tokenizer.ggml`; empty if it is not there.
    fn list<'a, T>(&'a self, key: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Vec<T>> {
        let key = format!("tokenizer.ggml.{key}");
        let Some(value) = self.file.metadata().get(&key) else { return Ok(Vec::new()) };
        let list = value.as_array().and_then(|list| list.iter().map(read).collect());
        list.ok_or_else(|| {
            Error::file(self.file.path(), format!("metadata `{key}` is not a list of the right type"))
        })
    }
}
