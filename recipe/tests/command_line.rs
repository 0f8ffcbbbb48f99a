//! Command lines: flags as LLaMA-Factory's scripts have them, pairs, and recipes beside them.

use recipe::{CommandLine, Problem, Recipe, Stage};

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

fn parsed(line: &[&str]) -> CommandLine {
    CommandLine::parse(&words(line)).unwrap_or_else(|problems| panic!("{line:?}: {problems:#?}"))
}

/// The recipe of a line beside a file that says nothing.
fn read(line: &[&str]) -> Recipe {
    parsed(line).to_recipe("").unwrap_or_else(|problems| panic!("{line:?}: {problems:#?}"))
}

/// What is wrong with a line, as it is said.
fn wrong(line: &[&str]) -> Vec<String> {
    match CommandLine::parse(&words(line)) {
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
        Ok(line) => {
            let problems = line.to_recipe("").err().unwrap_or_default();
            problems.iter().map(|problem| line.place(problem)).collect()
        }
    }
}

#[test]
fn a_script_of_flags_is_a_recipe() {
    // The flags of an example of version 0.7.0, with what a shell leaves of them.
    let line = "--stage sft --do_train --model_name_or_path meta-llama/Llama-2-7b-hf \
        --dataset alpaca_gpt4_en,glaive_toolcall --dataset_dir ../../data --template default --finetuning_type lora \
        --lora_target q_proj,v_proj --output_dir ../../saves/LLaMA2-7B/lora/sft --overwrite_cache \
        --overwrite_output_dir --cutoff_len 1024 --preprocessing_num_workers 16 --per_device_train_batch_size 1 \
        --per_device_eval_batch_size 1 --gradient_accumulation_steps 8 --lr_scheduler_type cosine --logging_steps 10 \
        --warmup_steps 20 --save_steps 100 --eval_steps 100 --evaluation_strategy steps --load_best_model_at_end \
        --learning_rate 5e-5 --num_train_epochs 3.0 --max_samples 3000 --val_size 0.1 --plot_loss --fp16";
    let line: Vec<&str> = line.split_whitespace().collect();
    let recipe = parsed(&line).to_run("").unwrap();
    assert_eq!((recipe.stage, recipe.do_train, recipe.fp16), (Stage::Sft, true, true));
    assert_eq!(recipe.dataset, ["alpaca_gpt4_en", "glaive_toolcall"]);
    assert_eq!(recipe.lora_target, ["q_proj", "v_proj"]);
    assert_eq!((recipe.learning_rate, recipe.val_size, recipe.max_samples), (5e-5, 0.1, Some(3000)));
    assert!(recipe.plot_loss && recipe.overwrite_output_dir && recipe.load_best_model_at_end);
    assert_eq!(recipe.without_effect, [("preprocessing_num_workers".to_owned(), "16".to_owned())]);
}

/// What `benches/reference_scripts.py` prints for the scripts of version 0.7.0.
const SCRIPTS: &str = include_str!("llamafactory/scripts.txt");

#[test]
fn the_scripts_of_0_7_0_run_or_ask_for_what_is_not_there() {
    let (mut runs, mut in_bf16) = (0, 0);
    for script in SCRIPTS.lines() {
        let (name, flags) = script.split_once(' ').unwrap();
        let line = parsed(&flags.split(' ').collect::<Vec<_>>());
        assert!(line.recipe.is_none(), "{name}");
        let trains = line.gives("do_train");
        match if trains { line.to_run("") } else { line.to_recipe("") } {
            Ok(recipe) => {
                runs += 1;
                assert_eq!(
                    recipe.uses_bf16(),
                    flags.contains("--fp16") || flags.contains("--pure_bf16"),
                    "{name}"
                );
                in_bf16 += usize::from(recipe.uses_bf16());
            }
            Err(problems) => {
                let known = |problem: &Problem| problem.message.en.contains("known from LLaMA-Factory");
                assert!(problems.iter().all(known), "{name}: {problems:#?}");
            }
        }
    }
    assert!(runs >= 14 && in_bf16 >= 10, "{runs} run, {in_bf16} of them in bf16");
}

