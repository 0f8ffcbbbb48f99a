//! From a recipe to sequences.

mod several;

use super::*;
use crate::observer::tests::logged;
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
