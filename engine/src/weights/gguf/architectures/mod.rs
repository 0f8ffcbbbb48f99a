//! llama.cpp's architectures as data: which family of the engine each is, and which `config.json` its metadata mean.
//!
//! Keys of metadata are those of llama.cpp's `gguf-py/gguf/constants.py`, their meaning and defaults those of its
//! converters (`conversion/`) and of its `src/models/`; keys of configurations are transformers'. Tensors need no data
//! here: the family says what each of them is for, and llama.cpp calls tensors by what they are for.

mod classic;
mod deepseek;
mod glm;
mod llama;
mod rope;

use serde_json::{Map, Value, json};

use super::metadata::Metadata;
use crate::families::Config;
use crate::{Error, Result};

pub(super) use rope::is_divisors;

/// An architecture that llama.cpp and the engine know.
pub(super) struct Architecture {
    /// `general.architecture`.
    name: &'static str,
    /// `model_type` and `architectures` of the configuration, where [`Keys`] do not say otherwise.
    family: (&'static str, &'static str),
    pub pairs: Pairs,
    keys: Keys,
}

/// The keys of a configuration in which an architecture differs from others.
type Keys = fn(&Metadata) -> Result<Value>;

/// Which dimensions of a head are rotated together: `llama_model_rope_type` of llama.cpp.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// Neighbours (`LLAMA_ROPE_TYPE_NORM`).
    Adjacent,
    /// One of each half (`LLAMA_ROPE_TYPE_NEOX`), or none.
    Halves,
}

use Pairs::{Adjacent, Halves};

const fn entry(
    name: &'static str,
    family: (&'static str, &'static str),
    pairs: Pairs,
    keys: Keys,
) -> Architecture {
    Architecture { name, family, pairs, keys }
}

const ARCHITECTURES: &[Architecture] = &[
    entry("baichuan", ("baichuan", "BaichuanForCausalLM"), Adjacent, llama::baichuan),
    entry("bloom", ("bloom", "BloomForCausalLM"), Halves, classic::bloom),
    entry("chatglm", ("glm", "GlmForCausalLM"), Adjacent, glm::chatglm),
    entry("cohere2", ("cohere2", "Cohere2ForCausalLM"), Adjacent, llama::cohere2),
    entry("command-r", ("cohere", "CohereForCausalLM"), Adjacent, llama::cohere),
    entry("deepseek", ("deepseek", "DeepseekForCausalLM"), Adjacent, deepseek::deepseek),
    entry("deepseek2", ("deepseek_v2", "DeepseekV2ForCausalLM"), Adjacent, deepseek::deepseek2),
    entry("falcon", ("falcon", "FalconForCausalLM"), Halves, classic::falcon),
    entry("gemma", ("gemma", "GemmaForCausalLM"), Halves, llama::gemma),
    entry("gemma2", ("gemma2", "Gemma2ForCausalLM"), Halves, llama::gemma2),
    entry("gemma3", ("gemma3_text", "Gemma3ForCausalLM"), Halves, llama::gemma3),
    entry("glm4", ("glm4", "Glm4ForCausalLM"), Adjacent, glm::glm4),
    entry("gpt2", ("gpt2", "GPT2LMHeadModel"), Halves, classic::gpt2),
    entry("gptneox", ("gpt_neox", "GPTNeoXForCausalLM"), Halves, classic::gpt_neox),
    entry("granite", ("granite", "GraniteForCausalLM"), Adjacent, llama::granite),
    entry("internlm2", ("internlm2", "InternLM2ForCausalLM"), Adjacent, llama::internlm2),
    entry("llama", ("llama", "LlamaForCausalLM"), Adjacent, llama::llama),
    entry("minicpm", ("granite", "GraniteForCausalLM"), Adjacent, llama::minicpm),
    entry("olmo", ("olmo", "OlmoForCausalLM"), Adjacent, llama::olmo),
    entry("olmo2", ("olmo2", "Olmo2ForCausalLM"), Halves, llama::plain),
    entry("phi2", ("phi", "PhiForCausalLM"), Halves, classic::phi2),
    entry("phi3", ("phi3", "Phi3ForCausalLM"), Halves, llama::phi3),
    entry("qwen", ("qwen", "QWenLMHeadModel"), Halves, llama::qwen),
    entry("qwen2", ("qwen2", "Qwen2ForCausalLM"), Halves, llama::plain),
    entry("qwen2moe", ("qwen2_moe", "Qwen2MoeForCausalLM"), Halves, llama::qwen2_moe),
    entry("qwen3", ("qwen3", "Qwen3ForCausalLM"), Halves, llama::plain),
    entry("qwen3moe", ("qwen3_moe", "Qwen3MoeForCausalLM"), Halves, llama::qwen3_moe),
    entry("smollm3", ("smollm3", "SmolLM3ForCausalLM"), Adjacent, llama::smollm3),
    entry("starcoder2", ("starcoder2", "Starcoder2ForCausalLM"), Halves, llama::starcoder2),
    entry("xverse", ("xverse", "XverseForCausalLM"), Adjacent, llama::plain),
];

