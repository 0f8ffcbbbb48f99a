//! From a recipe to sequences.

use recipe::{MixStrategy, Stage};

use super::*;
use crate::observer::tests::logged;
use crate::store::TableWriter;
use crate::template::ToolFormat;

const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens/data");

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
    let mut tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base"))?;
    let (template, remarks) = prepare_tokenizer(recipe, &mut tokenizer)?;
    let (lines, prepared) = logged(|observer| prepare(recipe, &tokenizer, &template, 1, observer));
    Ok((prepared?, remarks.iter().map(Remark::to_string).chain(lines).collect()))
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
        assert_eq!(split.eval.iter().map(|set| set.examples.len()).sum::<usize>(), expected);
        let mut all: Vec<Vec<u32>> = split
            .train
            .iter()
            .chain(split.eval.iter().flat_map(|set| set.examples.iter()))
            .map(ids)
            .collect();
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
    assert!(message.contains("template \"qwen33\": does not exist; did you mean \"qwen3\"?"), "{message}");
    let long =
        Recipe { stage: Stage::Pt, dataset: vec!["pt_txt".into()], cutoff_len: 100_000, ..recipe("empty") };
    assert!(
        refusal(&long).contains("cutoff_len: the training data are too short for one sequence of 100000")
    );
}

#[test]
fn the_log_tells_rows_new_tokens_and_the_first_example() {
    let lines = run(&recipe("llama3")).expect("the data").1.join("\n");
    assert!(lines.contains("The vocabulary lacked <|eom_id|>"), "{lines}");
    assert!(lines.contains("Dataset \"alpaca\": 48 rows."), "{lines}");
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
        ("gpt", "A", "{\"a\": 1}", "row 1, key \"tools\": should be a JSON list"),
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
fn without_a_name_the_models_own_template_is_taken() {
    let jinja = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";
    let taken = |stage: Stage, jinja: Option<&str>| {
        let mut tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base")).expect("the tokenizer");
        if let Some(jinja) = jinja {
            tokenizer.set_chat_template(jinja);
        }
        let recipe = Recipe { stage, template: Some(" ".into()), ..Recipe::default() };
        let prepared = prepare_tokenizer(&recipe, &mut tokenizer);
        prepared.map(|(template, remarks)| (template.name, remarks)).map_err(|e| e.to_string())
    };
    assert_eq!(taken(Stage::Sft, Some(jinja)), Ok(("chat_template".into(), vec![Remark::OwnTemplate])));
    assert_eq!(taken(Stage::Sft, None), Ok(("empty".into(), vec![Remark::NoTemplate])));
    // Plain text needs none, whatever the model has.
    assert_eq!(taken(Stage::Pt, Some("{{ raise_exception('no') }}")), Ok(("empty".into(), Vec::new())));
    let message = taken(Stage::Sft, Some("{{ raise_exception('no') }}")).expect_err("no slots");
    assert!(message.starts_with("template: ") && message.contains("name the template"), "{message}");
}

/// The values are those of transformers' `return_assistant_tokens_mask`: a token counts whole, with the blank in it.
#[test]
fn what_a_chat_template_marks_is_what_is_learnt() {
    let jinja = "{% for m in messages %}{% if m.role == 'assistant' %}{{ 'A: ' }}{% generation %}{{ m.content }}\
        {% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ '\\n' }}{% endgeneration %}{% else %}\
        {{ m.role + ': ' + m.content + '\\n' }}{% endif %}{% endfor %}";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect(name);
    write(
        "dataset_info.json",
        r#"{"rows": {"file_name": "d.json", "formatting": "sharegpt", "columns": {"messages": "m"}}}"#,
    );
    write(
        "d.json",
        r#"[{"m": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"},
            {"from": "human", "value": "Go"},
            {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
            {"from": "observation", "value": "2"}, {"from": "gpt", "value": "Two"}]}]"#,
    );
    let mut tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base")).expect("the tokenizer");
    tokenizer.set_chat_template(jinja);
    let learnt = |recipe: &Recipe| {
        let mut tokenizer = tokenizer.clone();
        let (template, remarks) = prepare_tokenizer(recipe, &mut tokenizer).expect("the template");
        let prepared = prepare(recipe, &tokenizer, &template, 1, &mut Observer::deaf());
        assert_eq!(remarks, [Remark::MarkedTemplate]);
        let example = prepared.expect("the data").train.get(0).expect("an example");
        let chosen = example.labels.iter().filter(|label| **label != IGNORE_INDEX).map(|label| *label as u32);
        let text = |ids: &[u32]| tokenizer.decode(ids, false).expect("a text");
        (text(&example.ids), text(&chosen.collect::<Vec<_>>()))
    };
    let whole = Recipe {
        dataset: vec!["rows".into()],
        dataset_dir: folder.path().display().to_string(),
        template: None,
        cutoff_len: 128,
        ..Recipe::default()
    };
    let call = r#"{"name": "f", "arguments": {"x": 1}}"#;
    let text = format!("user: Hi\nA: Yes\nuser: Go\nA: {call}\ntool: 2\nA: Two\n");
    assert_eq!(learnt(&whole), (text.clone(), format!("Yes\n {call}\nTwo\n")));
    assert_eq!(learnt(&Recipe { mask_history: true, ..whole.clone() }), (text.clone(), "Two\n".into()));
    assert_eq!(learnt(&Recipe { train_on_prompt: true, ..whole }), (text.clone(), text));
}

