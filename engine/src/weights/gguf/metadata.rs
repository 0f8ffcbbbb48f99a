//! Metadata of a model's architecture, typed, with errors that name file and key.
//!
//! What is asked for is remembered: a value that changes the model and that nobody asked for is refused in the end.

use std::cell::RefCell;
use std::collections::HashSet;

use serde_json::{Value, json};

use super::file::GgufFile;
use crate::families::{LARGEST, LAYERS};
use crate::{Error, Result};

/// The keys that begin with the architecture's name.
pub(super) struct Metadata<'a> {
    pub file: &'a GgufFile,
    pub architecture: &'a str,
    asked: RefCell<HashSet<String>>,
}

/// Keys that say nothing of the arithmetic of a text's logits; an epsilon is for the kind of norm that the architecture
/// has, which asks for its own.
const WITHOUT_EFFECT: &[&str] = &[
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "vocab_size",
    "tensor_data_layout",
    "rope.scaling.finetuned",
    "pooling_type",
    "features_length",
    "classifier.output_labels",
    "decoder_start_token_id",
];

impl<'a> Metadata<'a> {
    pub(super) fn of(file: &'a GgufFile) -> Metadata<'a> {
        let architecture = file.metadata().get("general.architecture").and_then(Value::as_str);
        Metadata { file, architecture: architecture.unwrap_or_default(), asked: RefCell::default() }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    pub(super) fn error(&self, key: &str, message: impl std::fmt::Display) -> Error {
        Error::file(self.file.path(), format!("metadata `{}` {message}", self.key(key)))
    }

    /// A value of the architecture, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let key = self.key(key);
        let value = self.file.metadata().get(&key);
        self.asked.borrow_mut().insert(key);
        value
    }

    /// A number that holds for every layer, which may be written as a list with an entry for each.
    fn uniform(&self, key: &str) -> Result<Option<&'a Value>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(list) = value.as_array() else { return Ok(Some(value)) };
        match list.first() {
            Some(first) if list.iter().all(|entry| entry == first) => Ok(Some(first)),
            _ => Err(self.error(key, "differs from layer to layer, which is not supported")),
        }
    }

    pub(super) fn size_if(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.uniform(key)? else { return Ok(None) };
        let size =
            value.as_u64().ok_or_else(|| self.error(key, format!("must be a whole number, found {value}")));
        let size = size?;
        if size > LARGEST || key == "block_count" && size > LAYERS as u64 {
            let most = if key == "block_count" { LAYERS as u64 } else { LARGEST };
            return Err(self.error(key, format!("is {size}; at most {most} is allowed")));
        }
        Ok(Some(size as usize))
    }

    pub(super) fn size(&self, key: &str) -> Result<usize> {
        self.size_if(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.size_if(key)?.unwrap_or(default))
    }

    pub(super) fn number_if(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.uniform(key)? else { return Ok(None) };
        let number =
            value.as_f64().ok_or_else(|| self.error(key, format!("must be a number, found {value}")));
        number.map(|number| Some(shortest(number)))
    }

    pub(super) fn number(&self, key: &str) -> Result<f64> {
        self.number_if(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.number_if(key)?.unwrap_or(default))
    }

    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.error(key, format!("must be true or false, found {value}")))
    }

    pub(super) fn text_if(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.error(key, format!("must be a text, found {value}")))
    }

    fn missing(&self, key: &str) -> Error {
        Error::file(self.file.path(), format!("its metadata have no `{}`", self.key(key)))
    }

    /// Whether the first block has a tensor.
    pub(super) fn has(&self, tensor: &str) -> bool {
        self.file.has(&format!("blk.0.{tensor}"))
    }

    /// Whether there are biases on queries, keys and values.
    pub(super) fn has_qkv_bias(&self) -> bool {
        self.has("attn_q.bias") || self.has("attn_qkv.bias")
    }

    /// Refuses what was not asked for, unless it says that something is absent.
    pub(super) fn check_all_read(&self) -> Result<()> {
        let prefix = self.key("");
        let asked = self.asked.borrow();
        for (name, value) in self.file.metadata() {
            let Some(key) = name.strip_prefix(&prefix) else { continue };
            let neutral = [json!(0), json!(0.0), json!(false), json!(""), json!([])].contains(value);
            if !neutral && !asked.contains(name) && !WITHOUT_EFFECT.contains(&key) {
                let shown = if value.is_array() { "set".to_owned() } else { value.to_string() };
                let message = format!("is {shown}, which is not supported for this architecture");
                return Err(self.error(key, message));
            }
        }
        Ok(())
    }
}

/// GGUF keeps f32: what was 1e-5 reads as 9.999999747e-6. The shortest decimal of that f32 is the number meant.
fn shortest(number: f64) -> f64 {
    let short = number as f32;
    if f64::from(short) == number { short.to_string().parse().unwrap_or(number) } else { number }
}
