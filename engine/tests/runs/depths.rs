//! Models with routers (Mixture-of-Depths): what a conversion writes, what is done with it, and what is refused.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::Value;
use tempfile::TempDir;

use super::{changed, data, loss, run};

fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A run of a step at rate 0, so that what is written is what it began with.
fn converted(output: &Path) {
    let values = [
        ("finetuning_type", "full"),
        ("mixture_of_depths", "convert"),
        ("warmup_steps", "1"),
        ("max_steps", "1"),
    ];
    run(&changed(output, "", &values), None).unwrap();
}

#[test]
fn a_conversion_to_depths_keeps_all_weights_and_adds_routers() {
    let output = TempDir::new().unwrap();
    converted(output.path());
    let config: Value =
        serde_json::from_str(&fs::read_to_string(output.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"][0], "LlamaMoDForCausalLM");
    assert_eq!(config["mixture_of_depths"]["capacity"], 0.125);
    let (mut written, base) = (tensors(output.path()), tensors(&data().join("base")));
    for (name, tensor) in &base {
        let mut name = name.clone();
        for layer in [1, 3] {
            name = name.replace(&format!("layers.{layer}."), &format!("layers.{layer}.block."));
        }
        assert_eq!(values(&written.remove(&name).unwrap()), values(tensor), "{name}");
    }
    let bound = 1.0 / 64f32.sqrt();
    let mut drawn = Vec::new();
    for layer in [1, 3] {
        for (part, shape) in [("weight", vec![1, 64]), ("bias", vec![1])] {
            let name = format!("model.layers.{layer}.router.weight_predictor.{part}");
            let tensor = written.remove(&name).unwrap();
            assert_eq!(tensor.dims(), shape, "{name}");
            let values = values(&tensor);
            assert!(values.iter().all(|x| *x != 0.0 && x.abs() <= bound), "{name}: {values:?}");
            drawn.push(values);
        }
    }
    assert_ne!(drawn[0], drawn[2]);
    assert!(written.is_empty(), "{:?}", written.keys());
}

#[test]
fn what_was_converted_to_depths_is_gone_on_with() {
    let model = TempDir::new().unwrap();
    converted(model.path());
    let path = model.path().display().to_string();
    let trained = |more: &[(&str, &str)]| {
        let output = TempDir::new().unwrap();
        let values = [&[("model_name_or_path", path.as_str()), ("max_steps", "2")], more].concat();
        run(&changed(output.path(), "", &values), None).map(|(_, points)| loss(&points[0]))
    };
    // The first step's loss is that of the same model, whatever trains, said or not said that there are routers.
    let first = trained(&[("finetuning_type", "full"), ("mixture_of_depths", "load")]).unwrap();
    for more in [
        &[("finetuning_type", "full")][..],
        &[("finetuning_type", "lora"), ("mixture_of_depths", "load")],
        &[("finetuning_type", "full"), ("disable_gradient_checkpointing", "true")],
    ] {
        assert!((trained(more).unwrap() - first).abs() < 1e-5, "{more:?}");
    }
    let refused = |more: &[(&str, &str)], why: &str| {
        let error = trained(more).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&[("finetuning_type", "full"), ("mixture_of_depths", "convert")], "has routers already");
    refused(&[("finetuning_type", "freeze")], "finetuning_type: freeze");
    let base = data().join("base").display().to_string();
    let plain = ("model_name_or_path", base.as_str());
    refused(&[plain, ("finetuning_type", "full"), ("mixture_of_depths", "load")], "has no routers");
}

#[test]
fn depths_of_models_that_do_not_fit_are_refused() {
    for (model_type, more, why) in [
        ("qwen2", "", "`model_type` is `qwen2`"),
        ("mistral", "\"sliding_window\": 32, ", "window of 32 tokens"),
    ] {
        let (model, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        for entry in fs::read_dir(data().join("base")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, model.path().join(path.file_name().unwrap())).unwrap();
        }
        let config = fs::read_to_string(model.path().join("config.json")).unwrap();
        let config =
            config.replace("\"model_type\": \"llama\"", &format!("{more}\"model_type\": \"{model_type}\""));
        fs::write(model.path().join("config.json"), config).unwrap();
        let path = model.path().display().to_string();
        let values = [
            ("model_name_or_path", path.as_str()),
            ("finetuning_type", "full"),
            ("mixture_of_depths", "convert"),
        ];
        let error = run(&changed(output.path(), "", &values), None).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
