//! Everything between a recipe and the sequences it trains on.

use std::path::Path;

use rayon::prelude::*;
use recipe::{Recipe, Stage};

use super::data::{Catalog, Kind, Record};
use super::encode::{Example, IGNORE_INDEX, Masking, Packing, PlainText, pack, pretrain, supervised};
use super::error::{Error, Result};
use super::template::{Reasoning, Template};
use super::tokenizer::Tokenizer;
use crate::rng::Rng;

/// The data of a run, ready to train on.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// In the order of the files (after a split for validation: in its random order).
    pub train: Vec<Example>,
    /// Empty unless the recipe asks for evaluation data.
    pub eval: Vec<Example>,
}

/// How many rows that were left out are logged one by one.
const LOGGED_ROWS: usize = 5;
/// Streams of the seed, so that each use has numbers of its own.
const SPLIT_STREAM: u64 = 1 << 32;
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

/// Loads, splits and encodes the recipe's data sets. `tokenizer` and `template` come from [`prepare_tokenizer`];
/// `log` gets what a user should know.
///
/// # Errors
/// If a data set, a row or a setting is wrong, or nothing is left to train on.
pub fn prepare(
    recipe: &Recipe,
    tokenizer: &Tokenizer,
    template: &Template,
    log: &mut dyn FnMut(String),
) -> Result<Prepared> {
    let kind = match recipe.stage {
        Stage::Pt => Kind::Text,
        Stage::Sft => Kind::Supervised,
    };
    let catalog = Catalog::open(Path::new(&recipe.dataset_dir))?;
    let mut train = load(recipe, &catalog, &recipe.dataset, kind, log)?;
    let eval = if recipe.eval_dataset.is_empty() {
        split(recipe, &mut train)?
    } else {
        load(recipe, &catalog, &recipe.eval_dataset, kind, log)?
    };
    let encoder = Encoder { recipe, tokenizer, template };
    let prepared = Prepared {
        train: encoder.encode(&train, "training", log)?,
        eval: if eval.is_empty() { Vec::new() } else { encoder.encode(&eval, "evaluation", log)? },
    };
    if let Some(example) = prepared.train.first() {
        show(tokenizer, example, log)?;
    }
    Ok(prepared)
}

/// The records of all `names`, one data set after the other.
fn load(
    recipe: &Recipe,
    catalog: &Catalog,
    names: &[String],
    kind: Kind,
    log: &mut dyn FnMut(String),
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for name in names {
        let dataset = catalog.load(name, kind, recipe.max_samples, recipe.order_seed())?;
        for note in &dataset.info.notes {
            log(format!("Data set \"{name}\": {note}."));
        }
        for skipped in dataset.skipped.iter().take(LOGGED_ROWS) {
            log(format!("{skipped}."));
        }
        let left_out = match dataset.skipped.len() {
            0 => String::new(),
            count => format!(", {count} left out"),
        };
        log(format!("Data set \"{name}\": {} rows{left_out}.", dataset.records.len()));
        records.extend(dataset.records);
    }
    Ok(records)
}

/// Takes `val_size` records at random out of `train`: a share (rounded up) below 1, else a number. What stays is in
/// random order too.
fn split(recipe: &Recipe, train: &mut Vec<Record>) -> Result<Vec<Record>> {
    const NONE: f64 = 1e-6;
    if recipe.val_size <= NONE {
        return Ok(Vec::new());
    }
    let rows = train.len();
    let share = if recipe.val_size < 1.0 { (recipe.val_size * rows as f64).ceil() } else { recipe.val_size };
    let count = share as usize;
    if count >= rows {
        return Err(Error::Setting {
            key: "val_size",
            message: format!("{} takes {count} of {rows} rows and leaves none to train on", recipe.val_size),
        });
    }
    let order = Rng::stream(recipe.order_seed(), SPLIT_STREAM).permutation(rows);
    let mut shuffled = order.into_iter().map(|place| std::mem::take(&mut train[place]));
    let eval = shuffled.by_ref().take(count).collect();
    *train = shuffled.collect();
    Ok(eval)
}

struct Encoder<'a> {
    recipe: &'a Recipe,
    tokenizer: &'a Tokenizer,
    template: &'a Template,
}

impl Encoder<'_> {
    fn encode(&self, records: &[Record], what: &str, log: &mut dyn FnMut(String)) -> Result<Vec<Example>> {
        let examples = match self.recipe.stage {
            Stage::Pt => self.texts(records)?,
            Stage::Sft => self.conversations(records, log)?,
        };
        if examples.is_empty() {
            return Err(Error::Setting {
                key: "cutoff_len",
                message: format!(
                    "the {what} data are too short for one sequence of {} tokens; lower cutoff_len or turn packing off",
                    self.cutoff_len()
                ),
            });
        }
        Ok(examples)
    }

    /// Asking for packing costs one token of each sequence, which stays padding; packing by default does not.
    fn cutoff_len(&self) -> usize {
        let asked = self.recipe.neat_packing || self.recipe.packing == Some(true);
        self.recipe.cutoff_len - usize::from(asked && self.recipe.cutoff_len > 1)
    }

    fn texts(&self, records: &[Record]) -> Result<Vec<Example>> {
        let texts: Vec<&str> = records
            .iter()
            .filter_map(|record| record.prompt.first())
            .map(|text| text.content.as_str())
            .collect();
        let options = PlainText {
            cutoff_len: self.cutoff_len(),
            packing: self.recipe.packs(),
            batch: self.recipe.preprocessing_batch_size,
            // Llama 3's end of a turn, which becomes EOS, is not its end of a text.
            end: (self.template.name == "llama3").then(|| "<|end_of_text|>".to_owned()),
        };
        pretrain(&texts, self.tokenizer, &options)
    }

    fn conversations(&self, records: &[Record], log: &mut dyn FnMut(String)) -> Result<Vec<Example>> {
        let recipe = self.recipe;
        let masking = Masking { train_on_prompt: recipe.train_on_prompt, mask_history: recipe.mask_history };
        let cutoff_len = self.cutoff_len();
        let encode = |record: &Record| supervised(record, self.template, self.tokenizer, masking, cutoff_len);
        let examples: Vec<Example> = records.par_iter().map(encode).collect::<Result<_>>()?;
        if !recipe.packs() {
            return Ok(examples);
        }
        let packing = Packing {
            capacity: cutoff_len,
            isolated: recipe.neat_packing,
            pad: self.tokenizer.pad_id().unwrap_or_default(),
        };
        let mut sequences = Vec::new();
        for batch in examples.chunks(recipe.preprocessing_batch_size.max(1)) {
            let (packed, left_out) = pack(batch, packing);
            sequences.extend(packed);
            if left_out > 0 {
                log(format!(
                    "{left_out} examples are longer than {cutoff_len} tokens and were left out of packing."
                ));
            }
        }
        Ok(sequences)
    }
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
        for (val_size, expected) in [(0.1, 5), (7.0, 7)] {
            let split = run(&Recipe { val_size, ..recipe("default") }).expect("a split").0;
            assert_eq!(split.eval.len(), expected);
            let mut all: Vec<Vec<u32>> =
                split.train.iter().chain(&split.eval).map(|e| e.ids.clone()).collect();
            let mut before: Vec<Vec<u32>> = whole.iter().map(|e| e.ids.clone()).collect();
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
