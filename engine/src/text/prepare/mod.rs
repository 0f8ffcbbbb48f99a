//! Everything between a recipe and the sequences it trains on.

mod encoder;
mod sets;
mod streaming;
mod tokenized;

use std::path::Path;

use recipe::Recipe;

use self::encoder::Encoder;
use self::sets::{Sets, split};
use super::data::Catalog;
use super::encode::{Example, IGNORE_INDEX};
use super::error::{Error, Result};
use super::store::Examples;
use super::template::{Reasoning, Template};
use super::tokenizer::Tokenizer;
use crate::rng::Rng;

/// The data of a run, ready to train on.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// In the order of the files (after a split for validation: in its random order).
    pub train: Examples,
    /// Empty unless the recipe asks for evaluation data.
    pub eval: Examples,
}

/// The stream of the seed that orders epochs.
const EPOCH_STREAM: u64 = 2 << 32;

/// The order of `n` examples in epoch `epoch`.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    Rng::stream(seed, EPOCH_STREAM + epoch).permutation(n)
}

/// The recipe's template, to which `tokenizer` is fitted. Without a name, the tokenizer's own chat template is taken
/// apart, and without one texts stand as they are (`empty`).
///
/// # Errors
/// If the template does not exist or does not go with the recipe.
pub fn prepare_tokenizer(
    recipe: &Recipe,
    tokenizer: &mut Tokenizer,
    log: &mut dyn FnMut(String),
) -> Result<Template> {
    let mut template = match recipe.template.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Template::named(name)?,
        None => match Template::from_chat_template(tokenizer)? {
            Some(template) => {
                log("No template is named; it is read off the tokenizer's own chat template.".into());
                template
            }
            None => Template::named("empty")?,
        },
    };
    if recipe.train_on_prompt && template.efficient_eos {
        return Err(Error::Setting {
            key: "train_on_prompt",
            message: format!(
                "template \"{}\" puts EOS into prompts, so they cannot be trained on",
                template.name
            ),
        });
    }
    if let Some(system) = &recipe.default_system {
        template.default_system.clone_from(system);
    }
    if template.reasoning != Reasoning::None {
        template.enable_thinking = recipe.enable_thinking;
        log(format!(
            "Template \"{}\" is for models that think; for others there may be one ending in \"_nothink\".",
            template.name
        ));
    }
    if let Some((ours, own)) = template.disagreement(tokenizer) {
        log(format!(
            "Template \"{}\" asks a question differently from the model's own chat template: {ours:?} instead of {own:?}.",
            template.name
        ));
    }
    let added = template.fit_tokenizer(tokenizer)?;
    if !added.is_empty() && !recipe.resize_vocab {
        log(format!(
            "The vocabulary lacked {}; set resize_vocab to give the model rows for them.",
            added.join(", ")
        ));
    }
    Ok(template)
}

/// Loads, mixes, splits and encodes the recipe's data sets. `tokenizer` and `template` come from
/// [`prepare_tokenizer`]; `log` gets what a user should know.
///
/// # Errors
/// If a data set, a row or a setting is wrong, or nothing is left to train on.
pub fn prepare(
    recipe: &Recipe,
    tokenizer: &Tokenizer,
    template: &Template,
    log: &mut dyn FnMut(String),
) -> Result<Prepared> {
    let stored = recipe.tokenized_path.as_deref().map(Path::new);
    let encoder = Encoder::new(recipe, tokenizer, template);
    let prepared = match stored {
        Some(folder) if tokenized::is_filled(folder) => tokenized::open(folder, log)?,
        Some(_) if recipe.streaming => {
            let message =
                "data that are streamed are never all encoded, so they cannot be stored; turn streaming off";
            return Err(Error::Setting { key: "tokenized_path", message: message.into() });
        }
        _ if recipe.streaming => streaming::prepare(recipe, &encoder, log)?,
        _ => encode(recipe, &encoder, log)?,
    };
    if let Some(folder) = stored.filter(|folder| !tokenized::is_filled(folder)) {
        tokenized::save(&prepared, folder, log)?;
    }
    if !prepared.train.is_empty() {
        show(tokenizer, &prepared.train.get(0)?, log)?;
    }
    Ok(prepared)
}

/// Everything at once, with an order that may be gone through again and again.
fn encode(recipe: &Recipe, encoder: &Encoder, log: &mut dyn FnMut(String)) -> Result<Prepared> {
    let catalog = Catalog::open(Path::new(&recipe.dataset_dir))?;
    let sets = Sets::load(recipe, encoder, &catalog, &recipe.dataset, log)?;
    let mut order = sets.order(recipe, "dataset")?;
    let (sets_of_eval, eval) = if recipe.eval_dataset.is_empty() {
        (sets.clone(), split(recipe, &mut order)?)
    } else {
        let sets = Sets::load(recipe, encoder, &catalog, &recipe.eval_dataset, log)?;
        let order = sets.order(recipe, "eval_dataset")?;
        (sets, order)
    };
    Ok(Prepared {
        train: encoder.sequences(&sets, &order, "training", log)?,
        eval: match eval.is_empty() {
            true => Examples::default(),
            false => encoder.sequences(&sets_of_eval, &eval, "evaluation", log)?,
        },
    })
}