#[test]
fn tool_format_and_kept_thoughts_reach_the_template() {
    let recipe =
        Recipe { tool_format: Some(recipe::ToolFormat::Glm4), preserve_thinking: true, ..recipe("qwen3") };
    let mut tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base")).expect("the tokenizer");
    let (template, _) = prepare_tokenizer(&recipe, &mut tokenizer).expect("the template");
    assert_eq!((template.tool_format, template.preserve_thinking), (ToolFormat::Glm4, true));
    // Only reasoning templates look at thoughts.
    let plain = Recipe { template: Some("default".into()), ..recipe };
    let (template, _) = prepare_tokenizer(&plain, &mut tokenizer).expect("the template");
    assert!(!template.preserve_thinking);
}

#[test]
fn every_epoch_has_its_own_order() {
    assert_eq!(epoch_order(50, 7, 3), epoch_order(50, 7, 3));
    assert_ne!(epoch_order(50, 7, 3), epoch_order(50, 7, 4));
    assert_ne!(epoch_order(50, 7, 3), epoch_order(50, 8, 3));
}

/// A data folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect(name);
    }
    folder
}

/// Rows whose questions are numbers from `start` on.
fn rows(start: usize, count: usize) -> String {
    let rows = (start..start + count).map(|n| format!("{{\"instruction\": \"{n}\", \"output\": \"A\"}}\n"));
    rows.collect()
}

const TWO_SETS: &str = r#"{"a": {"file_name": "a.jsonl"}, "b": {"file_name": "b.jsonl"}}"#;

fn two_sets() -> tempfile::TempDir {
    folder(&[("dataset_info.json", TWO_SETS), ("a.jsonl", &rows(100, 3)), ("b.jsonl", &rows(200, 6))])
}

fn of(folder: &tempfile::TempDir, names: &[&str]) -> Recipe {
    Recipe {
        dataset: names.iter().map(|name| (*name).to_owned()).collect(),
        dataset_dir: folder.path().display().to_string(),
        ..recipe("default")
    }
}

