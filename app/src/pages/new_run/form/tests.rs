//! A form by itself.

use super::*;

pub fn form() -> (Owner, Form) {
    let owner = Owner::new();
    owner.set();
    let model = ModelChoice {
        path: "models/wick".into(),
        label: "wick".into(),
        template: Some("wick".into()),
        parameters: None,
        context: None,
        present: true,
        hint: None,
    };
    let form = Form::new(&FormChoices { models: vec![model], ..FormChoices::default() });
    (owner, form)
}

fn keys(form: &Form) -> Vec<String> {
    form.problems.get().into_iter().filter_map(|problem| problem.key).collect()
}

#[test]
fn a_fresh_form_lacks_the_data_alone() {
    let (_owner, form) = form();
    assert_eq!(keys(&form), ["dataset"]);
    assert_eq!(form.problem_at("dataset"), None, "nobody has come to the field yet");
    form.touch("dataset");
    assert!(form.problem_at("dataset").is_some());
}

#[test]
fn a_template_is_the_one_that_fits_or_the_models_own() {
    let (_owner, form) = form();
    let template = || form.field("template").get_untracked();
    assert_eq!(template(), "wick");
    form.suit_template(None);
    assert_eq!((template(), keys(&form)), (String::new(), vec!["dataset".to_owned()]));
    form.touch("template");
    form.field("template").set("chatml".into());
    form.suit_template(None);
    assert_eq!(template(), "chatml");
    form.suit_template(Some("qwen".into()));
    assert_eq!(template(), "qwen");
}

#[test]
fn of_a_recipe_all_that_is_understood_is_loaded() {
    let (_owner, form) = form();
    let yaml = "model_name_or_path: models/wick\nno_such_key:\n  - 1\nlora_rank: 12\nstage: sft\nlora_alpha: much\ndataset: identity\n";
    let left_out = form.load_what_can_be(yaml).unwrap();
    let lines: Vec<_> = left_out.iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 6]);
    assert_eq!(form.field("lora_rank").get_untracked(), "12");
    assert!(form.load_what_can_be("[").is_err());
}

#[test]
fn what_cannot_be_read_stands_in_the_recipe_as_a_remark() {
    let (_owner, form) = form();
    form.field("dataset").set("identity".into());
    form.field("learning_rate").set("1,5e-4".into());
    let yaml = form.yaml_with_remarks();
    assert!(yaml.contains("\n# learning_rate: 1,5e-4 – "), "{yaml}");
    assert!(Recipe::parse_yaml(&yaml, &[]).is_ok());
}

#[test]
fn form_to_yaml_to_form_changes_nothing() {
    let (_owner, form) = form();
    form.field("dataset").set("identity,stories".into());
    form.field("lora_rank").set("16".into());
    form.field("warmup_ratio").set("0.05".into());
    assert!(form.problems.get().is_empty(), "{:?}", form.problems.get());
    let yaml = form.yaml();
    assert!(Recipe::from_yaml(&yaml).is_ok(), "{yaml}");
    let (_owner, other) = self::form();
    other.load(&yaml).unwrap();
    assert_eq!(other.yaml(), yaml);
}

#[test]
fn what_has_no_field_is_kept_until_it_is_taken_out() {
    let (_owner, form) = form();
    let loaded = "model_name_or_path: models/wick\ntemplate: wick\ndataset: identity\ndataset_dir: ONLINE\n\
        plot_loss: true\nuse_cpu: true\nresume_from_checkpoint: runs/a/output/checkpoint-5\ntemperature: 0.5\n\
        top_k: 7\noutput_dir: saves/x\noverwrite_output_dir: true\n";
    form.load(loaded).unwrap();
    let read = Recipe::parse_yaml(&form.yaml(), &[]).unwrap();
    assert_eq!((read.dataset_dir.as_str(), read.top_k, read.temperature), ("ONLINE", 7, 0.5));
    assert!(read.plot_loss && read.use_cpu);
    assert_eq!(read.resume_from_checkpoint.as_deref(), Some("runs/a/output/checkpoint-5"));
    assert_eq!((read.output_dir.as_str(), read.overwrite_output_dir), ("output", false));
    assert_eq!(form.overruled.get_untracked(), ["output_dir", "overwrite_output_dir"]);

    let (_owner, copy) = self::form();
    copy.fill_from(&form.yaml());
    assert_eq!(copy.yaml(), form.yaml());
    assert!(copy.overruled.get_untracked().is_empty(), "the board's own recipes say what the board sets");
    copy.further.update(|kept| kept.retain(|(key, _)| *key != "use_cpu"));
    assert!(!copy.yaml().contains("use_cpu") && copy.yaml().contains("plot_loss: true"));
    copy.load("resume_from_checkpoint: true\n").unwrap();
    assert_eq!(copy.overruled.get_untracked(), ["resume_from_checkpoint"]);
    assert!(!copy.yaml().contains("resume_from_checkpoint"));
}

#[test]
fn tokens_go_with_a_launch_and_nowhere_else() {
    let (_owner, form) = form();
    form.load("model_name_or_path: models/wick\ndataset: identity\nhub_token: hf_secret\nfp16: true\n")
        .unwrap();
    assert!(form.has_tokens() && !form.yaml().contains("secret"));
    let launched = Recipe::parse_yaml(&form.yaml_to_launch(), &[]).unwrap();
    assert_eq!(launched.tokens.hugging_face.as_deref(), Some("hf_secret"));
    assert!(launched.fp16, "an argument without a field is kept");
    form.load("model_name_or_path: models/wick\n").unwrap();
    assert!(!form.has_tokens());
}

#[test]
fn what_does_not_apply_is_not_written() {
    let (_owner, form) = form();
    form.field("lora_rank").set("16".into());
    assert!(form.yaml().contains("lora_rank: 16"));
    form.field("finetuning_type").set("full".into());
    assert!(!form.yaml().contains("lora_rank"));
}

#[test]
fn a_value_that_cannot_be_read_is_named_once() {
    let (_owner, form) = form();
    form.field("dataset").set("identity".into());
    form.field("learning_rate").set("fast".into());
    assert_eq!(keys(&form), ["learning_rate"]);
    assert!(form.problem_at("learning_rate").is_some());
}

#[test]
fn the_server_adds_what_only_it_sees() {
    let (_owner, form) = form();
    let problem = |key: &str| FieldProblem { key: Some(key.into()), message: "from the server".into() };
    form.from_server.set(vec![problem("dataset"), problem("model_name_or_path")]);
    assert_eq!(keys(&form), ["dataset", "model_name_or_path"]);
}