/// Logs the first example as the model sees it.
fn show(tokenizer: &Tokenizer, example: &Example, log: &mut dyn FnMut(String)) -> Result<()> {
    let learnt: Vec<u32> = example
        .ids
        .iter()
        .zip(&example.labels)
        .filter(|(_, label)| **label != IGNORE_INDEX)
        .map(|(id, _)| *id)
        .collect();
    log(format!("First example:\n{}", tokenizer.decode(&example.ids, false)?));
    log(format!("What counts in its loss:\n{}", tokenizer.decode(&learnt, false)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use recipe::Stage;

    use super::*;

    const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/data");

    fn recipe(template: &str) -> Recipe {
        Recipe {
            dataset: vec!["alpaca".into()],
            dataset_dir: BASE.into(),
            template: Some(template.into()),
            cutoff_len: 128,
            ..Recipe::default()
        }
    }

    fn run(recipe: &Recipe) -> Result<(Prepared, Vec<String>)> {
        let mut lines = Vec::new();
        let mut tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base"))?;
        let template = prepare_tokenizer(recipe, &mut tokenizer, &mut |line| lines.push(line))?;
        let prepared = prepare(recipe, &tokenizer, &template, &mut |line| lines.push(line))?;
        Ok((prepared, lines))
    }

    fn refusal(recipe: &Recipe) -> String {
        run(recipe).map(|_| ()).expect_err("should be refused").to_string()
    }

    #[test]
    fn a_split_takes_a_share_or_a_number_and_loses_nothing() {
        let whole = run(&recipe("default")).expect("the data").0.train;
        let ids = |example: Result<Example>| example.expect("an example").ids;
        for (val_size, expected) in [(0.1, 5), (7.0, 7)] {
            let split = run(&Recipe { val_size, ..recipe("default") }).expect("a split").0;
            assert_eq!(split.eval.len(), expected);
            let mut all: Vec<Vec<u32>> = split.train.iter().chain(split.eval.iter()).map(ids).collect();
            let mut before: Vec<Vec<u32>> = whole.iter().map(ids).collect();
            assert_ne!(all, before);
            all.sort();
            before.sort();
            assert_eq!(all, before);
        }
        let message = refusal(&Recipe { val_size: 48.0, ..recipe("default") });
        assert!(message.contains("val_size: 48 takes 48 of 48 rows"), "{message}");
    }

    #[test]
    fn settings_that_do_not_fit_are_refused_by_name() {
        let message = refusal(&Recipe { train_on_prompt: true, ..recipe("chatglm3") });
        assert!(message.starts_with("train_on_prompt: template \"chatglm3\""), "{message}");
        let message = refusal(&recipe("qwen33"));
        assert!(message.contains("template \"qwen33\": does not exist; similar names: qwen"), "{message}");
        let long = Recipe {
            stage: Stage::Pt,
            dataset: vec!["pt_txt".into()],
            cutoff_len: 100_000,
            ..recipe("empty")
        };
        assert!(
            refusal(&long).contains("cutoff_len: the training data are too short for one sequence of 100000")
        );
    }

    #[test]
    fn the_log_tells_rows_new_tokens_and_the_first_example() {
        let lines = run(&recipe("llama3")).expect("the data").1.join("\n");
        assert!(lines.contains("The vocabulary lacked <|eom_id|>"), "{lines}");
        assert!(lines.contains("Data set \"alpaca\": 48 rows."), "{lines}");
        assert!(lines.contains("First example:\n<s><|start_header_id|>"), "{lines}");
    }

    #[test]
    fn broken_tools_name_file_and_row() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect(name);
        let info = r#"{"alpaca": {"file_name": "d.json", "formatting": "sharegpt",
            "columns": {"messages": "conversations", "tools": "tools"}}}"#;
        write("dataset_info.json", info);
        let recipe = Recipe { dataset_dir: folder.path().display().to_string(), ..recipe("default") };
        for (role, content, tools, expected) in [
            ("gpt", "A", "[{", "row 1, key \"tools\": not valid JSON"),
            ("gpt", "A", "{}", "row 1, key \"tools\": should be a JSON list"),
            ("function_call", "f()", "[]", "row 1, key \"function_call\": not valid JSON"),
        ] {
            let conversation = serde_json::json!([
                {"from": "human", "value": "Q"}, {"from": role, "value": content},
            ]);
            let row = serde_json::json!([{"conversations": conversation, "tools": tools}]);
            write("d.json", &row.to_string());
            let message = refusal(&recipe);
            assert!(message.contains("d.json") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn every_epoch_has_its_own_order() {
        assert_eq!(epoch_order(50, 7, 3), epoch_order(50, 7, 3));
        assert_ne!(epoch_order(50, 7, 3), epoch_order(50, 7, 4));
        assert_ne!(epoch_order(50, 7, 3), epoch_order(50, 8, 3));
    }
}