/// The numbers that the questions of `examples` are.
fn questions(examples: &Examples, count: usize) -> Vec<usize> {
    let tokenizer = Tokenizer::from_folder(&Path::new(BASE).join("base")).expect("the tokenizer");
    let number = |place: usize| {
        let text = tokenizer.decode(&examples.get(place).expect("an example").ids, false).expect("a text");
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    (0..count).map(number).collect()
}

#[test]
fn data_sets_are_mixed_as_the_recipe_says() {
    let folder = two_sets();
    let order = |mix_strategy, shares: &[&str]| {
        let interleave_probs = shares.iter().map(|share| (*share).to_owned()).collect();
        let train = run(&Recipe { mix_strategy, interleave_probs, ..of(&folder, &["a", "b"]) })
            .expect("data")
            .0
            .train;
        questions(&train, train.len())
    };
    assert_eq!(order(MixStrategy::Concat, &[]), [100, 101, 102, 200, 201, 202, 203, 204, 205]);
    assert_eq!(order(MixStrategy::InterleaveUnder, &[]), [100, 200, 101, 201, 102, 202]);
    let over = [100, 200, 101, 201, 102, 202, 100, 203, 101, 204, 102, 205];
    assert_eq!(order(MixStrategy::InterleaveOver, &[]), over);
    // As `datasets.interleave_datasets` draws with seed 42.
    assert_eq!(order(MixStrategy::InterleaveUnder, &["0.5", "0.5"]), UNDER);
}

/// As LLaMA-Factory splits 6 rows with seed 42: `train_test_split(test_size=2, seed=42)`.
#[test]
fn the_split_is_that_of_datasets() {
    let folder = two_sets();
    let split = run(&Recipe { val_size: 2.0, ..of(&folder, &["b"]) }).expect("data").0;
    assert_eq!(
        (questions(&split.eval[0].examples, 2), questions(&split.train, 4)),
        (EVAL.to_vec(), TRAIN.to_vec())
    );
}

#[test]
fn each_data_set_is_evaluated_by_itself_if_asked_for() {
    let folder = two_sets();
    let stored = folder.path().join("encoded").display().to_string();
    let together =
        Recipe { eval_dataset: vec!["a".into(), "b".into()], do_eval: true, ..of(&folder, &["b"]) };
    let eval = |recipe: &Recipe| run(recipe).expect("data").0.eval;
    let of_both = eval(&together);
    assert_eq!((of_both.len(), of_both[0].name.clone(), of_both[0].examples.len()), (1, None, 9));
    let each = Recipe { eval_on_each_dataset: true, ..together };
    let stored = Recipe { tokenized_path: Some(stored), ..each.clone() };
    let streamed = Recipe { streaming: true, max_steps: 2, ..each.clone() };
    // The last one reads what the one before has stored.
    for recipe in [&each, &streamed, &stored, &stored] {
        let found: Vec<_> = eval(recipe)
            .iter()
            .map(|set| (set.name.clone().unwrap_or_default(), questions(&set.examples, set.examples.len())))
            .collect();
        let expected = [("a".to_owned(), vec![100, 101, 102]), ("b".to_owned(), (200..206).collect())];
        assert_eq!(found, expected);
    }
}

#[test]
fn rows_are_drawn_as_numpy_draws_them() {
    let info = r#"{"b": {"file_name": "b.jsonl", "num_samples": 8}}"#;
    let folder = folder(&[("dataset_info.json", info), ("b.jsonl", &rows(200, 6))]);
    let train = run(&of(&folder, &["b"])).expect("data").0.train;
    assert_eq!(questions(&train, train.len()), DRAWN);
    let train = run(&Recipe { max_samples: Some(3), ..of(&folder, &["b"]) }).expect("data").0.train;
    assert_eq!(questions(&train, train.len()), DRAWN[..3]);
}

#[test]
fn streams_are_shuffled_and_start_again() {
    let folder = two_sets();
    let streamed = Recipe { streaming: true, max_steps: 10, buffer_size: 2, ..of(&folder, &["a", "b"]) };
    let train = run(&streamed).expect("data").0.train;
    assert_eq!(train.len(), 10 * streamed.examples_per_step());
    let mut first = questions(&train, 9);
    assert_ne!(first, [100, 101, 102, 200, 201, 202, 203, 204, 205]);
    first.sort_unstable();
    assert_eq!(first, [100, 101, 102, 200, 201, 202, 203, 204, 205], "an epoch misses nothing");
    // A resumed run goes on where it stood; it never goes back.
    let whole = run(&streamed).expect("data").0.train;
    let resumed = run(&streamed).expect("data").0.train;
    let later: Vec<_> = (0..20).map(|place| whole.get(place).expect("an example")).skip(12).collect();
    assert_eq!(resumed.get(12).ok(), later.first().cloned());
    assert_eq!(resumed.get(19).ok(), later.last().cloned());
    assert!(resumed.get(3).is_err());

    let held_out = run(&Recipe { val_size: 2.0, ..streamed }).expect("data").0;
    let eval = questions(&held_out.eval[0].examples, held_out.eval[0].examples.len());
    let mut all = questions(&held_out.train, 7);
    assert_eq!(eval.len(), 2);
    assert!(eval.iter().all(|question| !all.contains(question)), "{eval:?} {all:?}");
    all.extend(eval);
    all.sort_unstable();
    assert_eq!(all, first);
}

#[test]
fn a_stream_tells_of_rows_that_it_leaves_out() {
    let content = format!("{}{{\"instruction\": \"no answer\"}}\n{}", rows(1, 2), rows(3, 2));
    let info = r#"{"a": {"file_name": "a.jsonl"}}"#;
    let folder = folder(&[("dataset_info.json", info), ("a.jsonl", &content)]);
    let streamed = Recipe { streaming: true, max_steps: 3, ..of(&folder, &["a"]) };
    let train = run(&streamed).expect("data").0.train;
    let remarks = train.remarks();
    assert!(remarks.iter().any(|remark| remark.contains("a.jsonl, row 3, key \"output\"")), "{remarks:?}");
    assert!(train.remarks().is_empty());
}

#[test]
fn a_stream_tells_of_a_column_that_its_first_rows_lack() {
    let info = |column: &str| {
        format!(
            r#"{{"a": {{"file_name": "a.jsonl", "columns": {{"prompt": "instruction", "response": "output", "system": "{column}"}}}}}}"#
        )
    };
    let long = rows(0, 1200) + "{\"instruction\": \"1\", \"output\": \"A\", \"late\": \"S\"}\n";
    let long = folder(&[("dataset_info.json", &info("late")), ("a.jsonl", &long)]);
    let streamed = |folder| Recipe { streaming: true, max_steps: 1, buffer_size: 1, ..of(folder, &["a"]) };
    let lines = run(&streamed(&long)).expect("data").1;
    assert!(lines.iter().any(|line| line.contains("none of the first 1000 rows has the column \"late\"")));
    let short = folder(&[("dataset_info.json", &info("none")), ("a.jsonl", &rows(0, 3))]);
    assert!(refusal(&streamed(&short)).contains("no row has the column \"none\" (system)"));
}

#[test]
fn a_cache_that_cannot_be_written_does_without() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("file"), "").expect("a file");
    let write = |mut writer: TableWriter| {
        writer.push(Some(&Example::new(vec![1, 2], vec![1, 2])))?;
        writer.finish(Vec::new())
    };
    // No folder can be made where a file is.
    let place = folder.path().join("file/encoded/a.tokens");
    let (lines, table) = logged(|observer| sets::written(&place, write, observer));
    let table = table.expect("the rows");
    assert_eq!(table.get(0).expect("a row").ids, [1, 2]);
    assert!(lines.len() == 1 && lines[0].contains("file/encoded") && lines[0].contains("CHANDLER_CACHE"));
    let broken = |_: TableWriter| Err(Error::Setting { key: "x", message: "wrong".into() });
    assert!(sets::written(&place, broken, &mut Observer::deaf()).is_err_and(|e| e.to_string() == "x: wrong"));
}

