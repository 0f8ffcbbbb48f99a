//! Tokens that a model has no rows for.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{data, numbers, recipe, run};

/// A model with exactly as many rows as its tokenizer has tokens.
fn small_vocabulary(folder: &Path) {
    for name in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        fs::copy(data().join("base").join(name), folder.join(name)).unwrap();
    }
    let tokens = engine::text::Tokenizer::from_folder(folder).unwrap().vocab_size();
    let text = fs::read_to_string(folder.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["vocab_size"] = tokens.into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let output = TempDir::new().unwrap();
    let mut recipe = recipe(output.path(), "finetuning_type: full\ntrain_from_scratch: true\n");
    (recipe.model_name_or_path, recipe.max_steps) = (folder.display().to_string(), 1);
    run(&recipe, None).unwrap();
    fs::copy(output.path().join("model.safetensors"), folder.join("model.safetensors")).unwrap();
}

/// Tokens that a template brings get rows of their own, which are trained, saved and found again.
#[test]
fn a_grown_vocabulary_is_trained_and_found_again() {
    let [base, whole, parts] = [(); 3].map(|()| TempDir::new().unwrap());
    small_vocabulary(base.path());
    let grown = |folder: &TempDir| {
        let mut recipe = recipe(folder.path(), "finetuning_type: lora\nresize_vocab: true\n");
        recipe.model_name_or_path = base.path().display().to_string();
        recipe.template = Some("llama3".to_owned());
        recipe
    };
    let (_, expected) = run(&grown(&whole), None).unwrap();
    let (_, first) = run(&grown(&parts), Some(3)).unwrap();
    let (_, second) = run(&grown(&parts), None).unwrap();
    assert_eq!(numbers(&[first, second].concat()), numbers(&expected));
    let file = candle_core::safetensors::load(
        whole.path().join("adapter_model.safetensors"),
        &candle_core::Device::Cpu,
    );
    let saved: Vec<(String, usize)> = file
        .unwrap()
        .into_iter()
        .filter(|(name, _)| !name.contains("lora_"))
        .map(|(name, tensor)| (name, tensor.dims()[0]))
        .collect();
    let rows = saved.iter().map(|(_, rows)| *rows).max().unwrap();
    assert!(rows.is_multiple_of(64) && saved.len() == 2, "{saved:?}");
    let source = engine::chat::ChatSource {
        model: base.path().to_owned(),
        revision: None,
        adapters: vec![whole.path().to_owned()],
        template: Some("llama3".to_owned()),
        use_cpu: false,
        ..Default::default()
    };
    engine::chat::ChatModel::load(&source, &mut engine::hub::quietly).unwrap();
}

/// New tokens start from the words that describe them; the file's mistakes are told by line.
#[test]
fn described_tokens_start_from_their_descriptions() {
    let (base, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    small_vocabulary(base.path());
    let file = base.path().join("tokens.yaml");
    fs::write(&file, "\"<lamp>\": the keeper of the lamp\n<oil>: oil\n").unwrap();
    let lines = format!(
        "finetuning_type: full\nnew_special_tokens_config: {}\ninit_special_tokens: desc_init\n",
        file.display()
    );
    let mut recipe = recipe(output.path(), &lines);
    (recipe.model_name_or_path, recipe.max_steps) = (base.path().display().to_string(), 1);
    recipe.learning_rate = 1e-30;
    run(&recipe, None).unwrap();
    let table = |folder: &Path| {
        let tensors =
            candle_core::safetensors::load(folder.join("model.safetensors"), &candle_core::Device::Cpu);
        tensors.unwrap()["model.embed_tokens.weight"].to_vec2::<f32>().unwrap()
    };
    let (old, new) = (table(base.path()), table(output.path()));
    let tokenizer = engine::text::Tokenizer::from_folder(output.path()).unwrap();
    for (token, meaning) in [("<lamp>", "the keeper of the lamp"), ("<oil>", "oil")] {
        let ids = tokenizer.encode(meaning, false).unwrap();
        let row = &new[tokenizer.token_to_id(token).unwrap() as usize];
        for (place, value) in row.iter().enumerate() {
            let mean = ids.iter().map(|id| old[*id as usize][place]).sum::<f32>() / ids.len() as f32;
            assert!((value - mean).abs() < 1e-6, "{token}, {place}: {value}, {mean}");
        }
    }
    fs::write(&file, "<lamp>: the keeper\n<oil>: [a, b]\n").unwrap();
    let error = run(&recipe, None).unwrap_err().to_string();
    assert!(error.contains("tokens.yaml") && error.contains("line 2: `<oil>` is [a, b]"), "{error}");
}

/// A token that only the configuration names has an id behind the last row. Padding is never used, so a pad token may
/// do without one; an EOS token may not.
#[test]
fn a_token_without_a_row_is_in_the_way_once_it_is_needed() {
    let base = TempDir::new().unwrap();
    small_vocabulary(base.path());
    let try_with = |role: &str, extra: &str| {
        let text = fs::read_to_string(data().join("base/tokenizer_config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config[role] = "[NEW]".into();
        fs::write(base.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        let output = TempDir::new().unwrap();
        let mut recipe = recipe(output.path(), &format!("finetuning_type: lora\n{extra}"));
        (recipe.model_name_or_path, recipe.max_steps) = (base.path().display().to_string(), 2);
        run(&recipe, None).map(|(_, points)| numbers(&points))
    };
    let without = try_with("chandler_has_no_such_role", "").unwrap();
    assert_eq!(try_with("pad_token", "").unwrap(), without);
    assert_eq!(
        try_with("pad_token", "packing: true\n").unwrap(),
        try_with("other", "packing: true\n").unwrap()
    );
    let message = try_with("eos_token", "").unwrap_err().to_string();
    assert!(message.contains("`[NEW]`") && message.contains("`resize_vocab: true`"), "{message}");
    try_with("eos_token", "resize_vocab: true\n").unwrap();
}

/// Tokens that a recipe names are one id each, of which special ones are left out of text, and bring their rows along.
#[test]
fn tokens_that_are_asked_for_get_rows() {
    let [base, output] = [(); 2].map(|()| TempDir::new().unwrap());
    small_vocabulary(base.path());
    let before = engine::text::Tokenizer::from_folder(base.path()).unwrap().vocab_size();
    let extra = "finetuning_type: full\nadd_tokens: basketmost, zebrine\nadd_special_tokens: [<call>]\n";
    let mut recipe = recipe(output.path(), extra);
    (recipe.model_name_or_path, recipe.max_steps) = (base.path().display().to_string(), 1);
    run(&recipe, None).unwrap();
    let tokenizer = engine::text::Tokenizer::from_folder(output.path()).unwrap();
    assert_eq!(tokenizer.vocab_size(), before + 3);
    let ids = tokenizer.encode("zebrine<call>basketmost", false).unwrap();
    assert_eq!(ids.iter().filter(|id| **id as usize >= before).count(), 3, "{ids:?}");
    assert_eq!(tokenizer.decode(&ids, true).unwrap().replace(' ', ""), "zebrinebasketmost");
    let config = fs::read_to_string(output.path().join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["vocab_size"].as_u64(), Some((before as u64 + 3).next_multiple_of(64)));
}
