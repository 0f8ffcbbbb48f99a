//! GGUF files: configuration from the metadata, weights dequantised on load.
//!
//! Names and layouts are llama.cpp's; they are turned back into those of Hugging Face, so that everything
//! else (adapters, exports) is the same whichever file a model came from.

mod file;
mod layout;
#[cfg(test)]
mod tests;
mod types;

use std::path::Path;

use candle_core::Tensor;
use serde_json::{Map, Value, json};

use self::layout::{Layout, ROPE_DIVISORS};
use super::check_shape;
use crate::families::{Config, RopeScaling, RopeSpec};
use crate::model::{Decoder, WeightSource};
use crate::text::{GgufTokenizer, Tokenizer};
use crate::{Error, Result};

pub use file::GgufFile;

/// Tensors of a GGUF file under their Hugging Face names.
pub struct GgufSource {
    file: GgufFile,
    layout: &'static Layout,
    heads: usize,
    kv_heads: usize,
}

impl GgufSource {
    pub fn open(path: &Path) -> Result<GgufSource> {
        let file = GgufFile::open(path)?;
        let architecture = file.metadata().get("general.architecture").and_then(Value::as_str);
        let architecture = architecture.unwrap_or_default();
        let layout = Layout::named(architecture).map_err(|message| Error::file(path, message))?;
        // What is not read would be missing from the model without a word.
        if let Some(name) = file.names().find(|name| !layout::is_known(name)) {
            let message = format!("has a tensor `{name}`, which is not known of `{architecture}`");
            return Err(Error::file(path, message));
        }
        let mut source = GgufSource { file, layout, heads: 0, kv_heads: 0 };
        source.heads = source.size("attention.head_count")? as usize;
        source.kv_heads = source.size("attention.head_count_kv").map_or(source.heads, |n| n as usize);
        Ok(source)
    }

