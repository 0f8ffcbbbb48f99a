//! Every stage with every method: each trains, goes on from a checkpoint to the same bits, and is read back by the chat.

use std::path::Path;

use engine::chat::{ChatModel, ChatSource, Said};
use recipe::{ChatMessage, Outcome, Sampling};
use tempfile::TempDir;

use super::{changed, data, numbers, run};

/// What makes a recipe one of a stage.
const STAGES: &[&[(&str, &str)]] = &[
    &[("stage", "pt"), ("dataset", "pt_txt")],
    &[("stage", "sft")],
    &[("stage", "rm"), ("dataset", "dpo")],
    &[("stage", "dpo"), ("dataset", "dpo")],
    &[("stage", "dpo"), ("dataset", "dpo"), ("pref_loss", "simpo")],
    &[("stage", "orpo"), ("dataset", "dpo")],
    &[("stage", "kto"), ("dataset", "kto")],
    &[("stage", "ppo"), ("reward_rules", "[{type: length, max: 3}]"), ("max_new_tokens", "4")],
    &[("stage", "grpo"), ("reward_rules", "[{type: length, max: 3}]"), ("max_new_tokens", "4")],
];

/// What makes a recipe one of a method.
const METHODS: &[&[(&str, &str)]] = &[
    &[("finetuning_type", "full")],
    &[("finetuning_type", "full"), ("mixture_of_depths", "convert")],
    &[("finetuning_type", "freeze"), ("freeze_trainable_layers", "1")],
    &[("finetuning_type", "lora"), ("lora_dropout", "0.1")],
    &[("finetuning_type", "lora"), ("use_dora", "true")],
    &[("finetuning_type", "lora"), ("pissa_init", "true"), ("lora_rank", "4")],
    &[("finetuning_type", "oft"), ("oft_block_size", "16"), ("module_dropout", "0.3")],
];

#[test]
fn every_stage_trains_by_every_method() {
    for stage in STAGES {
        for method in METHODS {
            let values = [*stage, *method].concat();
            // Answers are written by another choice of tokens than texts are learnt by.
            let draws = values.iter().any(|(_, value)| ["ppo", "grpo"].contains(value));
            if draws && values.iter().any(|(key, _)| *key == "mixture_of_depths") {
                continue;
            }
            combination(&values);
        }
    }
}

/// What a PiSSA adapter is compared with is the model as it was, not what is left of its weights: at first both say the
/// same, and the loss is that of a toss.
#[test]
fn the_reference_of_an_adapter_that_took_from_the_weights_is_the_whole_model() {
    let output = TempDir::new().unwrap();
    let dpo = [
        ("stage", "dpo"),
        ("dataset", "dpo"),
        ("pissa_init", "true"),
        ("lora_rank", "4"),
        ("max_steps", "1"),
    ];
    let (_, points) = run(&changed(output.path(), "", &dpo), None).unwrap();
    assert!((super::loss(&points[0]) - f64::ln(2.0)).abs() < 1e-4, "{:?}", points[0]);
}

fn combination(values: &[(&str, &str)]) {
    let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let values = &[values, &[("max_steps", "3"), ("save_steps", "1")]].concat();
    let recipe = |output: &Path| changed(output, "", values);
    let (_, expected) = run(&recipe(whole.path()), None).unwrap();
    let (stopped, first) = run(&recipe(parts.path()), Some(2)).unwrap();
    assert_eq!((stopped.outcome, stopped.steps), (Outcome::Stopped, 2), "{values:?}");
    let (finished, second) = run(&recipe(parts.path()), None).unwrap();
    assert_eq!(finished.outcome, Outcome::Finished, "{values:?}");
    assert_eq!(numbers(&[first, second].concat()), numbers(&expected), "{values:?}");
    assert!(expected.iter().all(|point| super::loss(point).is_finite()), "{values:?}");
    answers(parts.path(), values);
}

/// The result answers a question.
fn answers(output: &Path, values: &[(&str, &str)]) {
    let is_adapter = output.join("adapter_config.json").exists();
    let source = ChatSource {
        model: if is_adapter { data().join("base") } else { output.to_owned() },
        adapters: if is_adapter { vec![output.to_owned()] } else { Vec::new() },
        template: Some("default".to_owned()),
        ..ChatSource::default()
    };
    let model = ChatModel::load(&source, &mut engine::hub::quietly).unwrap();
    let mut answers = model.answers();
    let sampling = Sampling { max_new_tokens: 2, ..Sampling::default() };
    let question = ChatMessage { role: "user".to_owned(), content: "What is it?".to_owned() };
    answers.begin(&[question], &sampling).unwrap();
    let said: Vec<Said> = (0..4).flat_map(|_| answers.step().unwrap()).map(|(_, said)| said).collect();
    let done = said.iter().any(|said| matches!(said, Said::Done(answer) if answer.completion_tokens > 0));
    assert!(done, "{values:?}");
}