#[test]
fn encoded_data_are_stored_and_read_again() {
    let folder = two_sets();
    let stored = folder.path().join("encoded");
    for packing in [None, Some(true)] {
        let _ = std::fs::remove_dir_all(&stored);
        let recipe = Recipe {
            tokenized_path: Some(stored.display().to_string()),
            val_size: 2.0,
            packing,
            ..of(&folder, &["a", "b"])
        };
        let all = |examples: &Examples| examples.iter().collect::<Result<Vec<_>>>().expect("examples");
        let (first, lines) = run(&recipe).expect("data");
        assert!(lines.iter().any(|line| line.contains("Encoded data are stored")), "{lines:?}");
        // The files are no longer needed.
        std::fs::rename(folder.path().join("a.jsonl"), folder.path().join("away")).expect("a rename");
        let (second, lines) = run(&recipe).expect("data");
        std::fs::rename(folder.path().join("away"), folder.path().join("a.jsonl")).expect("a rename");
        assert!(lines.iter().any(|line| line.contains("are read from")), "{lines:?}");
        assert_eq!(all(&first.train), all(&second.train));
        assert_eq!(all(&first.eval[0].examples), all(&second.eval[0].examples));
    }
    // A run that was killed while it saved left files, but not the one that is written last.
    let cut = tempfile::tempdir().expect("a temporary folder");
    for name in ["validation.tokens", "validation-1.tokens", "validation.json", ".train.tokens.17-0.partial"]
    {
        std::fs::write(cut.path().join(name), "half").expect("a file");
    }
    let recipe =
        Recipe { tokenized_path: Some(cut.path().display().to_string()), ..of(&folder, &["a", "b"]) };
    for word in ["stored", "read"] {
        let lines = run(&recipe).expect("data").1;
        assert!(
            lines.iter().any(|line| line.contains("Encoded data are") && line.contains(word)),
            "{lines:?}"
        );
    }
    let foreign = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(foreign.path().join("dataset_dict.json"), "{}").expect("a file");
    let path = foreign.path().display().to_string();
    let message = refusal(&Recipe { tokenized_path: Some(path), ..of(&folder, &["a"]) });
    assert!(message.starts_with("tokenized_path:") && message.contains("LLaMA-Factory's"), "{message}");
}

const UNDER: [usize; 8] = [200, 100, 201, 202, 101, 203, 204, 205];
const EVAL: [usize; 2] = [203, 202];
const TRAIN: [usize; 4] = [205, 204, 201, 200];
const DRAWN: [usize; 8] = [200, 201, 205, 202, 204, 203, 204, 204];
