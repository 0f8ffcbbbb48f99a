//! Files that llama.cpp's converter wrote, changed in one point each.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::{GgufFile, is_later_part};
use crate::families::spec::AttentionKind;
use crate::families::{RopeScaling, RopeSpec};
use crate::model::Tuning;
use crate::ops::GroupScore;
use crate::weights::{ModelFiles, open};

/// What a file holds.
#[derive(Clone)]
struct Gguf {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Tensor)>,
}

impl Gguf {
    /// The file of a golden case.
    fn of(case: &str) -> Gguf {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/gguf").join(case).join("model.gguf");
        let file = GgufFile::open(&path).unwrap();
        let tensors = file.names().map(|name| (name.to_owned(), file.tensor(name).unwrap()));
        let mut tensors: Vec<_> = tensors.collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Gguf { metadata: file.metadata().clone().into_iter().collect(), tensors }
    }

    fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|(known, _)| known != key);
        self.metadata.push((key.to_owned(), value));
    }

    fn unset(&mut self, key: &str) {
        self.metadata.retain(|(known, _)| known != key);
    }

    fn take(&mut self, tensor: &str) -> Tensor {
        let place = self.tensors.iter().position(|(name, _)| name == tensor).unwrap();
        self.tensors.remove(place).1
    }

    fn put(&mut self, tensor: &str, value: Tensor) {
        self.tensors.push((tensor.to_owned(), value));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            file.extend(text(key));
            let (kind, bytes) = written(value);
            file.extend(kind.to_le_bytes());
            file.extend(bytes);
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
        file
    }

    fn opened(&self) -> crate::Result<ModelFiles> {
        let path = tempfile::Builder::new().suffix(".gguf").tempfile().unwrap().into_temp_path();
        fs::write(&path, self.bytes()).unwrap();
        open(&path, None)
    }

    fn open(&self) -> ModelFiles {
        self.opened().unwrap()
    }

    fn refusal(&self) -> String {
        self.opened().err().unwrap().to_string()
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// Type and bytes of a value.
fn written(value: &Value) -> (u32, Vec<u8>) {
    match value {
        Value::String(value) => (8, text(value)),
        Value::Bool(value) => (7, vec![u8::from(*value)]),
        Value::Array(list) => {
            let entries: Vec<_> = list.iter().map(written).collect();
            let kind = entries.first().map_or(4, |entry| entry.0);
            let mut bytes = [&kind.to_le_bytes()[..], &(list.len() as u64).to_le_bytes()].concat();
            bytes.extend(entries.into_iter().flat_map(|entry| entry.1));
            (9, bytes)
        }
        value if value.is_u64() => (10, value.as_u64().unwrap().to_le_bytes().into()),
        value => (6, (value.as_f64().unwrap() as f32).to_le_bytes().into()),
    }
}

/// Names and values of all parameters.
fn params(files: &ModelFiles) -> Vec<(String, Vec<f32>)> {
    let params = files.build(&Tuning::default()).unwrap().params();
    params.iter().map(|param| (param.name.clone(), param.to_f32().unwrap())).collect()
}

/// Asserts that two files hold the same model.
fn assert_same(got: &Gguf, wanted: &Gguf) {
    let (got, wanted) = (got.open(), wanted.open());
    assert_eq!(format!("{:?}", got.spec), format!("{:?}", wanted.spec));
    assert!(params(&got) == params(&wanted));
}

#[test]
fn rotary_divisors_are_llama_3s_or_taken_as_they_are() {
    let mut gguf = Gguf::of("llama3-rope");
    let rope = gguf.open().spec.ropes[0].clone();
    let plain = RopeSpec::plain(rope.theta, rope.rotary_dim);
    let mut divided = |scaling: RopeScaling| {
        let stretched = RopeSpec { scaling, ..plain.clone() };
        let pairs = plain.frequencies(1).0.into_iter().zip(stretched.frequencies(1).0);
        let divisors: Vec<f32> = pairs.map(|(plain, stretched)| plain / stretched).collect();
        gguf.take("rope_freqs.weight");
        gguf.put("rope_freqs.weight", Tensor::new(divisors, &Device::Cpu).unwrap());
        let file = gguf.open();
        let (ours, wanted) = (file.spec.ropes[0].frequencies(1), stretched.frequencies(1));
        assert_eq!(ours.1, wanted.1);
        assert!(ours.0.iter().zip(&wanted.0).all(|(ours, wanted)| (ours - wanted).abs() <= 1e-4 * wanted));
        file.spec.ropes[0].scaling.clone()
    };
    let published = RopeScaling::Llama3 { factor: 32.0, low: 1.0, high: 4.0, original: 8192 };
    assert_eq!(divided(published.clone()), published);
    let other = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 32 };
    assert!(matches!(divided(other), RopeScaling::Long { .. }));
}

