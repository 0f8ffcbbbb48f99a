//! The argument table holds together, and recipes survive being written.

use recipe::args::{accepted, find, tokens, unsupported};
use recipe::{Argument, FinetuningType, Kind, Lang, Recipe, Stage, Steps, Strategy, arguments};

#[test]
fn every_key_stands_in_one_list_once() {
    let mut keys: Vec<&str> = arguments().iter().map(|argument| argument.key).collect();
    keys.extend(arguments().iter().flat_map(|argument| argument.synonyms));
    keys.extend(accepted::all().map(|accepted| accepted.key));
    keys.extend(unsupported::all().map(|known| known.key));
    keys.extend(tokens::keys());
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn every_argument_speaks_every_language() {
    for argument in arguments() {
        for text in [argument.label, argument.help] {
            assert!(!text.en.is_empty(), "{}", argument.key);
            assert!(text.zh.is_some_and(|words| !words.is_empty()), "{}", argument.key);
        }
        let zh = argument.help.get(Lang::Zh);
        assert!(argument.help.en.ends_with('.') && zh.ends_with('。'), "{}", argument.key);
        assert!(zh.chars().any(|c| c as u32 > 0x2e80), "{}", argument.key);
        assert!(argument.help.en.is_ascii(), "{}", argument.key);
    }
}

#[test]
fn every_default_can_be_set_and_lies_in_its_range() {
    for argument in arguments() {
        let mut recipe = Recipe::default();
        let default = argument.default_text();
        if !default.is_empty() {
            recipe.set(argument.key, &default).unwrap_or_else(|problem| panic!("{problem}"));
        }
        assert_eq!(recipe, Recipe::default(), "{}", argument.key);
    }
}

#[test]
fn a_refused_value_leaves_the_argument_as_it_was() {
    let mut recipe = Recipe::default();
    assert!(recipe.set("lora_rank", "0").is_err());
    assert!(recipe.set("lora_dropout", "1").is_err());
    assert!(recipe.set("max_samples", "0").is_err());
    assert!(recipe.set("optim", "stable_adamw").is_err());
    assert!(recipe.set("no_such_key", "1").is_err());
    assert_eq!(recipe, Recipe::default());
}

#[test]
fn every_argument_survives_being_written() {
    for argument in arguments() {
        let mut recipe = Recipe::default();
        let value = match argument.kind {
            Kind::Bool => (argument.default_text() != "true").to_string(),
            Kind::Integer => "7".to_owned(),
            Kind::Real | Kind::Steps => "0.25".to_owned(),
            Kind::List => "one,two".to_owned(),
            Kind::Choice(choices) => choices[choices.len() - 1].value.to_owned(),
            Kind::Text | Kind::Path => "a name".to_owned(),
            Kind::Settings => "power=2".to_owned(),
            Kind::Rules => {
                "[{type: regex, pattern: 'a, \\d+: {b}'}, {type: length, max: 9, weight: -0.5}]".to_owned()
            }
        };
        recipe.set(argument.key, &value).unwrap_or_else(|problem| panic!("{problem}"));
        let yaml = recipe.to_yaml();
        assert_eq!(Recipe::parse_yaml(&yaml, &[]), Ok(recipe), "{yaml}");
    }
}

#[test]
fn awkward_texts_survive_being_written() {
    let texts = [
        "no",
        "1e-4",
        "0x10",
        "2026-01-01",
        "1:30",
        "null",
        "~",
        "- item",
        "a: b",
        "a #b",
        "it's",
        "\"quoted\"",
        "two\nlines",
        "tab\there",
        " spaces ",
        "{x}",
        "#",
        "ends:",
        "你好：世界",
        "C:\\models\\wick",
        "%TAG",
        "é\u{85}",
    ];
    for text in texts {
        let recipe = Recipe { default_system: Some(text.to_owned()), ..Recipe::default() };
        let yaml = recipe.to_yaml();
        assert_eq!(Recipe::parse_yaml(&yaml, &[]), Ok(recipe), "{yaml}");
    }
    let recipe = Recipe { adapter_name_or_path: vec!["a,b".to_owned(), "c".to_owned()], ..Recipe::default() };
    assert_eq!(Recipe::parse_yaml(&recipe.to_yaml(), &[]), Ok(recipe));
}

#[test]
fn written_recipes_hold_essentials_and_differences_in_the_tables_order() {
    let recipe = Recipe {
        model_name_or_path: "models/wick".to_owned(),
        do_train: true,
        dataset: vec!["identity".to_owned(), "chat".to_owned()],
        template: Some("chatml".to_owned()),
        learning_rate: 1e-4,
        warmup_steps: Steps::Share(0.1),
        save_strategy: Strategy::No,
        output_dir: "out".to_owned(),
        without_effect: vec![("flash_attn".to_owned(), "auto".to_owned())],
        ..Recipe::default()
    };
    let yaml = "\
### model
model_name_or_path: models/wick

### method
stage: sft
do_train: true
finetuning_type: lora

### dataset
dataset: identity,chat
template: chatml

### train
learning_rate: 1.0e-4
warmup_steps: 0.1

### output
output_dir: out
save_strategy: 'no'

### no effect here
flash_attn: auto
";
    assert_eq!(recipe.to_yaml(), yaml);
    assert_eq!(Recipe::from_yaml(yaml), Ok(recipe));
}

#[test]
fn lists_of_several_stages_and_methods_are_read_alike() {
    let neat_packing = find("neat_packing").unwrap();
    let lora = Argument { methods: &[FinetuningType::Lora], stages: Stage::ALL, ..*neat_packing };
    let anywhere = Argument { methods: FinetuningType::ALL, ..lora };
    let misses =
        |argument: &Argument, stage| argument.misses(stage, FinetuningType::Full).map(|words| words.en);
    for &stage in Stage::ALL {
        assert_eq!(misses(&anywhere, stage), None);
        assert_eq!(misses(&lora, stage).as_deref(), Some("`finetuning_type: lora`"));
    }
    assert_eq!(misses(neat_packing, Stage::Sft), None);
    assert_eq!(misses(neat_packing, Stage::Pt).as_deref(), Some("`stage: sft`"));
}

#[test]
fn phrases_say_kind_and_range() {
    let takes = |key: &str, lang| find(key).unwrap().takes(lang);
    assert_eq!(takes("lora_dropout", Lang::En), "a number ≥ 0 and < 1");
    assert_eq!(takes("lora_dropout", Lang::Zh), "数值 ≥ 0 且 < 1");
    assert_eq!(takes("stage", Lang::En), "one of pt, sft, rm, dpo, orpo, kto, ppo, grpo");
    assert_eq!(takes("save_strategy", Lang::Zh), "no、steps、epoch");
}
