//! What a configuration leaves out or writes in a newer way, as transformers' own classes read it.

use serde_json::{Value, json};

use super::spec::{AttentionKind, DecoderSpec};
use super::{Config, RopeScaling, read, text_part};

pub(crate) fn config(model_type: &str, more: Value) -> Config {
    let values = more.as_object().cloned().unwrap_or_default();
    Config { path: "config.json".into(), values }.with_defaults(json!({
        "model_type": model_type, "vocab_size": 40, "hidden_size": 64, "intermediate_size": 24,
        "num_hidden_layers": 4, "num_attention_heads": 16, "moe_intermediate_size": 8,
    }))
}

fn spec(model_type: &str, more: Value) -> DecoderSpec {
    read(&config(model_type, more)).unwrap()
}

fn windows(model_type: &str, more: Value) -> Vec<Option<usize>> {
    let spec = spec(model_type, more);
    spec.layers.iter().map(|layer| layer.window).collect()
}

#[test]
fn windows_are_in_the_layers_that_the_family_or_the_configuration_says() {
    let on = |more: Value| {
        let mut values = json!({"use_sliding_window": true, "sliding_window": 7, "num_key_value_heads": 16});
        values.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        values
    };
    let (yes, no) = (Some(7), None);
    assert_eq!(windows("qwen2", on(json!({"max_window_layers": 2}))), [no, no, yes, yes]);
    assert_eq!(windows("qwen2_moe", on(json!({"max_window_layers": 3}))), [yes, no, yes, no]);
    assert_eq!(windows("qwen3_moe", on(json!({"max_window_layers": 3}))), [yes; 4]);
    assert_eq!(windows("qwen3", json!({"num_key_value_heads": 16, "sliding_window": 7})), [no; 4]);
    assert_eq!(windows("smollm3", on(json!({"no_rope_layers": [1, 0, 1, 0]}))), [no, yes, no, yes]);
    let (full, slides) = ("full_attention", "sliding_attention");
    let types = on(json!({"layer_types": [slides, full, full, slides]}));
    for family in ["qwen2", "qwen3", "qwen2_moe", "gemma2", "gemma3_text", "smollm3"] {
        assert_eq!(windows(family, types.clone()), [yes, no, no, yes], "{family}");
        let short = read(&config(family, on(json!({"layer_types": [slides]})))).unwrap_err().to_string();
        assert!(short.contains("layer_types") && short.contains("1 entries for 4 layers"), "{short}");
        let other = on(json!({"layer_types": [slides, full, full, "chunked_attention"]}));
        let other = read(&config(family, other)).unwrap_err().to_string();
        assert!(other.contains("chunked_attention") && other.contains("full_attention"), "{other}");
    }
}

#[test]
fn absent_keys_mean_what_the_family_takes_them_to_be() {
    for (family, theta) in [("mixtral", 1e6), ("cohere", 5e5), ("smollm3", 2e6), ("Yi", 5e6), ("llama", 1e4)]
    {
        assert_eq!(spec(family, json!({})).ropes[0].theta, theta, "{family}");
    }
    assert_eq!(spec("mistral", json!({})).head_sizes().1, 8);
    assert_eq!(windows("mistral", json!({})), [Some(4096); 4]);
    assert_eq!(windows("mistral", json!({"sliding_window": null})), [None; 4]);
    let caps = |more| {
        let spec = spec("gemma2", more);
        let AttentionKind::Heads(heads) = &spec.attention else { panic!("no heads") };
        (heads.cap, spec.head.cap)
    };
    assert_eq!(caps(json!({})), (Some(50.0), Some(30.0)));
    let none = json!({"attn_logit_softcapping": null, "final_logit_softcapping": null});
    assert_eq!(caps(none), (None, None));
    assert_eq!(spec("glm4", json!({})).final_norm.eps, 1.5625e-7);
    let experts = spec("qwen3_moe", json!({"num_local_experts": 12})).experts.unwrap();
    assert_eq!((experts.routing.experts, experts.routing.top_k), (12, 8));
}

#[test]
fn rotary_positions_are_read_from_rope_parameters() {
    let linear = json!({"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5});
    let gemma = spec(
        "gemma3_text",
        json!({"rope_parameters": {
            "full_attention": linear, "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
        }}),
    );
    assert_eq!(gemma.ropes[0].theta, 5e5);
    assert_eq!(gemma.ropes[0].scaling, RopeScaling::Linear { factor: 8.0 });
    assert_eq!((gemma.ropes[1].theta, &gemma.ropes[1].scaling), (2e4, &RopeScaling::None));
    for family in ["phi", "phi3", "glm", "gpt_neox"] {
        let parameters = json!({"rope_type": "default", "rope_theta": 3e4, "partial_rotary_factor": 0.75});
        let more = json!({"rope_parameters": parameters, "num_attention_heads": 8, "head_dim": 8});
        let rope = &spec(family, more).ropes[0];
        assert_eq!((rope.theta, rope.rotary_dim), (3e4, 6), "{family}");
    }
    let parameters = json!({
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "mscale_all_dim": 1.0,
    });
    for key in ["rope_parameters", "rope_scaling"] {
        let mut more = json!({"first_k_dense_replace": 1});
        more[key] = parameters.clone();
        let spec = spec("deepseek_v3", more);
        let AttentionKind::Latent(latent) = spec.attention else { panic!("no latents") };
        let factor = (0.1 * 4f64.ln() + 1.0).powi(2) / (192f64).sqrt();
        assert!((f64::from(latent.scale) - factor).abs() < 1e-7, "{key}");
    }
}

#[test]
fn dynamic_frequencies_grow_beyond_the_configured_context() {
    let scaling = json!({"type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 50});
    let spec = spec("llama", json!({"rope_scaling": scaling, "max_position_embeddings": 100}));
    assert_eq!(spec.ropes[0].scaling, RopeScaling::Dynamic { factor: 2.0, original: 100 });
}

#[test]
fn norms_of_latents_have_an_epsilon_of_their_own() {
    let spec = spec("deepseek_v3", json!({"rms_norm_eps": 1e-3}));
    let AttentionKind::Latent(latent) = spec.attention else { panic!("no latents") };
    assert_eq!((latent.eps, spec.final_norm.eps), (1e-6, 1e-3));
}

#[test]
fn the_part_for_text_of_gemma_3_is_read() {
    let text = json!({"model_type": "gemma3_text", "num_hidden_layers": 3, "hidden_size": 64});
    let whole = json!({"text_config": text, "vision_config": {}, "eos_token_id": [1, 106]});
    let part = text_part(config("gemma3", whole)).unwrap();
    assert_eq!(part.get("eos_token_id"), Some(&json!([1, 106])));
    let spec = read(&part).unwrap();
    assert_eq!((spec.layers.len(), spec.vocab, spec.head_sizes()), (3, 262_208, (8, 4, 256, 256)));
    // Whoever sees images otherwise is refused by name.
    let other = text_part(config("llava", json!({"text_config": {"model_type": "llama"}}))).unwrap();
    assert!(read(&other).unwrap_err().to_string().contains("llava"));
}