    /// The key of a value that belongs to the architecture.
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.layout.name)
    }

    fn size(&self, key: &str) -> Result<f64> {
        self.number(&self.key(key))
    }

    fn value(&self, key: &str) -> Result<&Value> {
        let value = self.file.metadata().get(key);
        value.ok_or_else(|| Error::file(self.file.path(), format!("its metadata has no `{key}`")))
    }

    fn text(&self, key: &str) -> Result<String> {
        let text = self.value(key)?.as_str().map(str::to_owned);
        text.ok_or_else(|| Error::file(self.file.path(), format!("metadata `{key}` must be a text")))
    }

    fn number(&self, key: &str) -> Result<f64> {
        let number = self.value(key)?.as_f64();
        number.ok_or_else(|| Error::file(self.file.path(), format!("metadata `{key}` must be a number")))
    }

    /// The `config.json` that a Hugging Face folder of this model would hold.
    pub fn config(&self) -> Result<Config> {
        let mut values = Map::new();
        let size = |key: &str| self.size(key);
        values.insert("architectures".into(), json!([self.layout.class]));
        values.insert("model_type".into(), json!(self.layout.name));
        values.insert("hidden_size".into(), json!(size("embedding_length")? as u64));
        values.insert("intermediate_size".into(), json!(size("feed_forward_length")? as u64));
        values.insert("num_hidden_layers".into(), json!(size("block_count")? as u64));
        values.insert("num_attention_heads".into(), json!(self.heads));
        values.insert("num_key_value_heads".into(), json!(self.kv_heads));
        values.insert("hidden_act".into(), json!(self.layout.activation));
        for (key, stored) in [("attention_bias", "attn_q"), ("mlp_bias", "ffn_gate")] {
            values.insert(key.into(), json!(self.file.has(&format!("blk.0.{stored}.bias"))));
        }
        values.insert("rms_norm_eps".into(), json!(round7(size("attention.layer_norm_rms_epsilon")?)));
        values.insert("max_position_embeddings".into(), json!(size("context_length")? as u64));
        values.insert("rope_theta".into(), json!(self.rope_theta()));
        if let Ok(dim) = size("attention.key_length") {
            values.insert("head_dim".into(), json!(dim as u64));
        }
        let tied = !self.file.has("output.weight");
        values.insert("tie_word_embeddings".into(), json!(tied));
        values.insert("vocab_size".into(), json!(self.table_rows()?));
        for (key, token) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
            if let Ok(id) = self.number(&format!("tokenizer.ggml.{token}_token_id")) {
                values.insert(key.into(), json!(id as u64));
            }
        }
        values.insert("torch_dtype".into(), json!("float32"));
        self.scaling(&mut values)?;
        Ok(Config { path: self.file.path().to_owned(), values })
    }

    /// The tokenizer that the metadata describe.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let origin = self.file.path().display().to_string();
        let model = self.text("tokenizer.ggml.model")?;
        let pre = self.text("tokenizer.ggml.pre").ok();
        let chat_template = self.text("tokenizer.chat_template").ok();
        let id =
            |token: &str| self.number(&format!("tokenizer.ggml.{token}_token_id")).ok().map(|id| id as u32);
        let flag = |key: &str| self.file.metadata().get(key).and_then(Value::as_bool);
        let source = GgufTokenizer {
            origin: &origin,
            model: &model,
            pre: pre.as_deref(),
            tokens: self.list("tokenizer.ggml.tokens", |value| value.as_str().map(str::to_owned))?,
            // A score without a number is that of a token that is never chosen.
            scores: self
                .list("tokenizer.ggml.scores", |value| {
                    Some(value.as_f64().map_or(f32::NEG_INFINITY, |score| score as f32))
                })
                .unwrap_or_default(),
            token_types: self
                .list("tokenizer.ggml.token_type", |value| value.as_i64().map(|kind| kind as i32))
                .unwrap_or_default(),
            merges: self
                .list("tokenizer.ggml.merges", |value| value.as_str().map(str::to_owned))
                .unwrap_or_default(),
            bos: id("bos"),
            eos: id("eos"),
            unk: id("unknown"),
            pad: id("padding"),
            add_bos: flag("tokenizer.ggml.add_bos_token"),
            add_space_prefix: flag("tokenizer.ggml.add_space_prefix"),
            chat_template: chat_template.as_deref(),
        };
        Ok(Tokenizer::from_gguf(&source)?)
    }

    fn list<T>(&self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
        let list = self.value(key)?.as_array().and_then(|list| list.iter().map(read).collect());
        list.ok_or_else(|| {
            Error::file(self.file.path(), format!("metadata `{key}` is not a list of the right type"))
        })
    }

    fn scaling(&self, values: &mut Map<String, Value>) -> Result<()> {
        let scaling = if self.file.has(ROPE_DIVISORS) {
            Some(self.divisors()?)
        } else {
            let kind = self.text(&self.key("rope.scaling.type")).ok().filter(|kind| kind != "none");
            kind.map(|kind| self.stretch(&kind)).transpose()?
        };
        if let Some(scaling) = scaling {
            values.insert("rope_scaling".into(), Value::Object(scaling));
        }
        Ok(())
    }

    /// Stretching that the metadata describe.
    fn stretch(&self, kind: &str) -> Result<Map<String, Value>> {
        let mut scaling = Map::new();
        scaling.insert("rope_type".into(), json!(kind));
        scaling.insert("factor".into(), json!(self.size("rope.scaling.factor")?));
        let original = self.size("rope.scaling.original_context_length").ok();
        let optional = [
            ("original_max_position_embeddings", original.map(|length| json!(length as u64))),
            ("beta_fast", self.size("rope.scaling.yarn_beta_fast").ok().map(|beta| json!(beta))),
            ("beta_slow", self.size("rope.scaling.yarn_beta_slow").ok().map(|beta| json!(beta))),
        ];
        scaling.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Ok(scaling)
    }

    /// What divides each rotary frequency: Llama 3's way where the numbers are those of its formula, otherwise
    /// as they are.
    fn divisors(&self) -> Result<Map<String, Value>> {
        let divisors: Vec<f32> = self.file.tensor(ROPE_DIVISORS)?.flatten_all()?.to_vec1()?;
        let factor = divisors.iter().copied().fold(1.0, f32::max);
        // Parameters of every published Llama, and those that llama.cpp assumes where none are given.
        let (low, high, original) = (1.0, 4.0, 8192);
        let theta = self.rope_theta();
        let plain = RopeSpec::plain(theta, 2 * divisors.len());
        let scaling = RopeScaling::Llama3 { factor: factor.into(), low, high, original };
        let llama3 = RopeSpec { scaling, ..plain.clone() };
        let pairs = plain.frequencies(0).0.into_iter().zip(llama3.frequencies(0).0);
        let same = pairs
            .zip(&divisors)
            .all(|((plain, ours), divisor)| (plain / divisor - ours).abs() <= 1e-4 * ours);
        let scaling = if same {
            json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": original,
            })
        } else {
            let original = self.size("context_length")? as u64;
            json!({
                "rope_type": "longrope",
                "factor": 1.0,
                "short_factor": divisors,
                "long_factor": divisors,
                "original_max_position_embeddings": original,
            })
        };
        Ok(scaling.as_object().cloned().unwrap_or_default())
    }

    fn rope_theta(&self) -> f64 {
        self.size("rope.freq_base").unwrap_or(10_000.0)
    }

    fn table_rows(&self) -> Result<usize> {
        let shape = self.file.shape("token_embd.weight");
        let shape =
            shape.ok_or_else(|| Error::file(self.file.path(), "has no tensor `token_embd.weight`"))?;
        Ok(shape.first().copied().unwrap_or(0))
    }

    /// llama.cpp stores q and k with each head's halves interleaved; this undoes it.
    fn unpermute(&self, tensor: Tensor, heads: usize) -> Result<Tensor> {
        let dims = tensor.dims().to_vec();
        let (rows, rest) = (dims[0], dims[1..].iter().product::<usize>());
        let dim = rows / heads;
        let pairs = tensor.reshape((heads, dim / 2, 2, rest))?;
        Ok(pairs.transpose(1, 2)?.contiguous()?.reshape(dims)?)
    }
}

/// GGUF keeps f32: 1e-5 comes back as 9.999999747e-6.
fn round7(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}

impl WeightSource for GgufSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let stored = layout::stored_name(name).filter(|stored| self.file.has(stored));
        let stored = stored.ok_or_else(|| {
            Error::file(self.file.path(), format!("has no tensor `{name}`, which its configuration asks for"))
        })?;
        let tensor = check_shape(self.file.path(), name, self.file.tensor(&stored)?, shape)?;
        match name {
            _ if !self.layout.interleaved => Ok(tensor),
            _ if name.contains(".q_proj.") => self.unpermute(tensor, self.heads),
            _ if name.contains(".k_proj.") => self.unpermute(tensor, self.kv_heads),
            _ => Ok(tensor),
        }
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        let weight = self.tensor(name, shape)?;
        Ok(if one_plus && self.layout.whole_norms { (weight - 1.0)? } else { weight })
    }

    /// llama.cpp writes what the architecture has, and no more.
    fn check_read(&self, _decoder: &Decoder) -> Result<()> {
        Ok(())
    }
}
