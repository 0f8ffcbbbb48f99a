//! Reading recipes: what runs unchanged, what is refused, and how it is said.

mod common;

use common::{SMALLEST, problems, with};
use recipe::{FinetuningType, Kind, LrScheduler, Recipe, Stage, Steps, Strategy, arguments};

fn llamafactory(name: &str) -> Recipe {
    let path = format!("{}/tests/llamafactory/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Recipe::from_yaml(&text).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"))
}

#[test]
fn llamafactory_lora_sft_runs_unchanged() {
    let recipe = llamafactory("lora_sft.yaml");
    assert_eq!(recipe.dataset, ["identity", "alpaca_en_demo"]);
    assert_eq!((recipe.lora_rank, recipe.alpha()), (16, 32));
    assert_eq!(recipe.learning_rate, 1e-4);
    assert_eq!(recipe.lr_scheduler_type, LrScheduler::Cosine);
    assert_eq!(recipe.warmup(95), 10);
    assert_eq!(recipe.resume_from_checkpoint, None);
    let noted: Vec<_> = recipe.notices().iter().map(ToString::to_string).collect();
    assert_eq!(
        noted,
        ["trust_remote_code, preprocessing_num_workers, dataloader_num_workers, ddp_timeout \
          (no effect here; docs/arguments.md says why)"]
    );
}

#[test]
fn llamafactory_full_sft_runs_unchanged() {
    let recipe = llamafactory("full_sft.yaml");
    assert_eq!(recipe.finetuning_type, FinetuningType::Full);
    assert_eq!(recipe.dataset, ["identity", "alpaca_en_demo"]);
    assert_eq!(recipe.warmup_steps, Steps::Share(0.1));
    assert_eq!(recipe.learning_rate, 1e-5);
    assert_eq!(recipe.eval_strategy, Strategy::Steps);
    assert!(recipe.pure_bf16);
}

#[test]
fn llamafactory_pretraining_runs_unchanged() {
    let recipe = llamafactory("lora_pretrain.yaml");
    assert_eq!(recipe.stage, Stage::Pt);
    assert!(recipe.packs());
    assert_eq!(recipe.lora_target, ["q_proj", "v_proj"]);
    assert_eq!((recipe.save_strategy, recipe.eval_strategy), (Strategy::No, Strategy::No));
    assert_eq!(recipe.step_limit(), Some(1000));
}

#[test]
fn what_llamafactorys_board_saves_runs_unchanged() {
    let recipe = llamafactory("board.yaml");
    assert_eq!(recipe.packing, Some(false));
    assert_eq!(recipe.lora_alpha, Some(16));
}

#[test]
fn json_reads_like_yaml() {
    let recipe = llamafactory("sft.json");
    assert_eq!(recipe.learning_rate, 1e-4);
    assert_eq!(recipe.output_dir, "saves/smollm2");
}

