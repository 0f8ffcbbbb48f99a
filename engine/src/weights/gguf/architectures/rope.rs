//! Rotary positions: `rope.*` and the tensors with a divisor for each frequency.

use serde_json::{Map, Value, json};

use super::{head_dim, with};
use crate::Result;
use crate::families::{RopeScaling, RopeSpec};
use crate::weights::gguf::metadata::Metadata;

/// A divisor for each rotary frequency, as Llama 3.1 stretches them.
const DIVISORS: &str = "rope_freqs.weight";
/// Divisors of LongRoPE, within the context that the model was trained on and beyond it.
const SHORT: &str = "rope_factors_short.weight";
const LONG: &str = "rope_factors_long.weight";

/// Whether a tensor is read as part of the configuration.
pub(crate) fn is_divisors(name: &str) -> bool {
    [DIVISORS, SHORT, LONG].contains(&name)
}

pub(super) fn theta(metadata: &Metadata) -> Result<f64> {
    metadata.number_or("rope.freq_base", 10_000.0)
}

/// `rope_theta` and `rope_scaling` of a model that rotates whole heads.
pub(super) fn whole(metadata: &Metadata) -> Result<Value> {
    let (rotated, dim) = (rotated(metadata)?, head_dim(metadata)?);
    if rotated != dim {
        let message = format!("is {rotated}, but heads have {dim} dimensions, all of which are rotated");
        return Err(metadata.error("rope.dimension_count", message));
    }
    positions(metadata)
}

/// The same of one that may rotate a part of each head.
pub(super) fn partial(metadata: &Metadata) -> Result<Value> {
    let part = rotated(metadata)? as f64 / head_dim(metadata)? as f64;
    Ok(with(positions(metadata)?, json!({"partial_rotary_factor": part})))
}

fn rotated(metadata: &Metadata) -> Result<usize> {
    metadata.size_or("rope.dimension_count", head_dim(metadata)?)
}

/// `rope_theta` and `rope_scaling`.
pub(super) fn positions(metadata: &Metadata) -> Result<Value> {
    let mut values = Map::new();
    values.insert("rope_theta".into(), json!(theta(metadata)?));
    if let Some(scaling) = scaling(metadata)? {
        values.insert("rope_scaling".into(), scaling);
    }
    Ok(Value::Object(values))
}

fn scaling(metadata: &Metadata) -> Result<Option<Value>> {
    // An older key, which says the same.
    let old = metadata.number_or("rope.scale_linear", 1.0)?;
    let factor = metadata.number_or("rope.scaling.factor", old)?;
    let kind = metadata.text_if("rope.scaling.type")?;
    // Without YaRN or LongRoPE this is the context itself.
    let original = metadata.size_if("rope.scaling.original_context_length")?;
    let attention = match metadata.number_if("rope.scaling.attn_factor")? {
        Some(attention) => Some(attention),
        None => metadata.number_if("rope.scaling.yarn_attn_factor")?,
    };
    let file = metadata.file;
    if file.has(LONG) {
        let mut longrope = json!({
            "rope_type": "longrope",
            "short_factor": divisors(metadata, SHORT)?,
            "long_factor": divisors(metadata, LONG)?,
            "original_max_position_embeddings": original.unwrap_or(metadata.size("context_length")?),
        });
        if let Some(attention) = attention {
            longrope["attention_factor"] = json!(attention);
        }
        return Ok(Some(longrope));
    }
    if file.has(DIVISORS) {
        return llama3(metadata).map(Some);
    }
    match kind.unwrap_or("linear") {
        "none" => Ok(None),
        "linear" if factor <= 1.0 => Ok(None),
        "linear" => Ok(Some(json!({"rope_type": "linear", "factor": factor}))),
        "yarn" => yarn(metadata, factor, original, attention).map(Some),
        "longrope" => {
            let message = format!("is longrope, but there is no tensor `{LONG}`");
            Err(metadata.error("rope.scaling.type", message))
        }
        other => {
            let message = format!("is `{other}`; supported are none, linear, yarn, longrope");
            Err(metadata.error("rope.scaling.type", message))
        }
    }
}

fn yarn(metadata: &Metadata, factor: f64, original: Option<usize>, attention: Option<f64>) -> Result<Value> {
    let mut scaling = json!({
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": original.unwrap_or(metadata.size("context_length")?),
    });
    for (key, stored) in [("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
        if let Some(beta) = metadata.number_if(&format!("rope.scaling.{stored}"))? {
            scaling[key] = json!(beta);
        }
    }
    if let Some(attention) = attention {
        scaling["attention_factor"] = json!(attention);
    }
    // Anything but one mixes the two kinds of frequencies in another proportion.
    let extrapolation = metadata.number_or("rope.scaling.yarn_ext_factor", 1.0)?;
    if extrapolation != 1.0 {
        let message = format!("is {extrapolation}; only 1 is supported");
        return Err(metadata.error("rope.scaling.yarn_ext_factor", message));
    }
    Ok(scaling)
}

fn divisors(metadata: &Metadata, name: &str) -> Result<Vec<f32>> {
    Ok(metadata.file.tensor(name)?.flatten_all()?.to_vec1()?)
}

/// What divides each rotary frequency: Llama 3's way where the numbers are those of its formula, otherwise as they
/// are.
fn llama3(metadata: &Metadata) -> Result<Value> {
    let divisors = divisors(metadata, DIVISORS)?;
    let factor = divisors.iter().copied().fold(1.0, f32::max);
    // Parameters of every published Llama, and those that llama.cpp assumes where none are given.
    let (low, high, original) = (1.0, 4.0, 8192);
    let plain = RopeSpec::plain(theta(metadata)?, 2 * divisors.len());
    let scaling = RopeScaling::Llama3 { factor: factor.into(), low, high, original };
    let llama3 = RopeSpec { scaling, ..plain.clone() };
    let pairs = plain.frequencies(0).0.into_iter().zip(llama3.frequencies(0).0);
    let same =
        pairs.zip(&divisors).all(|((plain, ours), divisor)| (plain / divisor - ours).abs() <= 1e-4 * ours);
    Ok(if same {
        json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": original,
        })
    } else {
        json!({
            "rope_type": "longrope",
            "factor": 1.0,
            "short_factor": divisors,
            "long_factor": divisors,
            "original_max_position_embeddings": metadata.size("context_length")?,
        })
    })
}
