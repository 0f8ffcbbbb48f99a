//! How llama.cpp lays architectures out: which of Hugging Face's they are, and what their tensors are called.
//!
//! Names are those of llama.cpp's `gguf-py/gguf/constants.py`, layouts those of its `convert_hf_to_gguf.py`.

/// An architecture whose file layout is known.
#[derive(Debug)]
pub struct Layout {
    /// `general.architecture`, with which the keys of its metadata begin; `model_type` is the same.
    pub name: &'static str,
    /// Of `architectures` in the `config.json`.
    pub class: &'static str,
    pub activation: &'static str,
    /// Queries and keys are stored with the halves of each head interleaved.
    pub interleaved: bool,
    /// Norms that are differences from one are stored as their sum with one.
    pub whole_norms: bool,
}

const LAYOUTS: &[Layout] = &[
    Layout {
        name: "llama",
        class: "LlamaForCausalLM",
        activation: "silu",
        interleaved: true,
        whole_norms: false,
    },
    Layout {
        name: "qwen2",
        class: "Qwen2ForCausalLM",
        activation: "silu",
        interleaved: false,
        whole_norms: false,
    },
    Layout {
        name: "qwen3",
        class: "Qwen3ForCausalLM",
        activation: "silu",
        interleaved: false,
        whole_norms: false,
    },
    Layout {
        name: "gemma",
        class: "GemmaForCausalLM",
        activation: "gelu_pytorch_tanh",
        interleaved: false,
        whole_norms: true,
    },
];

/// Modules of the model and of a block: the file's name, and Hugging Face's.
const MODULES: &[(&str, &str)] =
    &[("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];
const BLOCK_MODULES: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// A divisor for each rotary frequency, as Llama 3.1 stretches them.
pub const ROPE_DIVISORS: &str = "rope_freqs.weight";

impl Layout {
    /// # Errors
    /// A sentence that names what is supported.
    pub fn named(name: &str) -> Result<&'static Layout, String> {
        LAYOUTS.iter().find(|layout| layout.name == name).ok_or_else(|| {
            let known: Vec<_> = LAYOUTS.iter().map(|layout| layout.name).collect();
            format!("holds the architecture `{name}`; supported in GGUF are {}", known.join(", "))
        })
    }
}

/// The file's name of a tensor.
pub fn stored_name(name: &str) -> Option<String> {
    let find = |modules: &[(&'static str, &str)], module: &str| {
        modules.iter().find(|(_, ours)| *ours == module).map(|(theirs, _)| *theirs)
    };
    let (module, part) = name.rsplit_once('.')?;
    if let Some(stored) = find(MODULES, module) {
        return Some(format!("{stored}.{part}"));
    }
    let (layer, module) = module.strip_prefix("model.layers.")?.split_once('.')?;
    Some(format!("blk.{layer}.{}.{part}", find(BLOCK_MODULES, module)?))
}

/// Whether a tensor of a file is one that is read.
pub fn is_known(stored: &str) -> bool {
    let known = |modules: &[(&str, &str)], module: &str| modules.iter().any(|(theirs, _)| *theirs == module);
    let Some((module, part)) = stored.rsplit_once('.') else { return false };
    let module_known = match module.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((_, module)) => known(BLOCK_MODULES, module),
        None => known(MODULES, module),
    };
    stored == ROPE_DIVISORS || module_known && matches!(part, "weight" | "bias")
}