#[test]
fn stretched_positions_know_their_original_length() {
    let mut gguf = Gguf::of("xverse");
    for (key, value) in [
        ("type", json!("yarn")),
        ("factor", json!(4.0)),
        ("original_context_length", json!(32)),
        ("yarn_beta_fast", json!(16.0)),
    ] {
        gguf.set(&format!("xverse.rope.scaling.{key}"), value);
    }
    let RopeScaling::Yarn { factor, beta_fast, beta_slow, original, .. } = gguf.open().spec.ropes[0].scaling
    else {
        panic!("not YaRN")
    };
    assert_eq!((factor, beta_fast, beta_slow, original), (4.0, 16.0, 1.0, 32));
}

#[test]
fn a_tenth_of_the_scale_of_all_dimensions_is_written_for_latent_attention() {
    let mut gguf = Gguf::of("deepseek2");
    for (key, value) in [
        ("type", json!("yarn")),
        ("factor", json!(40.0)),
        ("original_context_length", json!(32)),
        ("yarn_log_multiplier", json!(0.0707)),
    ] {
        gguf.set(&format!("deepseek2.rope.scaling.{key}"), value);
    }
    let spec = gguf.open().spec;
    let AttentionKind::Latent(latent) = spec.attention else { panic!("no latents") };
    let wanted = (0.1 * 0.707 * 40f64.ln() + 1.0).powi(2) / ((latent.plain + latent.rotary) as f64).sqrt();
    assert!((f64::from(latent.scale) - wanted).abs() < 1e-6, "{} for {wanted}", latent.scale);
    assert!(matches!(spec.ropes[0].scaling, RopeScaling::Yarn { attention: 1.0, .. }));
}

#[test]
fn minicpm_is_granite_with_factors_that_older_files_leave_out() {
    let granite = Gguf::of("granite");
    let renamed =
        granite.metadata.iter().map(|(key, value)| (key.replace("granite.", "minicpm."), value.clone()));
    let mut minicpm = Gguf { metadata: renamed.collect(), ..granite.clone() };
    minicpm.set("general.architecture", json!("minicpm"));
    minicpm.unset("minicpm.attention.scale");
    let factors = |files: ModelFiles| {
        (files.spec.embedding.scale, files.spec.block.residual_scale, files.spec.head.scale)
    };
    assert_eq!(factors(minicpm.open()), factors(granite.open()));
    for key in ["embedding_scale", "residual_scale", "logit_scale"] {
        minicpm.unset(&format!("minicpm.{key}"));
    }
    // Two layers, 32 dimensions.
    assert_eq!(factors(minicpm.open()), (12.0, (1.4 / 2f64.sqrt()) as f32, 8.0));
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let plain = Gguf::of("xverse");
    let mut gguf = plain.clone();
    gguf.put("blk.0.ffn_gate_exps.weight", Tensor::new(&[1f32], &Device::Cpu).unwrap());
    assert!(
        gguf.refusal().contains("`blk.0.ffn_gate_exps.weight` is not known of the architecture `xverse`")
    );
    for (key, value, said) in [
        ("logit_scale", json!(2.0), "is 2.0"),
        ("attention.causal", json!(false), "is false"),
        ("attention.sliding_window", json!(8), "is 8"),
        ("attention.head_count", json!([4, 2]), "differs from layer to layer"),
        ("rope.dimension_count", json!(4), "is 4, but heads have 8 dimensions"),
        ("rope.scaling.type", json!("dynamic"), "is `dynamic`; supported are none, linear, yarn, longrope"),
        ("attention.value_length", json!(4), "is 4, but keys have 8 dimensions"),
    ] {
        let mut gguf = plain.clone();
        gguf.set(&format!("xverse.{key}"), value);
        let refusal = gguf.refusal();
        assert!(refusal.contains(&format!("`xverse.{key}` {said}")), "{refusal}");
    }
    // What says nothing, or is as long as the context, changes nothing.
    let mut gguf = plain.clone();
    gguf.set("xverse.logit_scale", json!(0.0));
    gguf.set("xverse.attention.sliding_window", json!(128));
    gguf.set("xverse.attention.head_count", json!([4, 4]));
    assert_same(&gguf, &plain);
    gguf.set("general.architecture", json!("mamba"));
    let refusal = gguf.refusal();
    assert!(refusal.contains("`mamba`; supported in GGUF are baichuan, bloom"), "{refusal}");
}