impl Architecture {
    /// The architecture of a file.
    ///
    /// # Errors
    /// Names those that are supported.
    pub(super) fn of(metadata: &Metadata) -> Result<&'static Architecture> {
        let name = metadata.architecture;
        ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
            let known: Vec<_> = ARCHITECTURES.iter().map(|known| known.name).collect();
            let message =
                format!("holds the architecture `{name}`; supported in GGUF are {}", known.join(", "));
            Error::file(metadata.file.path(), message)
        })
    }

    /// The `config.json` that a folder of this model would hold.
    ///
    /// # Errors
    /// Names the key that is missing, wrong, or changes the model in a way that is not supported.
    pub(super) fn config(&self, metadata: &Metadata) -> Result<Config> {
        let file = metadata.file;
        if !metadata.flag_or("attention.causal", true)? {
            return Err(metadata.error("attention.causal", "is false: only causal models are supported"));
        }
        let table = file.shape("token_embd.weight");
        let table = table.ok_or_else(|| Error::file(file.path(), "has no tensor `token_embd.weight`"))?;
        let (model_type, class) = self.family;
        let mut values = object(json!({
            "architectures": [class],
            "model_type": model_type,
            "vocab_size": table.first(),
            "tie_word_embeddings": !file.has("output.weight"),
            "torch_dtype": "float32",
        }));
        for (key, token) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
            let id = file.metadata().get(&format!("tokenizer.ggml.{token}_token_id"));
            values.extend(id.map(|id| (key.to_owned(), id.clone())));
        }
        values.extend(object((self.keys)(metadata)?));
        metadata.check_all_read()?;
        Ok(Config { path: file.path().to_owned(), values })
    }
}

/// `LLAMA_EXPERT_GATING_FUNC_TYPE_*` of llama.cpp.
const SOFTMAX: usize = 1;
const SIGMOID: usize = 2;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}

/// One object with the keys of both; those of the second count.
fn with(first: Value, second: Value) -> Value {
    let mut values = object(first);
    values.extend(object(second));
    Value::Object(values)
}

/// Layers that generate text; what predicts further tokens lies behind them.
fn layers(metadata: &Metadata) -> Result<usize> {
    Ok(metadata.size("block_count")?.saturating_sub(metadata.size_or("nextn_predict_layers", 0)?))
}

/// Width of the inner layer. Some converters write four times the outer one whatever it is; the tensor knows.
fn width(metadata: &Metadata) -> Result<usize> {
    let written = metadata.size("feed_forward_length")?;
    let down = metadata.file.shape("blk.0.ffn_down.weight");
    Ok(down.and_then(|shape| shape.last().copied()).unwrap_or(written))
}

/// Experts are chosen by the softmax of their scores, which newer files say.
fn check_softmax(metadata: &Metadata) -> Result<()> {
    match metadata.size_or("expert_gating_func", SOFTMAX)? {
        0 | SOFTMAX => Ok(()),
        other => {
            let message = format!("is {other}; supported for this architecture is {SOFTMAX} (softmax)");
            Err(metadata.error("expert_gating_func", message))
        }
    }
}

/// Dimensions of a head; values must have as many as keys.
fn head_dim(metadata: &Metadata) -> Result<usize> {
    let default = metadata.size("embedding_length")? / metadata.size("attention.head_count")?.max(1);
    let dim = metadata.size_or("attention.key_length", default)?;
    match metadata.size_or("attention.value_length", dim)? {
        value if value == dim => Ok(dim),
        value => {
            let message = format!("is {value}, but keys have {dim} dimensions, which is not supported");
            Err(metadata.error("attention.value_length", message))
        }
    }
}

/// Whose family has no window: one that is as long as the context changes nothing.
fn refuse_window(metadata: &Metadata) -> Result<()> {
    let window = metadata.size_or("attention.sliding_window", 0)?;
    if window == 0 || window >= metadata.size("context_length")? {
        return Ok(());
    }
    let message = format!("is {window}, which is not supported for this architecture");
    Err(metadata.error("attention.sliding_window", message))
}

/// `layer_types` as `attention.sliding_window_pattern` says: true for layers with a window, or every how many layers one
/// has none.
fn layer_types(metadata: &Metadata, default: usize) -> Result<Vec<&'static str>> {
    let key = "attention.sliding_window_pattern";
    let layers = layers(metadata)?;
    let named = |slides: bool| if slides { "sliding_attention" } else { "full_attention" };
    let every = match metadata.get(key) {
        Some(Value::Array(list)) => {
            let slides = list.iter().map(|entry| entry.as_bool().or(entry.as_u64().map(|entry| entry != 0)));
            let slides: Option<Vec<_>> = slides.map(|slides| slides.map(named)).collect();
            let slides = slides.filter(|list| list.len() >= layers);
            let mut slides =
                slides.ok_or_else(|| metadata.error(key, "must have true or false for each layer"))?;
            slides.truncate(layers);
            return Ok(slides);
        }
        Some(_) => metadata.size(key)?,
        None => default,
    };
    Ok((0..layers).map(|layer| named(every != 0 && !(layer + 1).is_multiple_of(every))).collect())
}