#[test]
fn truth_values_stand_alone_or_with_a_value() {
    let cases: &[(&[&str], bool)] = &[
        (&["--do_train"], true),
        (&["--do_train", "True"], true),
        (&["--do_train", "yes"], true),
        (&["--do_train=1"], true),
        (&["--do_train", "false"], false),
        (&["--do_train=F"], false),
        (&["--do-train", "--bf16"], true),
        (&["--do_train", "seed=3"], true),
        (&["--do_train", "recipe.yaml"], true),
        (&["--do_train", "-"], true),
        (&["--do_train", "false", "--do_train"], true),
        (&["--do_train", "--no_do_train"], false),
        (&["--no-do-train"], false),
    ];
    for (line, wanted) in cases {
        assert_eq!(read(line).do_train, *wanted, "{line:?}");
    }
    assert!(!read(&["--no_do_sample"]).do_sample);
    assert!(read(&["--no_cuda"]).use_cpu, "a key of its own");
    assert_eq!(read(&["--packing"]).packing, Some(true));
    assert_eq!(read(&["--no_use_fast_tokenizer"]).without_effect.len(), 1);
}

#[test]
fn values_are_taken_as_they_stand() {
    assert_eq!(read(&["--max_steps", "-1"]).max_steps, -1);
    assert_eq!(read(&["--learning_rate", "1e-4"]).learning_rate, 1e-4);
    assert_eq!(read(&["--learning-rate=1.0E-4"]).learning_rate, 1e-4);
    assert_eq!(read(&["--lora_rank=4", "lora_rank=16", "--lora_rank", "8"]).lora_rank, 8);
    assert_eq!(read(&["--max_samples", "null"]).max_samples, None);
    assert_eq!(read(&["--output_dir", "seed=3"]).output_dir, "seed=3");
    let system = |text: &str| read(&["--default_system", text]).default_system;
    for text in ["# be kind", "You are: kind", "'quoted'", "- a list", "a=b c", "seed is = 3"] {
        assert_eq!(system(text).as_deref(), Some(text));
    }
    let kwargs = |text: &str| read(&["--lr_scheduler_kwargs", text]).lr_scheduler_kwargs;
    assert_eq!(kwargs("{\"num_cycles\": 3}").0, [("num_cycles".to_owned(), "3".to_owned())]);
    assert_eq!(kwargs("num_cycles=3"), kwargs("{\"num_cycles\": 3}"));
}

#[test]
fn lists_have_commas_or_blanks() {
    let lines: &[&[&str]] = &[
        &["--dataset", "a,b"],
        &["--dataset", "a", "b"],
        &["--dataset", "a,", "b"],
        &["--dataset=a, b"],
        &["--dataset", "[a, b]"],
        &["dataset=[a, b]"],
        &["dataset=a,b"],
        &["--dataset", "a", "b", "--seed", "3"],
        &["--dataset", "a", "b", "seed=3"],
        &["--dataset", "a", "b", "recipe.yaml"],
        &["--dataset", "x", "y", "--dataset", "a", "b"],
    ];
    for line in lines {
        assert_eq!(read(line).dataset, ["a", "b"], "{line:?}");
    }
    assert_eq!(read(&["--adapter", "a", "--adapter", "b,c"]).adapter_name_or_path, ["a", "b", "c"]);
    assert_eq!(
        read(&["--adapter_name_or_path", "a", "--adapter_name_or_path", "b"]).adapter_name_or_path,
        ["b"]
    );
}

#[test]
fn a_recipe_stands_anywhere_and_what_is_typed_wins() {
    let text = "seed: 1\nlora_rank: 4\nevaluation_strategy: steps\n";
    let lines: &[&[&str]] = &[
        &["my.yaml", "seed=2", "--lora_rank", "8", "--eval_strategy", "no"],
        &["seed=2", "my.yaml", "--lora_rank=8", "--evaluation_strategy=no"],
        &["--lora_rank", "8", "eval_strategy=no", "--seed", "2", "my.yaml"],
    ];
    for line in lines {
        let line = parsed(line);
        assert_eq!(line.recipe.as_deref(), Some("my.yaml"));
        let recipe = line.to_recipe(text).unwrap();
        assert_eq!((recipe.seed, recipe.lora_rank, recipe.eval_strategy.name()), (2, 8, "no"));
        assert!(line.gives("evaluation_strategy") && !line.gives("dataset"));
    }
    assert!(parsed(&["-", "seed=2"]).reads_stdin());
    assert!(parsed(&["--deepspeed", "examples/ds_z3.json"]).recipe.is_none());
    assert_eq!(parsed(&["--trust_remote_code", "a.yaml"]).recipe.as_deref(), Some("a.yaml"));
    assert_eq!(parsed(&["runs/seed=3/a.yaml"]).recipe.as_deref(), Some("runs/seed=3/a.yaml"));
}

