//! What goes with what: arguments that contradict each other, that cannot matter, or that hardly ever go well.

mod common;

use common::{problems, with};
use recipe::Recipe;

#[test]
fn arguments_that_cannot_matter_are_noticed() {
    let noticed = |lines: &str| {
        let recipe = with(lines).unwrap();
        recipe.notices().into_iter().flat_map(|notice| notice.given).collect::<Vec<_>>()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(noticed(""), []);
    assert_eq!(noticed("finetuning_type: full\nlora_rank: 16\n"), [pair("lora_rank", "16")]);
    assert_eq!(noticed("stage: pt\ndefault_system: hi\n"), [pair("default_system", "hi")]);
    assert_eq!(noticed("max_steps: 5\nnum_train_epochs: 1\n"), [pair("num_train_epochs", "1.0")]);
    assert_eq!(noticed("lr_scheduler_type: constant\nwarmup_steps: 5\n"), [pair("warmup_steps", "5")]);
    assert_eq!(noticed("warmup_steps: 5\nwarmup_ratio: 0.1\n"), [pair("warmup_ratio", "0.1")]);
    assert_eq!(noticed("pure_bf16: true\n"), [pair("pure_bf16", "true")]);
    assert_eq!(noticed("pure_bf16: true\nfinetuning_type: full\n"), []);
    assert_eq!(noticed("fp16: true\n"), [pair("fp16", "true")]);
    assert_eq!(noticed("fp16: false\n"), []);
    assert_eq!(noticed("fp8: true\n"), [pair("fp8", "true")]);
    assert_eq!(noticed("report_to: wandb\n"), [pair("report_to", "wandb")]);
    assert_eq!(noticed("eaft_alpha: 2\n"), [pair("eaft_alpha", "2.0")]);
    assert_eq!(noticed("logging_dir: logs\nreport_to: none\n"), [pair("logging_dir", "logs")]);
    assert_eq!(noticed("logging_dir: logs\nreport_to: tensorboard\n"), []);
    assert_eq!(noticed("greater_is_better: true\n"), [pair("greater_is_better", "true")]);
    assert_eq!(noticed("save_strategy: epoch\nsave_steps: 5\n"), [pair("save_steps", "5")]);
    assert_eq!(noticed("pissa_iter: 4\n"), [pair("pissa_iter", "4")]);
    assert_eq!(noticed("pissa_init: true\npissa_iter: 4\n"), []);
    assert_eq!(noticed("use_dora: true\nadapter_name_or_path: a\n"), [pair("use_dora", "true")]);
    assert_eq!(noticed("val_size: 0.1\n"), [pair("val_size", "0.1")]);
    assert_eq!(noticed("val_size: 0.1\ndo_eval: true\n"), []);
    assert_eq!(noticed("tf32: true\ntemperature: 0.5\n"), [pair("tf32", "true"), pair("temperature", "0.5")]);
}

#[test]
fn float16_runs_as_bfloat16() {
    assert!(!with("").unwrap().uses_bf16());
    for line in ["fp16: true\n", "bf16: true\n", "pure_bf16: true\n"] {
        assert!(with(line).unwrap().uses_bf16(), "{line}");
    }
    let notices = with("fp16: true\nfp16_full_eval: true\nddp_timeout: 180000000\n").unwrap().notices();
    let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices.len(), 2);
    assert!(notices[0].starts_with("fp16_full_eval, ddp_timeout (no effect here"), "{notices:?}");
    assert!(notices[1].starts_with("fp16: true (it runs as `bf16: true`"), "{notices:?}");
}

#[test]
fn evaluation_data_that_stay_apart_are_not_mixed() {
    let lines = "mix_strategy: interleave_under\ninterleave_probs: 1\ndo_eval: true\neval_dataset: a,b\n";
    assert_eq!(problems(&format!("{lines}eval_on_each_dataset: true\n")), [""; 0]);
}

