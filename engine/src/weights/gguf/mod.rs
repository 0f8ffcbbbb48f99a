//! GGUF files: configuration from the metadata, weights dequantised on load.
//!
//! Names and layouts are llama.cpp's; they are turned back into those of Hugging Face, so that everything
//! else (adapters, exports) is the same whichever file a model came from.

mod file;
mod types;

use std::path::Path;

use candle_core::Tensor;
use serde_json::{Map, Value, json};

use super::check_shape;
use crate::families::Config;
use crate::model::{Decoder, WeightSource};
use crate::text::{GgufTokenizer, Tokenizer};
use crate::{Error, Result};

pub use file::GgufFile;

/// Tensors of a GGUF file under their Hugging Face names.
pub struct GgufSource {
    file: GgufFile,
    heads: usize,
    kv_heads: usize,
}

/// Architectures whose file layout is known.
const ARCHITECTURES: &[&str] = &["llama"];

impl GgufSource {
    pub fn open(path: &Path) -> Result<GgufSource> {
        let mut source = GgufSource { file: GgufFile::open(path)?, heads: 0, kv_heads: 0 };
        let architecture = source.text("general.architecture")?;
        if !ARCHITECTURES.contains(&architecture.as_str()) {
            let known = ARCHITECTURES.join(", ");
            let message = format!("holds the architecture `{architecture}`; supported in GGUF is {known}");
            return Err(Error::file(path, message));
        }
        source.heads = source.number("llama.attention.head_count")? as usize;
        source.kv_heads = source.number("llama.attention.head_count_kv").map_or(source.heads, |n| n as usize);
        Ok(source)
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
        let size = |key: &str| self.number(&format!("llama.{key}"));
        values.insert("architectures".into(), json!(["LlamaForCausalLM"]));
        values.insert("model_type".into(), json!("llama"));
        values.insert("hidden_size".into(), json!(size("embedding_length")? as u64));
        values.insert("intermediate_size".into(), json!(size("feed_forward_length")? as u64));
        values.insert("num_hidden_layers".into(), json!(size("block_count")? as u64));
        values.insert("num_attention_heads".into(), json!(self.heads));
        values.insert("num_key_value_heads".into(), json!(self.kv_heads));
        values.insert("hidden_act".into(), json!("silu"));
        values.insert("rms_norm_eps".into(), json!(round7(size("attention.layer_norm_rms_epsilon")?)));
        values.insert("max_position_embeddings".into(), json!(size("context_length")? as u64));
        values.insert("rope_theta".into(), json!(size("rope.freq_base").unwrap_or(10_000.0)));
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
        if self.file.has("rope_freqs.weight") {
            let message = "carries its own rotary frequencies (rope_freqs), which are not supported; \
                           use the model's safetensors folder";
            return Err(Error::file(self.file.path(), message));
        }
        let kind = self.text("llama.rope.scaling.type").ok().filter(|kind| kind != "none");
        if let Some(kind) = kind {
            let factor = self.number("llama.rope.scaling.factor")?;
            values.insert("rope_scaling".into(), json!({"rope_type": kind, "factor": factor}));
        }
        Ok(())
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

/// The GGUF name of a tensor.
fn gguf_name(name: &str) -> Option<String> {
    let (module, part) = name.rsplit_once('.')?;
    let renamed = match module {
        "model.embed_tokens" => "token_embd".to_owned(),
        "model.norm" => "output_norm".to_owned(),
        "lm_head" => "output".to_owned(),
        _ => {
            let (layer, module) = module.strip_prefix("model.layers.")?.split_once('.')?;
            let short = match module {
                "input_layernorm" => "attn_norm",
                "post_attention_layernorm" => "ffn_norm",
                "self_attn.q_proj" => "attn_q",
                "self_attn.k_proj" => "attn_k",
                "self_attn.v_proj" => "attn_v",
                "self_attn.o_proj" => "attn_output",
                "mlp.gate_proj" => "ffn_gate",
                "mlp.up_proj" => "ffn_up",
                "mlp.down_proj" => "ffn_down",
                _ => return None,
            };
            format!("blk.{layer}.{short}")
        }
    };
    Some(format!("{renamed}.{part}"))
}

impl WeightSource for GgufSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let stored = gguf_name(name).filter(|stored| self.file.has(stored));
        let stored = stored.ok_or_else(|| {
            Error::file(self.file.path(), format!("has no tensor `{name}`, which its configuration asks for"))
        })?;
        let tensor = check_shape(self.file.path(), name, self.file.tensor(&stored)?, shape)?;
        match name {
            _ if name.contains(".q_proj.") => self.unpermute(tensor, self.heads),
            _ if name.contains(".k_proj.") => self.unpermute(tensor, self.kv_heads),
            _ => Ok(tensor),
        }
    }

    /// llama.cpp writes what the architecture has, and no more.
    fn check_read(&self, _decoder: &Decoder) -> Result<()> {
        Ok(())
    }
}
