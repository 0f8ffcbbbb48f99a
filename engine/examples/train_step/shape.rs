//! The shapes that benchmarks measure: configurations of Llama models.

use std::path::PathBuf;

use engine::families::Config;
use serde_json::{Value, json};

/// The configuration of a shape by name, with so many layers instead of its own.
///
/// # Errors
/// There is no such shape.
pub fn config(shape: &str, layers: Option<usize>) -> Result<Config, String> {
    let sizes = match shape {
        "135m" => json!({
            "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3,
        }),
        "tiny" => json!({
            "vocab_size": 512, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2,
        }),
        other => return Err(format!("unknown shape {other}: give 135m or tiny")),
    };
    let common = json!({
        "model_type": "llama", "max_position_embeddings": 4096, "tie_word_embeddings": true, "rms_norm_eps": 1e-5,
    });
    let (Value::Object(mut all), Value::Object(common)) = (sizes, common) else { return Err(String::new()) };
    all.extend(common);
    all.extend(layers.map(|layers| ("num_hidden_layers".to_owned(), json!(layers))));
    Ok(Config { path: PathBuf::from(shape), values: all })
}