#[test]
fn json_may_be_indented_with_tabs_and_escaped() {
    let text = "{\n\t\"model_name_or_path\": \"a\\/b\",\n\t\"dataset\": [\"x\", \"y\"],\n\
                \t\"default_system\": \"\\ud83d\\ude00 \\u4f60\"\n}\n";
    let recipe = Recipe::parse_yaml(text, &[]).unwrap();
    assert_eq!(recipe.model_name_or_path, "a/b");
    assert_eq!(recipe.dataset, ["x", "y"]);
    assert_eq!(recipe.default_system.as_deref(), Some("😀 你"));
    let literal = Recipe::parse_yaml(r#"{"default_system": "\\ud83d\\ude00"}"#, &[]).unwrap();
    assert_eq!(
        literal.default_system.as_deref(),
        Some(r"\ud83d\ude00"),
        "an escaped backslash starts no escape"
    );
}

#[test]
fn numbers_and_truth_values_read_as_people_type_them() {
    let recipe = with("learning_rate: 1e-4\nadam_epsilon: 1.0E-6\nseed: 18446744073709551615\nmax_samples: 1_000\n\
         cutoff_len: 1e3\nplot_loss: Yes\ndo_eval: off\nuse_rslora: TRUE\nlora_dropout: .5\nweight_decay: 0\n")
    .unwrap();
    assert_eq!((recipe.learning_rate, recipe.adam_epsilon, recipe.lora_dropout), (1e-4, 1e-6, 0.5));
    assert_eq!((recipe.seed, recipe.max_samples, recipe.cutoff_len), (u64::MAX, Some(1000), 1000));
    assert!(recipe.plot_loss && recipe.use_rslora && !recipe.do_eval);
}

#[test]
fn wrong_values_are_named_with_line_and_what_is_allowed() {
    let cases = [
        ("lora_rank: 8.5", "line 6: `lora_rank` is 8.5; give an integer ≥ 1 and ≤ 8192"),
        ("lora_rank: 0", "line 6: `lora_rank` is 0; give an integer ≥ 1 and ≤ 8192"),
        ("lora_rank: -3", "line 6: `lora_rank` is -3; give an integer ≥ 1 and ≤ 8192"),
        ("lora_rank: 010", "line 6: `lora_rank` is 010; give an integer ≥ 1 and ≤ 8192"),
        ("lora_rank:", "line 6: `lora_rank` is empty; give an integer ≥ 1 and ≤ 8192, or remove the line"),
        ("lora_rank: {r: 8}", "line 6: `lora_rank` is a nested value; give an integer ≥ 1 and ≤ 8192"),
        ("learning_rate: fast", "line 6: `learning_rate` is fast; give a number > 0 and ≤ 100"),
        ("learning_rate: .nan", "line 6: `learning_rate` is .nan; give a number > 0 and ≤ 100"),
        ("learning_rate: 1e999", "line 6: `learning_rate` is 1e999; give a number > 0 and ≤ 100"),
        ("top_p: 1.5", "line 6: `top_p` is 1.5; give a number > 0 and ≤ 1"),
        ("lora_rank: [[8]]", "line 6: `lora_rank` is a nested value; give an integer ≥ 1 and ≤ 8192"),
        ("bf16: maybe", "line 6: `bf16` is maybe; give true or false"),
        ("bf16: [true]", "line 6: `bf16` is [true]; give true or false"),
        (
            "save_steps: 0",
            "line 6: `save_steps` is 0; give an integer, or a ratio below 1, > 0 and ≤ 1000000000000",
        ),
        (
            "save_steps: 1.5",
            "line 6: `save_steps` is 1.5; give an integer, or a ratio below 1, > 0 and ≤ 1000000000000",
        ),
        ("rope_scaling: ntk", "line 6: `rope_scaling` is ntk; give one of linear, dynamic, yarn, llama3"),
        (
            "rope_scaling: YARNs",
            "line 6: `rope_scaling` is YARNs; give one of linear, dynamic, yarn, llama3; did you mean `yarn`?",
        ),
        (
            "report_to: tensorbord",
            "line 6: `report_to: tensorbord` is not supported; allowed are none and tensorboard; did you mean \
             `tensorboard`?",
        ),
    ];
    for (line, message) in cases {
        assert_eq!(problems(&format!("{line}\n")), [message]);
    }
}

#[test]
fn unsupported_keys_and_values_are_refused_by_name() {
    assert_eq!(
        problems("\nuse_swanlab: true\n"),
        [
            "line 7: `use_swanlab` (SwanLab) is known from LLaMA-Factory but not supported by Chandler yet; remove it"
        ]
    );
    let refused = problems("optim: stable_adamw\n");
    assert!(
        refused[0].contains("`optim: stable_adamw` is known from LLaMA-Factory but not supported"),
        "{refused:?}"
    );
    assert!(problems("num_beams: 4\n")[0].contains("without beams"));
}

#[test]
fn unsupported_keys_at_their_default_ask_for_nothing() {
    let recipe =
        with("use_swanlab: false\nswanlab_mode: cloud\nquantization_bit: null\npref_bco_weight: 0\n")
            .unwrap();
    assert_eq!(recipe, with("").unwrap());
}

#[test]
fn keys_of_a_feature_that_is_off_are_without_effect() {
    let recipe = with("swanlab_mode: local\nswanlab_api_key: secret\nuse_swanlab: false\nfp8_backend: te\n");
    let notices = recipe.unwrap().notices();
    assert_eq!(notices[0].keys().collect::<Vec<_>>(), ["swanlab_mode", "swanlab_api_key", "fp8_backend"]);
    assert!(!format!("{notices:?}").contains("secret"));
    for (lines, refused) in [
        // What turns it on is refused, and says it all.
        ("swanlab_mode: local\nuse_swanlab: true\n", 1),
        ("image_max_pixels: 1\nvideo_max_pixels: 1\n", 1),
        // Each of these asks for itself.
        ("reserved_label_len: 2\nadapter_folder: x\n", 2),
    ] {
        assert_eq!(problems(lines).len(), refused, "{lines}: {:?}", problems(lines));
    }
}

#[test]
fn orders_and_new_tokens_do_not_contradict_each_other() {
    let orders = "group_by_length: true\ndisable_shuffling: true\n";
    assert!(problems(orders)[0].contains("`group_by_length` and `disable_shuffling` exclude each other"));
    assert_eq!(problems("train_sampling_strategy: group_by_length\n"), Vec::<String>::new());
    assert!(problems("train_sampling_strategy: batch\n")[0].contains("not supported"));
    assert!(
        problems("use_dft_loss: true\nlabel_smoothing_factor: 0.1\n")[0].contains("both change the loss")
    );
    assert!(problems("init_special_tokens: desc_init\n")[0].contains("needs the descriptions"));
    assert_eq!(with("new_special_tokens: <a>,<b>\n").unwrap().add_special_tokens, ["<a>", "<b>"]);
    let described = recipe::descriptions("<a>: one\n'<b>': \"two words\"\n").unwrap();
    assert_eq!(described[1], ("<b>".to_owned(), "two words".to_owned()));
    assert!(recipe::descriptions("<a>: {x: 1}\n").unwrap_err().to_string().contains("line 1: `<a>`"));
}

#[test]
fn a_reference_without_the_adapter_that_is_gone_on_with_is_worth_a_word() {
    let doubts = |lines: &str| -> Vec<String> {
        let lines = format!("stage: dpo\nadapter_name_or_path: saves/sft\n{lines}");
        let recipe = with(&lines).unwrap();
        recipe.doubts().iter().map(ToString::to_string).collect()
    };
    let said = doubts("");
    assert!(
        said[0].contains("saves/sft is gone on with") && said[0].contains("create_new_adapter: true"),
        "{said:?}"
    );
    for lines in ["create_new_adapter: true\n", "ref_model: m\n", "pref_loss: orpo\n"] {
        assert_eq!(doubts(lines), Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn tokens_are_used_and_never_shown() {
    let recipe = with("hub_token: hf_secret\nms_hub_token: 'ms secret'\nom_hub_token: x\n").unwrap();
    assert_eq!(recipe.tokens.hugging_face.as_deref(), Some("hf_secret"));
    assert_eq!(recipe.tokens.model_scope.as_deref(), Some("ms secret"));
    let seen = format!("{recipe:?}{}{:?}", recipe.to_yaml(), recipe.notices());
    assert!(!seen.contains("secret"), "{seen}");
    let whole = recipe.to_yaml() + &recipe.tokens.to_yaml();
    assert_eq!(Recipe::from_yaml(&whole), Ok(recipe));
    assert!(with("hf_hub_token: null\nhub_token:\n").unwrap().tokens.is_empty());
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    assert_eq!(
        problems("lora_rnak: 8\n"),
        ["line 6: `lora_rnak` is not an argument; did you mean `lora_rank`?"]
    );
    assert!(problems("colour: red\n")[0].starts_with("line 6: `colour` is not an argument; remove it"));
}

#[test]
fn keys_given_twice_are_refused() {
    assert_eq!(
        problems("seed: 1\nseed: 2\n"),
        ["line 7: `seed` is given twice (first on line 6); keep one of them"]
    );
    assert_eq!(problems("eval_strategy: no\nevaluation_strategy: no\n").len(), 1);
}

#[test]
fn all_problems_are_reported_at_once_in_order() {
    let found = problems("seed: x\nlora_rank: y\ntop_k: z\n");
    assert_eq!(found.len(), 3);
    assert!(
        found[0].starts_with("line 6") && found[1].starts_with("line 7") && found[2].starts_with("line 8")
    );
}

#[test]
fn text_that_is_no_recipe_is_refused() {
    let cases = [
        ("- a\n- b\n", "line 1: a recipe is a list of `key: value` lines"),
        ("just words", "line 1: a recipe is a list of `key: value` lines"),
        ("seed: [1, 2\n", "this is not valid YAML"),
        ("a: 1\n b: 2\n", "this is not valid YAML"),
        ("seed: 1\nlearning_rate 1e-4\nstage: sft\n", "a key, here or just above, has no `: ` after it"),
        ("seed: 1\n\tstage: sft\n", "there is a tab"),
        ("template: a: b\n", "line 1: this is not valid YAML: there is a second `: ` in the line"),
        ("seed: 1\n---\nseed: 2\n", "line 2: a second document starts here"),
        ("a: &x 1\nseed: *x\n", "line 2: aliases"),
    ];
    for (text, message) in cases {
        let found = Recipe::from_yaml(text).unwrap_err();
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].to_string().contains(message), "{text:?}: {found:?}");
    }
    // Nothing at all is a recipe that lacks everything.
    for text in ["", "# nothing\n", "---\n", "\u{feff}"] {
        let found = Recipe::from_yaml(text).unwrap_err();
        assert!(
            found.iter().any(|problem| problem.message.en.contains("`model_name_or_path` is missing")),
            "{text:?}"
        );
    }
}

#[test]
fn deep_nesting_is_refused_and_not_fatal() {
    for open in ["[", "{a: "] {
        assert!(Recipe::from_yaml(&format!("seed: {}", open.repeat(200_000))).is_err());
    }
    let closed = format!("seed: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(Recipe::from_yaml(&closed).is_err());
}

#[test]
fn overrides_win_and_are_read_like_yaml() {
    let overrides = [
        ("learning_rate", "1e-3"),
        ("dataset", "[a, b]"),
        ("evaluation_strategy", "no"),
        ("packing", "null"),
        ("default_system", "You are: kind"),
        ("output_dir", ""),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let text = format!("{SMALLEST}eval_strategy: steps\n");
    let found = Recipe::from_yaml_with(&text, &overrides).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].key.as_deref(), Some("output_dir"));
    let recipe = Recipe::from_yaml_with(&text, &overrides[..5]).unwrap();
    assert_eq!((recipe.learning_rate, recipe.packing), (1e-3, None));
    assert_eq!(recipe.dataset, ["a", "b"]);
    assert_eq!(recipe.default_system.as_deref(), Some("You are: kind"));
}

#[test]
fn form_fields_read_as_typed_and_empty_ones_are_defaults() {
    let fields = [
        ("model_name_or_path", "models/wick"),
        ("do_train", "true"),
        ("dataset", "identity, chat"),
        ("template", "chatml"),
        ("output_dir", "out"),
        ("lora_rank", ""),
        ("max_samples", "null"),
        ("enable_thinking", "null"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let recipe = Recipe::from_fields(&fields).unwrap();
    assert_eq!(recipe.dataset, ["identity", "chat"]);
    assert_eq!((recipe.lora_rank, recipe.max_samples, recipe.enable_thinking), (8, None, None));
    assert_eq!(recipe.get("enable_thinking").as_deref(), Some("null"));
    assert_eq!(recipe.get("max_samples").as_deref(), Some(""));
}

#[test]
fn a_template_may_be_left_to_the_model() {
    let recipe = Recipe::from_yaml(&SMALLEST.replace("template: chatml\n", "")).unwrap();
    assert_eq!((recipe.stage, recipe.template), (Stage::Sft, None));
}

#[test]
fn a_recipe_for_talking_needs_no_data() {
    let recipe = Recipe::parse_yaml("model_name_or_path: models/wick\ntemplate: chatml\n", &[]).unwrap();
    assert_eq!(recipe.template.as_deref(), Some("chatml"));
}

/// Work grows with the text, not with its square, which would take minutes; and what is told has an end.
#[test]
fn recipes_without_end_are_refused_quickly_and_briefly() {
    let lines = |line: &dyn Fn(usize) -> String| (0..100_000).map(line).collect::<String>();
    let long = "k".repeat(1_000_000);
    let surrogates = "\\ud83d\\ude00".repeat(100_000);
    let cases = [
        (lines(&|n| format!("key_{n}: 1\n")), "99900 more"),
        (lines(&|_| "seed: 1\n".to_owned()), "99899 more"),
        (lines(&|n| format!("key_{n}: &a{n} 1\n")), "anchors"),
        (lines(&|n| format!("- &a{n} 1\n")).replace("- &a0", "x:\n- &a0"), "anchors"),
        (format!("{}: 1\n", &long[..1000]), "is not an argument; remove it"),
        (format!("seed: {long}\n"), "give an integer"),
        (format!("{{\"seed\": \"{surrogates}\"}}"), "give an integer"),
        ("x: ".to_owned() + &"[".repeat(100_000), "not valid YAML"),
        ("seed: 1\n".repeat(1_000_000), "at most 4 MiB"),
        (format!("dataset: {}\n", "identity,".repeat(5001)), "`dataset` has 5001 names; at most 1000"),
        (format!("dataset: {}\n", "identity,".repeat(11)), "names `identity` 11 times"),
        (format!("eval_dataset: [{}]\n", lines(&|n| format!("d{n}, "))), "`eval_dataset` has 100000 names"),
        (format!("report_to: {long}\n"), "is not supported; allowed are"),
    ];
    for (text, said) in cases {
        let start = std::time::Instant::now();
        let problems = Recipe::from_yaml(&text).unwrap_err();
        let shown: String = text.chars().take(30).collect();
        assert!(start.elapsed().as_secs() < 30, "{shown}: {:?}", start.elapsed());
        assert!(problems.iter().any(|problem| problem.message.en.contains(said)), "{shown}: {problems:?}");
        let told: usize = problems.iter().map(|problem| problem.to_string().len()).sum();
        assert!(problems.len() <= 110 && told < 20_000, "{shown}: {} problems, {told} bytes", problems.len());
    }
}

#[test]
fn numbers_have_an_upper_limit() {
    for (key, value, allowed) in [
        ("lora_rank", "1000000000", "≤ 8192"),
        ("lora_rank", "9223372036854775808", "≤ 8192"),
        ("num_train_epochs", "1e300", "≤ 100000"),
        ("max_steps", "9007199254740992", "≤ 1000000000000"),
        ("cutoff_len", "18446744073709551615", "≤ 16777216"),
        ("per_device_train_batch_size", "1e9", "≤ 65536"),
        ("save_steps", "1e15", "≤ 1000000000000"),
    ] {
        let problem = Recipe::default().set(key, value).unwrap_err();
        assert!(problem.message.en.contains(&format!("`{key}` is {value}")), "{problem}");
        assert!(problem.message.en.contains(allowed), "{problem}");
    }
    // Whatever is a number has limits, but for seeds and what counts down from a default of its own.
    for argument in arguments().iter().filter(|argument| !argument.key.ends_with("seed")) {
        let is_number = matches!(argument.kind, Kind::Integer | Kind::Real | Kind::Steps);
        assert!(!is_number || argument.range.is_some_and(|range| range.max.is_some()), "{}", argument.key);
    }
}
