//! Logits against the stock models of candle-transformers: an oracle that is written apart from transformers, on
//! configurations and weights that are drawn at random.
#![allow(clippy::expect_used)] // helpers outside of `#[test]` functions

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::{gemma2, llama, mistral, phi3, qwen2};
use engine::autograd::Tape;
use engine::device::with_plain_operations;
use engine::model::{Batch, Pass, Tuning};
use engine::rng::Rng;
use engine::weights;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Tokens of a text; the stock model reads the first `PROMPT` at once and the others one by one, from its cache.
const LENGTH: usize = 40;
const PROMPT: usize = 7;
/// Configurations of each family.
const ROUNDS: u64 = 4;
const TOLERANCE: f32 = 1e-4;

/// Answers ids that come after so many others with the logits [.., vocabulary] of the last of them.
type Stock = Box<dyn FnMut(&Tensor, usize) -> Result<Tensor>>;

#[test]
fn llama_has_the_stock_models_logits() {
    compare(
        "llama",
        |rng| {
            let mut config = sizes(rng, false);
            config["tie_word_embeddings"] = json!(rng.below(2) == 0);
            if rng.below(2) == 0 {
                config["rope_scaling"] = json!({
                    "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 16,
                });
            }
            config
        },
        |config, weights| {
            let config = read::<llama::LlamaConfig>(config).into_config(false);
            let model = llama::Llama::load(weights, &config)?;
            let mut cache = llama::Cache::new(true, DType::F32, &config, &Device::Cpu)?;
            Ok(Box::new(move |ids, past| model.forward(ids, past, &mut cache)))
        },
    );
}

#[test]
fn qwen2_has_the_stock_models_logits() {
    compare(
        "qwen2",
        |rng| {
            with(
                sizes(rng, false),
                json!({
                    "hidden_act": "silu", "tie_word_embeddings": true, "use_sliding_window": false, "sliding_window": 4096,
                    "max_window_layers": 1,
                }),
            )
        },
        |config, weights| {
            let mut model = qwen2::ModelForCausalLM::new(&read(config), weights)?;
            Ok(Box::new(move |ids, past| model.forward(ids, past)))
        },
    );
}

/// The stock model scales scores by the heads' width alone, and sees one token more than the window.
#[test]
fn gemma2_has_the_stock_models_logits() {
    compare(
        "gemma2",
        |rng| {
            let config = sizes(rng, true);
            let head_dim = config["head_dim"].clone();
            with(
                config,
                json!({
                    "hidden_activation": "gelu_pytorch_tanh", "attention_bias": false, "query_pre_attn_scalar": head_dim,
                    "attn_logit_softcapping": 2.0 + rng.uniform(), "final_logit_softcapping": 3.0 + rng.uniform(),
                    "sliding_window": 4096,
                }),
            )
        },
        |config, weights| {
            let mut model = gemma2::Model::new(false, &read(config), weights)?;
            Ok(Box::new(move |ids, past| model.forward(ids, past)))
        },
    );
}

#[test]
fn phi3_has_the_stock_models_logits() {
    compare(
        "phi3",
        |rng| {
            with(
                sizes(rng, false),
                json!({
                    "hidden_act": "silu", "partial_rotary_factor": ([0.5, 1.0][rng.below(2)]), "tie_word_embeddings": false,
                    "original_max_position_embeddings": 64, "pad_token_id": 0,
                }),
            )
        },
        |config, weights| {
            let mut model = phi3::Model::new(&read(config), weights)?;
            Ok(Box::new(move |ids, past| model.forward(ids, past)))
        },
    );
}

#[test]
fn mistral_has_the_stock_models_logits() {
    compare(
        "mistral",
        |rng| with(sizes(rng, true), json!({"hidden_act": "silu", "sliding_window": null})),
        |config, weights| {
            let mut model = mistral::Model::new(&read(config), weights)?;
            Ok(Box::new(move |ids, past| model.forward(ids, past)))
        },
    );
}

fn read<T: DeserializeOwned>(config: &Value) -> T {
    serde_json::from_value(config.clone()).expect("a configuration of the stock model")
}

