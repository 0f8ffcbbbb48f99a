//! `text/datasets`: token ids and labels of whole data sets.

use std::path::Path;

use engine::observer::Observer;
use engine::text::data::{Catalog, Kind, Record};
use engine::text::encode::{feedback, pairwise, prompted};
use engine::text::{Example, Template, Tokenizer, prepare, prepare_tokenizer};
use recipe::{MixStrategy, Recipe, Stage};
use serde_json::{Map, Value, json};

use super::common::goldens;
use super::{Cases, Outcome, entries, items, same, text};

/// The day on which the reference rows were made.
const DATE: &str = "02 Jan 2025";

pub fn find(cases: &mut Cases, index: &Value) {
    let base = goldens(text(index, "tokenizer"));
    for (template, expected) in entries(&index["per_template_tokenizer_after_fix"]) {
        let (name, expected, base) = (template.clone(), expected.clone(), base.clone());
        cases.add(format!("datasets/tokenizer/{template}"), move || fitted(&name, &expected, &base));
    }
    for case in items(&index["files"]) {
        let (case, base) = (case.clone(), base.clone());
        cases.add(format!("datasets/{}", text(&case, "file")), move || rows(&case, &base));
    }
}

fn rows(case: &Value, base: &Path) -> Outcome {
    let file = goldens("text").join("datasets").join(text(case, "file"));
    let expected = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let expected: Vec<Value> =
        expected.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let got = encode(case, base)?;
    same("rows", &got.len(), &expected.len())?;
    for (row, (got, expected)) in got.iter().zip(&expected).enumerate() {
        for (key, expected) in entries(expected).filter(|(key, _)| *key != "packing_params") {
            let got = got.get(key).ok_or_else(|| format!("row {row} has no {key}"))?;
            same(&format!("row {row}, {key}"), got, expected)?;
        }
    }
    Ok(())
}

fn fitted(template: &str, expected: &Value, base: &Path) -> Outcome {
    let mut tokenizer = Tokenizer::from_folder(base).map_err(|e| e.to_string())?;
    let template = Template::named(template).map_err(|e| e.to_string())?;
    template.fit_tokenizer(&mut tokenizer).map_err(|e| e.to_string())?;
    same("vocab_size", &json!(tokenizer.vocab_size()), &expected["vocab_size"])?;
    same("eos_token", &json!(tokenizer.special_tokens().eos), &expected["eos_token"])?;
    same("eos_token_id", &json!(tokenizer.eos_id()), &expected["eos_token_id"])?;
    same("pad_token_id", &json!(tokenizer.pad_id()), &expected["pad_token_id"])?;
    let added: Map<String, Value> =
        tokenizer.added_tokens().into_iter().map(|(id, token)| (token, json!(id))).collect();
    same("added_tokens", &Value::Object(added), &expected["added_tokens"])?;
    same("jinja", &json!(tokenizer.chat_template()), &expected["jinja"])?;
    same("stop_token_ids", &json!(template.stop_ids(&tokenizer)), &expected["stop_token_ids"])
}

/// The case as a recipe.
fn recipe(case: &Value) -> Result<Recipe, String> {
    let mut recipe = Recipe {
        stage: if text(case, "stage") == "pt" { Stage::Pt } else { Stage::Sft },
        dataset: text(case, "dataset").split(['+', ',']).map(str::to_owned).collect(),
        dataset_dir: goldens("data").display().to_string(),
        template: Some(text(case, "template").to_owned()),
        cutoff_len: case["cutoff_len"].as_u64().ok_or("no cutoff_len")? as usize,
        max_samples: case["max_samples"].as_u64().map(|rows| rows as usize),
        // The reference rows of pre-training were made with packing asked for.
        packing: (text(case, "stage") == "pt").then_some(true),
        ..Recipe::default()
    };
    for (key, value) in entries(&case["options"]) {
        let on = value == true;
        match key.as_str() {
            "mask_history" => recipe.mask_history = on,
            "train_on_prompt" => recipe.train_on_prompt = on,
            "packing" => recipe.packing = Some(on),
            "neat_packing" => recipe.neat_packing = on,
            "enable_thinking" => recipe.enable_thinking = value.as_bool(),
            "preserve_thinking" => recipe.preserve_thinking = on,
            "tool_format" => {
                recipe.set("tool_format", value.as_str().unwrap_or_default()).map_err(|e| e.message.en)?
            }
            "default_system" => recipe.default_system = value.as_str().map(str::to_owned),
            "mix_strategy" => {
                let named = value.as_str().and_then(MixStrategy::from_name);
                recipe.mix_strategy = named.ok_or_else(|| format!("no mix_strategy {value}"))?;
            }
            "interleave_probs" => recipe.interleave_probs = shares(value),
            "val_size" => recipe.val_size = value.as_f64().ok_or("no val_size")?,
            "seed" => recipe.seed = value.as_u64().ok_or("no seed")?,
            other => return Err(format!("option {other} = {value} is not supported")),
        }
    }
    Ok(recipe)
}

