//! docs/arguments.md is made from the argument table. `UPDATE_DOCS=1 cargo test -p recipe` rewrites it.

use recipe::args::{accepted, tokens, unsupported};
use recipe::{Argument, FinetuningType, Group, Lang, Stage, arguments};

const INTRODUCTION: &str = "\
# Arguments

<!-- Made from the argument table in recipe/src/args: `UPDATE_DOCS=1 cargo test -p recipe`. -->

A recipe is a YAML (or JSON) file of `key: value` lines. Keys and defaults are LLaMA-Factory's, so its files for
the stages `sft` and `pt` run unchanged. Lists are written with commas (`identity,chat`) or as YAML lists.
`chandler train recipe.yaml key=value …` sets further values on the command line, and `--key value` does so, too; they
win over the file, and a run may be described without a file by them alone.

No key is ignored in silence. A key that [changes nothing here](#keys-without-effect) is accepted with a notice;
one that is [known but not supported yet](#keys-not-supported-yet) is refused by name, unless it stands at its
default or belongs to something that is not turned on, such as `swanlab_mode` without `use_swanlab`; any other is refused
with its line and the key that was probably meant.
";

const TOKENS: &str = "\
say who asks the Hugging Face hub and ModelScope, in place of `HF_TOKEN` and
`MODELSCOPE_API_TOKEN` in the environment. They are used and never shown: no message, log or page holds them, and the
board keeps them in the worker's own copy of the recipe alone, which its owner alone may read.
";

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/arguments.md");
    let wanted = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/arguments.md is not what the table says; run: UPDATE_DOCS=1 cargo test -p recipe"
    );
}

fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in Group::ALL {
        page += &format!("\n## {}\n\n| key | takes | default | |\n|---|---|---|---|\n", group.label().en);
        for argument in arguments().iter().filter(|argument| argument.group == group) {
            let (key, takes) = (argument.key, argument.takes(Lang::En));
            page += &format!("| `{key}` | {takes} | {} | {} |\n", default(argument), description(argument));
        }
    }
    page += "\n## Keys without effect\n\n| keys | values | why |\n|---|---|---|\n";
    let accepted = accepted::all().map(|accepted| {
        let values = if accepted.only.is_empty() { "any".to_owned() } else { code(accepted.only) };
        (format!("{values} | {}", accepted.reason.en), accepted.key)
    });
    for (values_and_reason, keys) in runs(accepted) {
        page += &format!("| {} | {values_and_reason} |\n", code(&keys));
    }
    let tokens: Vec<&str> = tokens::keys().collect();
    page += &format!("\n## Tokens of hubs\n\n{}\n{TOKENS}", code(&tokens));
    page += "\n## Keys not supported yet\n\n| part of | keys |\n|---|---|\n";
    for (feature, keys) in runs(unsupported::all().map(|known| (known.feature, known.key))) {
        page += &format!("| {feature} | {} |\n", code(&keys));
    }
    page
}

/// Neighbouring keys that share what comes with them.
fn runs<T: PartialEq>(pairs: impl Iterator<Item = (T, &'static str)>) -> Vec<(T, Vec<&'static str>)> {
    let mut runs: Vec<(T, Vec<&str>)> = Vec::new();
    for (shared, key) in pairs {
        match runs.last_mut() {
            Some((last, keys)) if *last == shared => keys.push(key),
            _ => runs.push((shared, vec![key])),
        }
    }
    runs
}

fn default(argument: &Argument) -> String {
    match (argument.default_text(), argument.placeholder) {
        (text, _) if !text.is_empty() => format!("`{text}`"),
        (_, Some(placeholder)) => placeholder.en.to_owned(),
        _ => "–".to_owned(),
    }
}

/// The help, and what narrows the argument.
fn description(argument: &Argument) -> String {
    let mut text = argument.help.en.to_owned();
    let stages: Vec<_> = argument.stages.iter().map(|stage: &Stage| stage.name()).collect();
    let methods: Vec<_> = argument.methods.iter().map(|method: &FinetuningType| method.name()).collect();
    if !stages.is_empty() {
        text += &format!(" Stage {} only.", code(&stages));
    }
    if !methods.is_empty() {
        text += &format!(" Method {} only.", code(&methods));
    }
    if !argument.synonyms.is_empty() {
        text += &format!(" Also read as {}.", code(argument.synonyms));
    }
    if !argument.refused.is_empty() {
        text += &format!(" Not supported yet: {}.", code(argument.refused));
    }
    text
}

fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
