//! Models of a folder, written as llama.cpp's converter writes them, come back the same.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use crate::families::RopeScaling;
use crate::model::Tuning;
use crate::weights::{ModelFiles, open};

/// Names as in llama.cpp's `gguf-py/gguf/tensor_mapping.py`.
const NAMES: &[(&str, &str)] = &[
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("model.layers.", "blk."),
    ("lm_head", "output"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/models").join(name)
}

struct Gguf {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Tensor)>,
}

impl Gguf {
    /// The model in a folder, as its converter writes it.
    fn of(folder: &Path, architecture: &str) -> Gguf {
        let text = fs::read_to_string(folder.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let keys = [
            ("hidden_size", "embedding_length"),
            ("intermediate_size", "feed_forward_length"),
            ("num_hidden_layers", "block_count"),
            ("num_attention_heads", "attention.head_count"),
            ("num_key_value_heads", "attention.head_count_kv"),
            ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
            ("max_position_embeddings", "context_length"),
            ("rope_theta", "rope.freq_base"),
            ("head_dim", "attention.key_length"),
        ];
        let mut metadata = vec![("general.architecture".to_owned(), json!(architecture))];
        for (theirs, key) in keys {
            if let Some(value) = config.get(theirs) {
                metadata.push((format!("{architecture}.{key}"), value.clone()));
            }
        }
        let weights = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
        let heads = |key: &str| config[key].as_u64().unwrap() as usize;
        let tensors = weights.into_iter().map(|(name, tensor)| {
            let mut tensor = tensor.to_dtype(DType::F32).unwrap();
            if architecture == "llama" && name.contains(".q_proj.") {
                tensor = interleave(&tensor, heads("num_attention_heads"));
            }
            if architecture == "llama" && name.contains(".k_proj.") {
                tensor = interleave(&tensor, heads("num_key_value_heads"));
            }
            if architecture == "gemma" && name.contains("norm") {
                tensor = (tensor + 1.0).unwrap();
            }
            let stored = NAMES.iter().fold(name, |name, (theirs, ours)| name.replace(theirs, ours));
            (stored, tensor)
        });
        Gguf { tensors: tensors.collect(), metadata }
    }

    fn write(&self) -> tempfile::TempPath {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            file.extend(text(key));
            match value {
                Value::String(value) => file.extend([&8u32.to_le_bytes()[..], &text(value)].concat()),
                value if value.is_u64() => {
                    file.extend(10u32.to_le_bytes());
                    file.extend(value.as_u64().unwrap().to_le_bytes());
                }
                value => {
                    file.extend(6u32.to_le_bytes());
                    file.extend((value.as_f64().unwrap() as f32).to_le_bytes());
                }
            }
        }
        let mut data = Vec::new();
        for (name, tensor) in &self.tensors {
            file.extend(text(name));
            file.extend((tensor.rank() as u32).to_le_bytes());
            tensor.dims().iter().rev().for_each(|dim| file.extend((*dim as u64).to_le_bytes()));
            file.extend(0u32.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            data.extend(values.into_iter().flat_map(f32::to_le_bytes));
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        let path = tempfile::Builder::new().suffix(".gguf").tempfile().unwrap().into_temp_path();
        fs::write(&path, file).unwrap();
        path
    }

    fn open(&self) -> ModelFiles {
        open(&self.write(), None).unwrap()
    }
}

/// `permute` of the converter.
fn interleave(tensor: &Tensor, heads: usize) -> Tensor {
    let dims = tensor.dims().to_vec();
    let halves =
        tensor.reshape((heads, 2, dims[0] / heads / 2, dims[1..].iter().product::<usize>())).unwrap();
    halves.transpose(1, 2).unwrap().contiguous().unwrap().reshape(dims).unwrap()
}

#[test]
fn layouts_come_back_as_the_folder_has_them() {
    for (name, architecture) in [("llama-bias", "llama"), ("qwen2", "qwen2"), ("gemma", "gemma")] {
        let folder = open(&golden(name), None).unwrap();
        let file = Gguf::of(&golden(name), architecture).open();
        assert_eq!(format!("{:?}", file.spec), format!("{:?}", folder.spec), "{name}");
        let params = |files: &ModelFiles| files.build(&Tuning::default()).unwrap().params();
        for (ours, theirs) in params(&file).iter().zip(&params(&folder)) {
            assert_eq!(ours.name, theirs.name, "{name}");
            let (ours, wanted) = (ours.to_f32().unwrap(), theirs.to_f32().unwrap());
            // 1 + w - 1 is not quite w.
            let close = ours.iter().zip(&wanted).all(|(ours, wanted)| (ours - wanted).abs() < 1e-6);
            assert!(close && ours.len() == wanted.len(), "{name}: {}", theirs.name);
        }
    }
}

#[test]
fn rotary_divisors_are_llama_3s_or_taken_as_they_are() {
    let folder = open(&golden("llama3-rope"), None).unwrap();
    let mut gguf = Gguf::of(&golden("llama3-rope"), "llama");
    let [rope] = &folder.spec.ropes[..] else { panic!("one rope") };
    let plain = crate::families::RopeSpec::plain(rope.theta, rope.rotary_dim);
    let mut divided = |scaling: RopeScaling| {
        let stretched = crate::families::RopeSpec { scaling, ..plain.clone() };
        let pairs = plain.frequencies(1).0.into_iter().zip(stretched.frequencies(1).0);
        let divisors: Vec<f32> = pairs.map(|(plain, stretched)| plain / stretched).collect();
        gguf.tensors.retain(|(name, _)| name != "rope_freqs.weight");
        let tensor = Tensor::new(divisors, &Device::Cpu).unwrap();
        gguf.tensors.push(("rope_freqs.weight".to_owned(), tensor));
        let file = gguf.open();
        let (ours, wanted) = (file.spec.ropes[0].frequencies(1), stretched.frequencies(1));
        assert_eq!(ours.1, wanted.1);
        assert!(ours.0.iter().zip(&wanted.0).all(|(ours, wanted)| (ours - wanted).abs() <= 1e-4 * wanted));
        file.spec.ropes[0].scaling.clone()
    };
    let published = RopeScaling::Llama3 { factor: 32.0, low: 1.0, high: 4.0, original: 8192 };
    assert_eq!(divided(published.clone()), published);
    assert!(matches!(divided(rope.scaling.clone()), RopeScaling::Long { .. }));
}

#[test]
fn stretched_positions_know_their_original_length() {
    let mut gguf = Gguf::of(&golden("llama"), "llama");
    for (key, value) in [
        ("type", json!("yarn")),
        ("factor", json!(4.0)),
        ("original_context_length", json!(32)),
        ("yarn_beta_fast", json!(16.0)),
    ] {
        gguf.metadata.push((format!("llama.rope.scaling.{key}"), value));
    }
    let RopeScaling::Yarn { factor, beta_fast, beta_slow, original, .. } = gguf.open().spec.ropes[0].scaling
    else {
        panic!("not YaRN")
    };
    assert_eq!((factor, beta_fast, beta_slow, original), (4.0, 16.0, 1.0, 32));
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let mut gguf = Gguf::of(&golden("llama"), "llama");
    let refusal = |gguf: &Gguf| open(&gguf.write(), None).map(|_| ()).unwrap_err().to_string();
    gguf.tensors.push(("blk.0.ffn_gate_exps.weight".into(), Tensor::new(&[1f32], &Device::Cpu).unwrap()));
    assert!(refusal(&gguf).contains("`blk.0.ffn_gate_exps.weight`"));
    gguf.metadata[0].1 = json!("mamba");
    assert!(refusal(&gguf).contains("`mamba`; supported in GGUF are llama, qwen2, qwen3, gemma"));
}