/// `"0.5,0.5"`, or a list of numbers.
fn shares(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split(',').map(|share| share.trim().to_owned()).collect(),
        list => items(list).iter().map(Value::to_string).collect(),
    }
}

fn encode(case: &Value, base: &Path) -> Result<Vec<Value>, String> {
    let recipe = recipe(case)?;
    let mut tokenizer = Tokenizer::from_folder(base).map_err(|e| e.to_string())?;
    let (mut template, _) = prepare_tokenizer(&recipe, &mut tokenizer).map_err(|e| e.to_string())?;
    template.today = Some(DATE.to_owned());
    let kind = match text(case, "stage") {
        "sft" | "pt" => {
            let prepared = prepare(&recipe, &tokenizer, &template, 1, &mut Observer::deaf())
                .map_err(|e| e.to_string())?;
            let rows = prepared.train.iter().map(|example| Ok(row(&example?)));
            return rows.collect::<Result<_, engine::text::Error>>().map_err(|e| e.to_string());
        }
        "rm" => Kind::Preference,
        "kto" => Kind::Feedback,
        "ppo" => Kind::Prompt,
        other => return Err(format!("stage {other} is not supported")),
    };
    let records = load(&recipe, kind).map_err(|e| e.to_string())?;
    answers(&records, kind, &template, &tokenizer, &recipe).map_err(|e| e.to_string())
}

fn load(recipe: &Recipe, kind: Kind) -> engine::text::Result<Vec<Record>> {
    let catalog = Catalog::open(Path::new(&recipe.dataset_dir))?;
    let mut records = Vec::new();
    for name in &recipe.dataset {
        records.extend(catalog.load(name, kind, recipe.max_samples, recipe.seed)?.records);
    }
    Ok(records)
}

fn answers(
    records: &[Record],
    kind: Kind,
    template: &Template,
    tokenizer: &Tokenizer,
    recipe: &Recipe,
) -> engine::text::Result<Vec<Value>> {
    let cutoff_len = recipe.cutoff_len;
    match kind {
        Kind::Preference => records
            .iter()
            .map(|record| {
                let pair = pairwise(record, template, tokenizer, cutoff_len)?;
                Ok(json!({
                    "chosen_input_ids": pair.chosen.ids, "chosen_labels": pair.chosen.labels,
                    "rejected_input_ids": pair.rejected.ids, "rejected_labels": pair.rejected.labels,
                }))
            })
            .collect(),
        Kind::Feedback => {
            Ok(feedback(records, template, tokenizer, cutoff_len, recipe.preprocessing_batch_size)?
                .into_iter()
                .map(|feedback| {
                    json!({
                        "input_ids": feedback.example.ids, "labels": feedback.example.labels,
                        "kl_input_ids": feedback.mismatched.ids, "kl_labels": feedback.mismatched.labels,
                        "kto_tags": feedback.wanted,
                    })
                })
                .collect())
        }
        _ => records
            .iter()
            .map(|record| {
                let prompted = prompted(record, template, tokenizer, cutoff_len)?;
                Ok(json!({"input_ids": prompted.prompt, "labels": prompted.answer}))
            })
            .collect(),
    }
}

fn row(example: &Example) -> Value {
    let padding = example.ids.len() - example.real_len();
    let mask: Vec<usize> = match &example.packed {
        Some(packed) if packed.isolated => {
            let records = packed.lengths.iter().enumerate();
            records.flat_map(|(place, length)| vec![place + 1; *length]).chain(vec![0; padding]).collect()
        }
        _ => vec![1; example.ids.len()],
    };
    json!({
        "input_ids": example.ids, "labels": example.labels, "attention_mask": mask,
        "position_ids": example.positions(),
    })
}