#[test]
fn what_hardly_ever_goes_well_is_doubted() {
    let doubts = |lines: &str| with(lines).unwrap().doubts();
    assert_eq!(doubts("learning_rate: 1e-3\n"), []);
    assert_eq!(doubts("learning_rate: 1\n")[0].key.as_deref(), Some("learning_rate"));
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let cases = [
        ("stage: pt\nneat_packing: true\n", "neat_packing"),
        ("train_on_prompt: true\nmask_history: true\n", "mask_history"),
        ("neat_packing: true\npacking: false\n", "packing"),
        ("finetuning_type: full\nadapter_name_or_path: a\n", "adapter_name_or_path"),
        ("train_from_scratch: true\n", "train_from_scratch"),
        ("lora_target: ''\n", "lora_target"),
        ("lora_target: null\n", "lora_target"),
        ("pissa_init: true\npissa_convert: true\nuse_dora: true\n", "pissa_convert"),
        ("finetuning_type: oft\noft_block_size: 0\n", "oft_block_size"),
        ("finetuning_type: oft\noft_block_size: 8\noft_rank: 2\n", "oft_block_size"),
        ("finetuning_type: oft\noft_target: ''\n", "oft_target"),
        ("use_llama_pro: true\n", "use_llama_pro"),
        ("finetuning_type: lora\nmixture_of_depths: convert\n", "mixture_of_depths"),
        ("finetuning_type: freeze\nmixture_of_depths: load\n", "mixture_of_depths"),
        (
            "finetuning_type: full\nstage: grpo\nreward_rules: '[{type: length, max: 3}]'\nmixture_of_depths: load\n",
            "mixture_of_depths",
        ),
        (
            "finetuning_type: freeze\nuse_llama_pro: true\nfreeze_trainable_layers: -1\n",
            "freeze_trainable_layers",
        ),
        ("max_steps: 0\n", "max_steps"),
        ("fp16: true\nbf16: true\n", "fp16"),
        ("fp16: true\npure_bf16: true\n", "fp16"),
        ("val_size: 0.1\neval_dataset: other\n", "val_size"),
        ("val_size: 1.5\n", "val_size"),
        ("eval_strategy: steps\n", "eval_strategy"),
        ("do_eval: true\n", "do_eval"),
        ("load_best_model_at_end: true\n", "load_best_model_at_end"),
        (
            "load_best_model_at_end: true\nval_size: 1\neval_strategy: steps\neval_steps: 20\nsave_steps: 30\n",
            "save_steps",
        ),
        (
            "load_best_model_at_end: true\nval_size: 1\neval_strategy: epoch\nsave_strategy: epoch\n\
             metric_for_best_model: accuracy\n",
            "metric_for_best_model",
        ),
        ("report_to: [tensorboard, wandbb]\n", "report_to"),
        ("use_dft_loss: true\nuse_eaft_loss: true\n", "use_eaft_loss"),
        ("use_asft_loss: true\nuse_dft_loss: true\n", "use_asft_loss"),
        ("do_predict: true\npredict_with_generate: true\n", "do_predict"),
        ("predict_with_generate: true\n", "predict_with_generate"),
        ("lr_scheduler_type: greedy\n", "lr_scheduler_type"),
        (
            "lr_scheduler_type: reduce_lr_on_plateau\nlr_scheduler_kwargs: {patience: 1}\nval_size: 1\n\
             eval_strategy: steps\ngreater_is_better: true\n",
            "lr_scheduler_kwargs",
        ),
        ("use_badam: true\n", "use_badam"),
        ("use_galore: true\n", "use_galore"),
        ("finetuning_type: full\nuse_galore: true\nuse_badam: true\n", "use_badam"),
        ("finetuning_type: full\nuse_galore: true\noptim: sgd\n", "optim"),
        ("finetuning_type: full\nuse_apollo: true\noptim: adafactor\n", "optim"),
        (
            "finetuning_type: full\nuse_galore: true\ngalore_layerwise: true\ngradient_accumulation_steps: 2\n",
            "galore_layerwise",
        ),
        ("finetuning_type: full\noptim: galore_adamw\n", "optim"),
        ("optim: apollo_adamw\noptim_target_modules: all-linear\n", "optim"),
        ("optim: sgd\noptim_args: momentum=2\n", "optim_args"),
        ("finetuning_type: full\nuse_badam: true\nuse_adam_mini: true\n", "use_adam_mini"),
        ("finetuning_type: full\nuse_badam: true\nbadam_switch_interval: 0\n", "badam_switch_interval"),
        ("finetuning_type: full\nuse_badam: true\nbadam_mode: ratio\noptim: sgd\n", "optim"),
        ("use_adam_mini: true\nloraplus_lr_ratio: 4\n", "loraplus_lr_ratio"),
        ("use_muon: true\noptim: lion_32bit\n", "optim"),
        ("streaming: true\nmax_steps: -1\n", "max_steps"),
        ("streaming: true\nmax_steps: 5\nmax_samples: 9\n", "max_samples"),
        ("streaming: true\nmax_steps: 5\ndo_eval: true\nval_size: 0.1\n", "val_size"),
        ("mix_strategy: interleave_under\ninterleave_probs: 0.4,0.6\n", "interleave_probs"),
        ("mix_strategy: interleave_under\ninterleave_probs: 0.4\n", "interleave_probs"),
        ("mix_strategy: interleave_under\ninterleave_probs: most\n", "interleave_probs"),
        ("interleave_probs: 1\n", "interleave_probs"),
        (
            "mix_strategy: interleave_under\ninterleave_probs: 1\ndo_eval: true\neval_dataset: a,b\n",
            "interleave_probs",
        ),
    ];
    for (lines, key) in cases {
        let found = with(lines).unwrap_err();
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert_eq!(found[0].key.as_deref(), Some(key), "{lines}");
        assert!(found[0].line.is_some(), "{lines}");
    }
}