/// Small sizes; heads are as wide as all of them fill the hidden size, or of a width of their own.
fn sizes(rng: &mut Rng, own_width: bool) -> Value {
    let kv_heads = 1 + rng.below(3);
    let heads = kv_heads * (1 + rng.below(3));
    let head_dim = 8 * (1 + rng.below(2));
    let hidden = if own_width { 8 * (2 + rng.below(8)) } else { heads * head_dim };
    json!({
        "vocab_size": 50 + rng.below(100), "hidden_size": hidden, "intermediate_size": 8 * (2 + rng.below(8)),
        "num_hidden_layers": 1 + rng.below(3), "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "head_dim": head_dim, "rms_norm_eps": 1e-5, "rope_theta": ([1e4, 1e6][rng.below(2)]),
        "max_position_embeddings": 64,
    })
}

fn with(mut config: Value, more: Value) -> Value {
    let all = config.as_object_mut().expect("a configuration is an object");
    all.extend(more.as_object().cloned().unwrap_or_default());
    config
}

/// Values for all that a model asks for, in the order of names: norms about one, matrices that keep a row's size.
fn draw(asked: &VarMap, rng: &mut Rng) -> HashMap<String, Tensor> {
    let asked = asked.data().lock().expect("one thread");
    let shapes: BTreeMap<&String, &[usize]> = asked.iter().map(|(name, var)| (name, var.dims())).collect();
    let tensor = |(name, shape): (&String, &[usize])| {
        let (centre, spread) = match shape {
            [_, width] => (0.0, 1.0 / (*width as f64).sqrt()),
            _ if name.ends_with(".bias") => (0.0, 0.3),
            _ => (1.0, 0.1),
        };
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (centre + spread * rng.normal()) as f32).collect();
        (name.clone(), Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"))
    };
    shapes.into_iter().map(tensor).collect()
}

/// Holds the engine's logits at each place of a text to the stock model's, by kernels and by plain operations.
fn compare(
    family: &str,
    config: impl Fn(&mut Rng) -> Value,
    stock: impl Fn(&Value, VarBuilder) -> Result<Stock>,
) {
    for round in 0..ROUNDS {
        let rng = &mut Rng::stream(17, round);
        let config = with(config(rng), json!({"model_type": family}));
        let asked = VarMap::new();
        let first = stock(&config, VarBuilder::from_varmap(&asked, DType::F32, &Device::Cpu));
        drop(first.expect("the stock model"));
        let tensors = draw(&asked, rng);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.json"), config.to_string()).expect("written");
        candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).expect("written");
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let want = read_through(stock(&config, weights).expect("the stock model"), &ids(&config, round));
        let files = weights::open(folder.path(), None).expect("the model's files");
        let ours = || -> engine::Result<Vec<f32>> {
            let decoder = files.build(&Tuning::default())?;
            let hidden = decoder.hidden(&Tape::off(), &Batch::of(&ids(&config, round)), Pass::default())?;
            let rows: Vec<u32> = (PROMPT as u32 - 1..LENGTH as u32).collect();
            decoder.logits(&hidden.tensor, &rows)
        };
        for (way, got) in [("kernels", ours()), ("plain operations", with_plain_operations(ours))] {
            let got = got.expect("logits");
            assert_eq!(got.len(), want.len());
            for (place, (got, want)) in got.iter().zip(&want).enumerate() {
                let near = (got - want).abs() <= TOLERANCE * want.abs().max(1.0);
                assert!(near, "{family}, {way}, logit {place}: {got}, expected {want}; {config}");
            }
        }
    }
}

fn ids(config: &Value, round: u64) -> Vec<u32> {
    let (mut rng, vocabulary) = (Rng::stream(18, round), config["vocab_size"].as_u64().unwrap_or(0) as usize);
    (0..LENGTH).map(|_| rng.below(vocabulary) as u32).collect()
}

/// The stock model's logits after the prompt and after each token behind it.
fn read_through(mut stock: Stock, ids: &[u32]) -> Vec<f32> {
    let mut next = |ids: &[u32], past: usize| -> Result<Vec<f32>> {
        stock(&Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?, past)?.flatten_all()?.to_vec1()
    };
    let mut logits = next(&ids[..PROMPT], 0).expect("logits");
    for past in PROMPT..ids.len() {
        logits.extend(next(&ids[past..=past], past).expect("logits"));
    }
    logits
}