#[test]
fn the_beginning_of_a_name_will_do_where_it_is_the_only_one() {
    assert_eq!(read(&["--learn", "1e-4"]).learning_rate, 1e-4);
    assert_eq!(read(&["--model", "m", "--system", "be kind"]).model_name_or_path, "m");
    assert_eq!(
        wrong(&["--lora_r", "8", "--max_s", "3"]),
        ["`--max_s` is short for several: --max_samples, --max_steps; write one of them out"]
    );
}

#[test]
fn what_is_wrong_is_named_as_it_was_typed() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["--lora_rnak", "8", "my.yaml"],
            &["`--lora_rnak` is not an argument; did you mean `--lora_rank`?"],
        ),
        (&["--learnig-rate=1"], &["`--learnig_rate` is not an argument; did you mean `--learning_rate`?"]),
        (&["lora_rnak=8"], &["lora_rnak=8: `lora_rnak` is not an argument; did you mean `lora_rank`?"]),
        (
            &["--lora_rank", "8.5", "--lora_dropout=2"],
            &[
                "--lora_rank 8.5: `lora_rank` is 8.5; give an integer ≥ 1",
                "--lora_dropout=2: `lora_dropout` is 2; give a number ≥ 0 and < 1",
            ],
        ),
        (&["--lora_rank", "--do_train"], &["`--lora_rank` lacks its value; give an integer ≥ 1"]),
        (&["--dataset"], &["`--dataset` lacks its value; give names, separated by commas"]),
        (&["--no_hub_token"], &["`--no_hub_token` is not an argument"]),
        (&["--hub_token"], &["`--hub_token` lacks its value; give a token"]),
        (&["--do_train", "maybe"], &["--do_train maybe: `do_train` is maybe; give true or false"]),
        (&["--no_bf16=1"], &["`--no_bf16` takes no value, but has `1`; write `--bf16 1`"]),
        (&["--stage", "sff"], &["--stage sff: `stage` is sff; give one of pt, sft"]),
        (&["--use_swanlab"], &["--use_swanlab: `use_swanlab` (SwanLab) is known from LLaMA-Factory"]),
        (&["a.yaml", "b.yaml"], &["`b.yaml` stands alone, and the recipe is `a.yaml` already"]),
        (&["–stage", "sft"], &["`–stage` is no flag; write KEY=VALUE or --key value"]),
        (&["-x"], &["`-x` is no flag; write KEY=VALUE or --key value"]),
        (&["--"], &["`--` is no flag"]),
    ];
    for (line, wanted) in cases {
        let found = wrong(line);
        assert_eq!(found.len(), wanted.len(), "{line:?}: {found:#?}");
        for (found, wanted) in found.iter().zip(*wanted) {
            assert!(found.starts_with(wanted), "{line:?}: {found}");
        }
    }
    let line = parsed(&["my.yaml", "seed=2"]);
    let problems = line.to_recipe("lora_rank: x\n").unwrap_err();
    assert!(line.place(&problems[0]).starts_with("my.yaml: line 1: `lora_rank` is x"));
}

#[test]
fn the_words_come_back_without_secrets() {
    let line = parsed(&["--seed", "3", "my.yaml", "--hub_token", "hf_secret", "lora_rank=8"]);
    assert_eq!(line.words_without(Some("seed")), ["my.yaml", "hub_token=TOKEN", "lora_rank=8"]);
    assert_eq!(line.to_recipe("").unwrap().tokens.hugging_face.as_deref(), Some("hf_secret"));
}