/// A prediction is a run of its own; what answers are drawn by matters in it.
#[test]
fn a_prediction_has_its_rules() {
    let predicting = |lines: &str| {
        let text = common::SMALLEST.replace("do_train: true", "do_predict: true");
        Recipe::from_yaml(&format!("{text}{lines}"))
    };
    const GENERATE: &str = "predict_with_generate: true\n";
    let recipe = predicting(&format!("{GENERATE}temperature: 0.5\nrepetition_penalty: 1.1\n")).unwrap();
    assert_eq!(recipe.notices(), []);
    assert!(predicting("stage: rm\n").is_ok());
    for (lines, key) in [
        ("", "do_predict"),
        ("stage: dpo\n", "do_predict"),
        ("stage: rm\npredict_with_generate: true\n", "predict_with_generate"),
        ("predict_with_generate: true\npacking: true\n", "packing"),
        ("predict_with_generate: true\ntokenized_path: saved\n", "tokenized_path"),
        ("predict_with_generate: true\nstreaming: true\nmax_steps: 5\n", "streaming"),
        ("stage: rm\nstreaming: true\nmax_steps: 5\n", "streaming"),
        ("predict_with_generate: true\ncompute_accuracy: true\n", "compute_accuracy"),
        ("predict_with_generate: true\nnum_beams: 2\n", "num_beams"),
        ("predict_with_generate: true\ntop_p: 1.5\n", "top_p"),
        ("predict_with_generate: true\nmax_new_tokens: 0\n", "max_new_tokens"),
    ] {
        let problems = predicting(lines).unwrap_err();
        let keys: Vec<_> = problems.iter().filter_map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, [key], "{lines}: {problems:?}");
    }
}

#[test]
fn what_learns_from_scores_needs_someone_who_gives_them() {
    let rules = "reward_rules: [{type: length, max: 9}]\n";
    for stage in ["ppo", "grpo"] {
        let stage = format!("stage: {stage}\n");
        let found = problems(&stage);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("give `reward_model`, or `reward_rules`"), "{found:?}");
        assert_eq!(problems(&format!("{stage}{rules}")), Vec::<String>::new());
        let of = |lines: &str| problems(&format!("{stage}{rules}{lines}")).join("; ");
        let full = "finetuning_type: full\nreward_model: saves/reward\n";
        assert!(of(full).contains("or `reward_model_type: full`"), "{}", of(full));
        assert_eq!(of(&format!("{full}reward_model_type: full\n")), "");
        assert!(of("reward_model: http://127.0.0.1:1\n").contains("set `reward_model_type: api`"));
        assert_eq!(of("reward_model: http://127.0.0.1:1\nreward_model_type: api\n"), "");
        assert!(of("reward_model: saves/reward\npissa_init: true\n").contains("turn it off, or set"));
        assert!(of("do_eval: true\nval_size: 2\n").contains("has no loss on held-out data"));
        assert!(of("neftune_noise_alpha: 5\n").contains("neftune_noise_alpha"));
    }
    let wrong = problems("stage: ppo\nreward_rules: [{type: shell, run: rm}]\n");
    assert!(wrong[0].contains("allowed are regex, exact_match, length, format"), "{wrong:?}");
    let noticed = with(&format!("stage: grpo\n{rules}ref_model: other\nreward_model_weight: 2\n")).unwrap();
    assert_eq!(noticed.notices().len(), 2);
}
