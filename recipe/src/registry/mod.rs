//! What Chandler knows by name: models and the template each one speaks.

use std::sync::LazyLock;

/// Families of models and their members, as `models.txt` says at its top.
const TABLE: &str = include_str!("models.txt");

/// The template for models that were never taught a conversation.
pub const BASE_TEMPLATE: &str = "default";

/// A model that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name that people know it by.
    pub name: &'static str,
    /// The family it is listed under.
    pub family: &'static str,
    /// Repository on the Hugging Face hub.
    pub hub_id: &'static str,
    /// The template its conversations are written in; [`BASE_TEMPLATE`] for models without chat training.
    pub template: &'static str,
}

/// A model that Chandler brings, or can bring, to the models folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The name that people know it by.
    pub name: &'static str,
    /// File or folder inside the models folder.
    pub path: &'static str,
    /// The template its conversations are written in.
    pub template: &'static str,
    /// The command that brings it; none if it is bundled.
    pub command: Option<&'static str>,
}

/// The models a fresh installation offers.
pub const OFFERED: &[Offered] = &[
    Offered { name: "Wick", path: "wick", template: "chatml", command: None },
    Offered {
        name: "SmolLM2-135M-Instruct",
        path: "SmolLM2-135M-Instruct-Q4_1.gguf",
        template: "smollm2",
        command: Some("cargo xtask model smollm2"),
    },
];

/// Every model with a name.
pub fn models() -> impl Iterator<Item = Model> {
    static MODELS: LazyLock<Vec<Model>> = LazyLock::new(read_table);
    MODELS.iter().copied()
}

fn read_table() -> Vec<Model> {
    let mut models = Vec::new();
    let (mut family, mut chat_template) = ("", BASE_TEMPLATE);
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, template)) = line.strip_prefix('[').and_then(|head| head.split_once(']')) {
            family = name;
            chat_template = Some(template.trim()).filter(|name| !name.is_empty()).unwrap_or(BASE_TEMPLATE);
        } else if let Some((name, hub_id)) = line.split_once(' ') {
            let template = if is_chat(name) { chat_template } else { BASE_TEMPLATE };
            models.push(Model { name, family, hub_id, template });
        }
    }
    models
}

/// LLaMA-Factory's rule for which names get their family's template.
fn is_chat(name: &str) -> bool {
    ["-Chat", "-Distill", "-Instruct", "-Thinking"].iter().any(|suffix| name.contains(suffix))
}

/// The template that fits a model, by the name of its folder or file.
///
/// `models/SmolLM2-135M-Instruct.Q4_1.gguf`, `meta-llama/Llama-3.2-1B-Instruct` and a folder
/// `llama-3.2-1b-instruct-mine` are all recognised; nothing is said about names that are not.
pub fn template_for(model_name_or_path: &str) -> Option<&'static str> {
    let name = stem(model_name_or_path);
    let offered = OFFERED.iter().find(|offered| stem(offered.path) == name).map(|offered| offered.template);
    offered.or_else(|| named(&name).map(|model| model.template))
}

/// The known model that a folder or file is named after.
pub fn find(model_name_or_path: &str) -> Option<Model> {
    named(&stem(model_name_or_path))
}

/// The number of parameters that a model's name states: 500 million for `Qwen2.5-0.5B-Instruct`, 135 million for
/// `SmolLM2-135M`. Of several (`Qwen3-30B-A3B`) the first counts, which is the whole.
pub fn size_in_name(model_name_or_path: &str) -> Option<u64> {
    let name = stem(model_name_or_path);
    name.split(['-', ' ']).find_map(|word| {
        let (number, unit) = [("b", 1e9), ("m", 1e6)]
            .iter()
            .find_map(|(letter, unit)| Some((word.strip_suffix(letter)?, unit)))?;
        let starts_with_digit = number.starts_with(|letter: char| letter.is_ascii_digit());
        let count = number.parse::<f64>().ok().filter(|count| starts_with_digit && count.is_finite())?;
        Some((count * unit) as u64)
    })
}

/// The known model whose name, or repository's name, starts this stem; the longest if several do.
fn named(stem: &str) -> Option<Model> {
    let matched = |model: &Model| {
        let repository = model.hub_id.rsplit('/').next().unwrap_or_default();
        [model.name, repository]
            .iter()
            .filter(|name| starts_with_name(stem, &normal(name)))
            .map(|name| name.len())
            .max()
    };
    models()
        .filter_map(|model| Some((matched(&model)?, model)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, model)| model)
}

/// Whether `stem` is this name, or this name and then something else after a separator.
fn starts_with_name(stem: &str, name: &str) -> bool {
    stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
}

/// Last part of a path in normal form, without `.gguf`.
fn stem(path: &str) -> String {
    let path = path.trim().trim_end_matches(['/', '\\']);
    let last = normal(path.rsplit(['/', '\\']).next().unwrap_or(path));
    last.strip_suffix(".gguf").map(str::to_owned).unwrap_or(last)
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_templates_by_folder_and_file_names() {
        let cases = [
            ("models/wick", Some("chatml")),
            ("models/SmolLM2-135M-Instruct-Q4_1.gguf", Some("smollm2")),
            ("SmolLM2-135M-Instruct.Q4_1.gguf", Some("smollm2")),
            ("HuggingFaceTB/SmolLM2-360M-Instruct/", Some("smollm2")),
            ("/srv/llama-3.2-1b-instruct-mine", Some("llama3")),
            ("Meta-Llama-3-8B", Some("default")),
            ("meta-llama/Meta-Llama-3.1-8B-Instruct", Some("llama3")),
            ("Yi-6B-Chat", Some("yi")),
            ("Yi-6B", Some("default")),
            ("huggyllama/llama-7b", Some("default")),
            ("Llama-2-7b-chat-hf", Some("llama2")),
            ("yi-6bz", None),
            ("my-model", None),
            ("", None),
        ];
        for (path, template) in cases {
            assert_eq!(template_for(path), template, "{path}");
        }
    }

    #[test]
    fn sizes_are_read_from_names() {
        let cases = [
            ("Qwen/Qwen2.5-0.5B-Instruct", Some(500_000_000)),
            ("models/SmolLM2-135M-Instruct-Q4_1.gguf", Some(135_000_000)),
            ("Qwen3-30B-A3B", Some(30_000_000_000)),
            ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", Some(1_500_000_000)),
            ("gemma-3-270m-it", Some(270_000_000)),
            ("models/wick", None),
            ("openai-community/gpt2-medium", None),
            ("infb-nanm-eb", None),
            ("", None),
        ];
        for (name, size) in cases {
            assert_eq!(size_in_name(name), size, "{name}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
        assert_eq!(models().count(), lines.count());
        assert!(models().all(|model| !model.family.is_empty() && model.hub_id.contains('/')));
    }

    #[test]
    fn names_are_unique() {
        let names: Vec<_> = models().map(|model| model.name).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name} is listed twice");
        }
    }
}