#[test]
fn layouts_of_older_files_are_read() {
    let newer = Gguf::of("deepseek2");
    let mut older = newer.clone();
    let (key, value) = (older.number("attention.key_length_mla"), older.number("attention.value_length_mla"));
    for key in ["attention.key_length_mla", "attention.value_length_mla"] {
        older.unset(&format!("deepseek2.{key}"));
    }
    older.set("deepseek2.attention.key_length", json!(key));
    older.set("deepseek2.attention.value_length", json!(value));
    for layer in 0..3 {
        let keys = older.take(&format!("blk.{layer}.attn_k_b.weight")).transpose(1, 2).unwrap();
        let values = older.take(&format!("blk.{layer}.attn_v_b.weight"));
        let joint = Tensor::cat(&[keys, values], 1).unwrap().flatten(0, 1).unwrap();
        older.put(&format!("blk.{layer}.attn_kv_b.weight"), joint);
    }
    assert_same(&older, &newer);

    let newer = Gguf::of("mixtral");
    let mut older = newer.clone();
    for layer in 0..2 {
        for map in ["gate", "up", "down"] {
            let experts = older.take(&format!("blk.{layer}.ffn_{map}_exps.weight"));
            for expert in 0..4 {
                let own = experts.get(expert).unwrap();
                older.put(&format!("blk.{layer}.ffn_{map}.{expert}.weight"), own);
            }
        }
    }
    assert_same(&older, &newer);
}

impl Gguf {
    /// A number of the architecture.
    fn number(&self, key: &str) -> u64 {
        let found = self.metadata.iter().find(|(known, _)| known.ends_with(&format!(".{key}")));
        found.unwrap().1.as_u64().unwrap()
    }
}

#[test]
fn groups_of_experts_are_scored_as_their_generation_scores_them() {
    for (case, wanted) in [("deepseek2", GroupScore::Best), ("deepseek3", GroupScore::TwoBest)] {
        let mut gguf = Gguf::of(case);
        gguf.set("deepseek2.expert_group_count", json!(4));
        gguf.set("deepseek2.expert_group_used_count", json!(2));
        let groups = gguf.open().spec.experts.unwrap().routing.groups.unwrap();
        assert_eq!((groups.count, groups.top, groups.score), (4, 2, wanted));
    }
}

#[test]
fn layers_that_predict_further_tokens_are_left_out() {
    let plain = Gguf::of("deepseek3");
    let mut more = plain.clone();
    more.set("deepseek2.block_count", json!(4));
    more.set("deepseek2.nextn_predict_layers", json!(1));
    more.put("blk.3.nextn.eh_proj.weight", Tensor::new(&[1f32], &Device::Cpu).unwrap());
    assert_same(&more, &plain);
}

#[test]
fn baichuan_has_position_biases_where_the_file_says_so() {
    let mut gguf = Gguf::of("baichuan2-7b");
    assert_eq!(gguf.open().spec.ropes.len(), 1);
    gguf.set("baichuan.attention.max_alibi_bias", json!(8.0));
    let spec = gguf.open().spec;
    assert!(matches!(spec.attention, AttentionKind::Heads(heads) if heads.alibi.is_some()));
    assert!(spec.ropes.is_empty());
}

/// The model in parts, as `gguf-split` writes it: each with some tensors, the first with all metadata.
fn in_parts(gguf: &Gguf, folder: &Path, count: usize) -> Vec<PathBuf> {
    let share = gguf.tensors.len().div_ceil(count);
    let parts = gguf.tensors.chunks(share).enumerate().map(|(index, tensors)| {
        let metadata = if index == 0 { gguf.metadata.clone() } else { Vec::new() };
        let mut part = Gguf { metadata, tensors: tensors.to_vec() };
        part.set("split.no", json!(index));
        part.set("split.count", json!(count));
        part.set("split.tensors.count", json!(gguf.tensors.len()));
        let path = folder.join(format!("model-{:05}-of-{count:05}.gguf", index + 1));
        fs::write(&path, part.bytes()).unwrap();
        path
    });
    parts.collect()
}

#[test]
fn a_model_in_parts_is_opened_by_any_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Gguf::of("xverse");
    let parts = in_parts(&whole, folder.path(), 3);
    let wanted = params(&whole.open());
    for part in &parts {
        assert!(params(&open(part, None).unwrap()) == wanted);
    }
    assert_eq!(parts.iter().map(|part| is_later_part(part)).collect::<Vec<_>>(), [false, true, true]);
    assert!(!is_later_part(Path::new("models/gemma-3-270m.gguf")));
    let refusal = |path: &Path| open(path, None).err().unwrap().to_string();
    let renamed = folder.path().join("part.gguf");
    fs::rename(&parts[1], &renamed).unwrap();
    let missing = refusal(&parts[0]);
    assert!(missing.contains("model-00002-of-00003.gguf: is missing: it is part 2 of 3"), "{missing}");
    let misnamed = refusal(&renamed);
    assert!(
        misnamed.contains("is part 2 of 3") && misnamed.contains("NAME-00002-of-00003.gguf"),
        "{misnamed}"
    );
    fs::copy(&parts[2], &parts[1]).unwrap();
    assert!(
        refusal(&parts[0]).contains("should be part 2 of 3 by its name, but its metadata have split.no 2")
    );
}
