//! What the tokenizer classes of transformers 5.6 know by themselves: which of them reads a folder, the tokens that they
//! give a role where the configuration does not, and how they split text.

use serde_json::{Map, Value, json};

use super::byte_level::{QWEN_SPLIT, byte_level, split};

/// The class of a `tokenizer.json` that needs no code of its own.
pub(super) const FAST: &str = "PreTrainedTokenizerFast";

/// The keys of tokens with a role, in the order in which those are added that the vocabulary lacks.
pub(super) const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Classes that put BOS before plain text unless told otherwise.
const BOS_BY_DEFAULT: [&str; 6] = [
    "LlamaTokenizer",
    "CodeLlamaTokenizer",
    "GemmaTokenizer",
    "BaichuanTokenizer",
    "InternLMTokenizer",
    "InternLM2Tokenizer",
];

/// The class that reads a folder, without the `Fast` that older files put behind it: `tokenizer_class` of the
/// tokenizer's or the model's configuration, or the one of the model's type.
pub(super) fn class_of(tokenizer: &Map<String, Value>, model: &Map<String, Value>) -> String {
    let text = |config: &Map<String, Value>, key: &str| config.get(key)?.as_str().map(str::to_owned);
    let class = text(tokenizer, "tokenizer_class").or_else(|| text(model, "tokenizer_class"));
    let by_type = || of_model_type(&text(model, "model_type")?).map(str::to_owned);
    match class.or_else(by_type).unwrap_or_default() {
        class if class == FAST => class,
        class => class.strip_suffix("Fast").map(str::to_owned).unwrap_or(class),
    }
}

fn of_model_type(model_type: &str) -> Option<&'static str> {
    Some(match model_type {
        "gpt2" | "gpt_bigcode" | "gpt_neo" | "gptj" | "codegen" | "phi" | "opt" | "starcoder2"
        | "granite" | "granitemoe" | "granitemoehybrid" | "granitemoeshared" | "dbrx" | "flex_olmo"
        | "jais2" => "GPT2Tokenizer",
        "gpt_neox" | "olmo" | "olmo2" | "olmoe" | "stablelm" | "mpt" | "mamba" | "mamba2"
        | "falcon_mamba" | "rwkv" | "xlstm" => "GPTNeoXTokenizer",
        "qwen2" | "qwen2_moe" | "qwen2_vl" | "qwen2_5_vl" | "qwen2_audio" | "qwen3" | "qwen3_moe"
        | "qwen3_next" | "qwen3_vl" | "qwen3_vl_moe" => "Qwen2Tokenizer",
        "cohere" | "cohere2" => "CohereTokenizer",
        "gemma" | "gemma2" | "gemma3" | "gemma3_text" | "gemma3n" | "gemma3n_text" | "recurrent_gemma" => {
            "GemmaTokenizer"
        }
        "code_llama" => "CodeLlamaTokenizer",
        "roberta" | "bart" => "RobertaTokenizer",
        _ => return None,
    })
}

/// The token that a class gives the role of a key of [`ROLES`].
pub(super) fn default_role(class: &str, role: &str) -> Option<&'static str> {
    const END: &str = "<|endoftext|>";
    // In the order of the keys.
    let tokens = match class {
        "GPT2Tokenizer" | "CodeGenTokenizer" => [END, END, END, "", "", "", ""],
        "GPTNeoXTokenizer" => [END, END, END, "", "<|padding|>", "", ""],
        "Qwen2Tokenizer" => ["", END, END, "", END, "", ""],
        "CohereTokenizer" => {
            ["<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<SEP>", "<PAD>", "<CLS>", "<MASK_TOKEN>"]
        }
        "RobertaTokenizer" => ["<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"],
        "LlamaTokenizer" | "CodeLlamaTokenizer" => ["<s>", "</s>", "<unk>", "", "", "", ""],
        "GemmaTokenizer" => ["<bos>", "<eos>", "<unk>", "", "<pad>", "", "<mask>"],
        _ => return None,
    };
    let place = ROLES.iter().position(|key| *key == role)?;
    Some(tokens[place]).filter(|token| !token.is_empty())
}

pub(super) fn adds_bos(class: &str, config: &Map<String, Value>) -> bool {
    let told = config.get("add_bos_token").and_then(Value::as_bool);
    told.unwrap_or_else(|| BOS_BY_DEFAULT.contains(&class))
}

/// Whether a class adds what has a role or is listed once more, as special.
pub(super) fn insists(class: &str) -> bool {
    matches!(class, "Qwen2Tokenizer" | "CohereTokenizer")
}

/// Classes that can be built of `vocab.json` and `merges.txt`.
pub(super) const BYTE_LEVEL: [&str; 6] = [
    "GPT2Tokenizer",
    "Qwen2Tokenizer",
    "GPTNeoXTokenizer",
    "CodeGenTokenizer",
    "CohereTokenizer",
    "RobertaTokenizer",
];

/// Normalizer and pre-tokenizer of a class of [`BYTE_LEVEL`].
pub(super) fn splitting(class: &str, prefix: bool) -> (Value, Value) {
    let mut words = byte_level(true);
    words["add_prefix_space"] = json!(prefix);
    let composed = json!({"type": "NFC"});
    match class {
        "Qwen2Tokenizer" => {
            let mut split = split(QWEN_SPLIT);
            split["pretokenizers"][1]["add_prefix_space"] = json!(prefix);
            (composed, split)
        }
        "CohereTokenizer" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (composed, json!({"type": "Sequence", "pretokenizers": [digits, words]}))
        }
        "GPTNeoXTokenizer" => (composed, words),
        _ => (Value::Null, words),
    }
}
