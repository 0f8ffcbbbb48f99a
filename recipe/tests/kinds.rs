//! Recipes of every kind that LLaMA-Factory's examples are of: each is taken as it stands, and says in few lines what of it
//! does nothing here.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

use std::path::{Path, PathBuf};

use recipe::{JobKind, Recipe};

fn kinds() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn every_kind_is_taken() {
    let kinds = kinds();
    assert!(kinds.len() >= 20, "{kinds:?}");
    for path in kinds {
        let text = std::fs::read_to_string(&path).unwrap();
        let recipe =
            Recipe::from_yaml(&text).unwrap_or_else(|problems| panic!("{}: {problems:#?}", path.display()));
        let notices: Vec<String> = recipe.notices().iter().map(ToString::to_string).collect();
        let without_effect = notices.iter().filter(|notice| notice.contains("no effect here")).count();
        assert_eq!(without_effect, 1, "{}: {notices:#?}", path.display());
        assert!(notices.len() <= 4, "{}: {notices:#?}", path.display());
        let predicts = path.file_stem().unwrap().to_string_lossy().ends_with("predict");
        assert_eq!(recipe.job() == JobKind::Predict, predicts, "{}", path.display());
        assert_eq!(Recipe::from_yaml(&recipe.to_yaml()), Ok(recipe), "{}", path.display());
    }
}

/// Machinery for many processes is read, and one process does the same.
#[test]
fn what_spreads_a_run_is_named_in_one_line() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds").join(name);
        Recipe::from_yaml(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let notices = read("full_sft_fp8_fsdp.yaml").notices();
    let first = notices[0].to_string();
    for key in ["fp8_backend", "fsdp", "fsdp_transformer_layer_cls_to_wrap", "run_name", "ddp_timeout"] {
        assert!(first.contains(key), "{key}: {first}");
    }
    assert!(read("full_sft_fp8_deepspeed.yaml").uses_bf16());
}

/// A value that such a key does not take is a slip all the same.
#[test]
fn their_values_are_checked() {
    let smallest = "model_name_or_path: a/b\ndo_train: true\ndataset: c\ntemplate: default\noutput_dir: d\n";
    for (line, said) in [
        ("ray_num_workers: many", "`ray_num_workers` is many; give a whole number, at least 1"),
        ("ray_num_workers: 0", "`ray_num_workers` is 0"),
        ("deepspeed: zero3", "`deepspeed` is zero3; give a .json file"),
        ("fsdp: ful_shard auto_wrap", "`fsdp` is ful_shard; give some of full_shard"),
        ("fp8_backend: torch", "`fp8_backend` is torch; give some of auto, torchao, te, msamp"),
        ("upcast_layernorm: maybe", "`upcast_layernorm` is maybe; give true or false"),
        ("fsdp_config: [1]", "`fsdp_config` is [1]"),
    ] {
        let problems = Recipe::from_yaml(&format!("{smallest}{line}\n")).unwrap_err();
        assert_eq!(problems.len(), 1, "{line}");
        assert!(problems[0].to_string().contains(said), "{line}: {}", problems[0]);
    }
    for line in [
        "fsdp: full_shard auto_wrap",
        "fsdp: true",
        "deepspeed: {zero_optimization: {stage: 3}}",
        "deepspeed: null",
        "ray_num_workers: 4",
        "fsdp_config: {fsdp_version: 2}",
        "upcast_lmhead_output: true",
    ] {
        assert!(Recipe::from_yaml(&format!("{smallest}{line}\n")).is_ok(), "{line}");
    }
}

/// Of what is not supported the key at fault is named, and no other.
#[test]
fn one_key_is_at_fault() {
    for (name, lines, key) in [
        ("lora_sft.yaml", "image_max_pixels: 262144\nvideo_max_pixels: 16384\n", "image_max_pixels"),
        (
            "full_sft_ds3.yaml",
            "image_max_pixels: 262144\nvideo_fps: 1.0\nvideo_maxlen: 256\n",
            "image_max_pixels",
        ),
        ("lora_sft.yaml", "visual_inputs: true\n", "visual_inputs"),
        (
            "lora_sft.yaml",
            "quantization_bit: 4\nquantization_method: bnb\ndouble_quantization: false\n",
            "quantization_bit",
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds").join(name);
        let text = std::fs::read_to_string(path).unwrap() + lines;
        let problems = Recipe::from_yaml(&text).unwrap_err();
        let keys: Vec<_> = problems.iter().filter_map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, [key], "{name}");
    }
}
