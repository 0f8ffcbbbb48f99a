//! What is trained comes back: resumed, gone on with, merged and talked to, over models that tie their output matrix and
//! that do not, and everything that can be trained in them; and adapters as PEFT writes and reads them.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::safetensors::load;
use candle_core::{Device, Tensor};
use engine::adapter::{Adapter, save_adapter};
use engine::autograd::Tape;
use engine::families::Config;
use engine::job;
use engine::model::{Batch, Decoder, Pass, Selection, Tuning};
use engine::observer::Observer;
use engine::train::Evaluation;
use engine::weights::{self, ModelFiles, save_model};
use recipe::{EventBody, FinetuningType, Recipe};
use serde_json::{Value, json};
use tempfile::TempDir;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// Models whose modules are called differently, and one with norms stored as differences from one: a golden case's
/// configuration, and a linear layer of a block.
const FAMILIES: [(&str, &str); 6] = [
    ("llama", "q_proj"),
    ("gpt2", "c_attn"),
    ("gpt_neox", "dense"),
    ("hf-olmo", "att_proj"),
    ("chatglm3", "query_key_value"),
    ("gemma2", "down_proj"),
];

/// Writes a model of random weights with a tokenizer of 600 tokens.
fn write_model(case: &str, tied: bool, folder: &Path) -> ModelFiles {
    let mut config = Config::read(&goldens().join("models").join(case).join("config.json")).unwrap().values;
    for key in ["vocab_size", "padded_vocab_size", "embedding_size"] {
        if key == "vocab_size" || config.contains_key(key) {
            config.insert(key.to_owned(), json!(600));
        }
    }
    for key in ["tie_word_embeddings", "weight_tying"] {
        config.insert(key.to_owned(), json!(tied));
    }
    // Large enough weights for losses that differ from one to the next.
    config.insert("initializer_range".to_owned(), json!(0.1));
    fs::write(folder.join("config.json"), Value::from(config.clone()).to_string()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(goldens().join("data/base").join(name), folder.join(name)).unwrap();
    }
    let drawn = weights::open(folder, Some(3)).unwrap();
    let decoder = drawn.build(&Tuning { selection: Selection::All, ..Tuning::default() }).unwrap();
    save_model(&decoder, &config, candle_core::DType::F32, folder).unwrap();
    weights::open(folder, None).unwrap()
}

fn recipe(model: &Path, output: &Path, change: impl FnOnce(&mut Recipe)) -> Recipe {
    let text = format!(
        "model_name_or_path: {}\ndataset_dir: {}\ndataset: alpaca\ntemplate: default\nstage: sft\ndo_train: true\n\
         do_eval: true\nval_size: 3\ncutoff_len: 24\nlearning_rate: 0.01\nper_device_train_batch_size: 2\n\
         logging_steps: 1\nmax_steps: 4\nlora_rank: 4\nlora_dropout: 0.1\noutput_dir: {}\nreport_to: none\n",
        model.display(),
        goldens().join("data").display(),
        output.display(),
    );
    let mut recipe = Recipe::from_yaml(&text).unwrap();
    change(&mut recipe);
    recipe
}

/// Losses of the steps, and that of the evaluation at the end.
fn run(recipe: &Recipe, stop_after: u64) -> (Vec<u64>, Option<f64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut losses = Vec::new();
    let mut sink = |event| {
        if let EventBody::Point(point) = event {
            losses.push(point.metrics.get("loss").unwrap().to_bits());
            stop.fetch_or(point.step >= stop_after, Ordering::Relaxed);
        }
    };
    let summary = job::run(recipe, &mut Observer::new(&mut sink, stop.clone())).unwrap();
    (losses, summary.evaluations.first().map(Evaluation::loss))
}

/// What can be trained, by the model's own names.
fn kinds(files: &ModelFiles, linear: &str) -> Vec<(&'static str, Recipe)> {
    let last = |name: &str| name.rsplit('.').next().unwrap().to_owned();
    let (table, head) = (last(files.spec.embedding.table), files.spec.head.name.to_owned());
    let norm = last(files.spec.final_norm.name);
    let lora = |targets: &[&str], additional: &[&str]| Recipe {
        finetuning_type: FinetuningType::Lora,
        lora_target: targets.iter().map(|name| (*name).to_owned()).collect(),
        additional_target: additional.iter().map(|name| (*name).to_owned()).collect(),
        ..Recipe::default()
    };
    let mut kinds = vec![
        ("low rank", lora(&[linear], &[])),
        ("magnitudes", Recipe { use_dora: true, ..lora(&[linear, &head], &[]) }),
        (
            "principal part",
            Recipe { pissa_init: true, pissa_iter: -1, pissa_convert: true, ..lora(&[linear, &head], &[]) },
        ),
        ("low rank of the head", lora(&[linear, &head], &[])),
        (
            "rotations",
            Recipe {
                finetuning_type: FinetuningType::Oft,
                oft_target: vec![linear.to_owned(), head.clone()],
                oft_block_size: 4,
                ..Recipe::default()
            },
        ),
        ("head", lora(&[linear], &[&head])),
        ("table", lora(&[linear], &[&table])),
        ("table and head", lora(&[linear], &[&table, &head])),
        ("the first block", lora(&[linear], &["0"])),
        ("everything", Recipe { finetuning_type: FinetuningType::Full, ..Recipe::default() }),
    ];
    if files.spec.final_norm.weight {
        kinds.push(("norms", lora(&[linear], &[&norm])));
    }
    kinds
}

/// Logits of a few tokens.
fn logits(decoder: &Decoder) -> Vec<f32> {
    let ids = [5u32, 99, 400, 17, 301, 8];
    let mut batch = Batch::default();
    batch.push(&ids, &ids.map(i64::from));
    let hidden = decoder.hidden(&Tape::off(), &batch, Pass::default()).unwrap().tensor;
    decoder.logits(&hidden, &[0, 1, 2, 3, 4, 5]).unwrap()
}

#[track_caller]
fn assert_near(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let off = got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
    assert!(off <= 1e-4, "{what}: {off}");
}

#[test]
fn what_is_trained_comes_back() {
    std::thread::scope(|scope| {
        for (case, linear) in FAMILIES {
            scope.spawn(move || {
                for tied in [false, true] {
                    let model = TempDir::new().unwrap();
                    let files = write_model(case, tied, model.path());
                    for (kind, trained) in kinds(&files, linear) {
                        comes_back(&files, trained, &format!("{case}, tied: {tied}, {kind}"));
                    }
                }
            });
        }
    });
}

fn comes_back(files: &ModelFiles, trained: Recipe, what: &str) {
    let [whole, parts, more] = [(); 3].map(|()| TempDir::new().unwrap());
    let with = |output: &TempDir, change: &dyn Fn(&mut Recipe)| {
        recipe(&files.path, output.path(), |recipe| {
            recipe.finetuning_type = trained.finetuning_type;
            recipe.lora_target.clone_from(&trained.lora_target);
            recipe.additional_target.clone_from(&trained.additional_target);
            recipe.oft_target.clone_from(&trained.oft_target);
            recipe.oft_block_size = trained.oft_block_size;
            recipe.use_dora = trained.use_dora;
            recipe.pissa_init = trained.pissa_init;
            recipe.pissa_iter = trained.pissa_iter;
            recipe.pissa_convert = trained.pissa_convert;
            change(recipe);
        })
    };
    // Resumed, the numbers are the same to the bit.
    let (expected, loss) = run(&with(&whole, &|_| {}), 9);
    let (mut resumed, _) = run(&with(&parts, &|_| {}), 2);
    let (rest, resumed_loss) = run(&with(&parts, &|_| {}), 9);
    resumed.extend(rest);
    assert_eq!((resumed.len(), &resumed, resumed_loss), (4, &expected, loss), "{what}: resumed");
    let full = trained.finetuning_type == FinetuningType::Full;
    let file = if full { "model.safetensors" } else { "adapter_model.safetensors" };
    let read = |folder: &TempDir| fs::read(folder.path().join(file)).unwrap();
    assert!(read(&whole) == read(&parts), "{what}: weights differ");

    // Opened anew, the model is the one that was evaluated.
    let near = |recipe: Recipe, how: &str| {
        let (_, again) = run(&Recipe { do_train: false, ..recipe }, 9);
        let off = (again.unwrap() - loss.unwrap()).abs();
        assert!(off < 1e-5, "{what}, {how}: loss {again:?}, was {loss:?}");
    };
    if full {
        let model = whole.path().to_string_lossy().into_owned();
        return near(with(&more, &|recipe| recipe.model_name_or_path.clone_from(&model)), "opened");
    }
    let adapter = vec![whole.path().to_string_lossy().into_owned()];
    near(with(&more, &|recipe| recipe.adapter_name_or_path.clone_from(&adapter)), "gone on with");
    if trained.pissa_convert {
        let converted = vec![whole.path().join("pissa_converted").to_string_lossy().into_owned()];
        near(with(&more, &|recipe| recipe.adapter_name_or_path.clone_from(&converted)), "converted");
        let config = Adapter::open(Path::new(&converted[0])).unwrap().config;
        assert_eq!((config.rank, config.principal), (8, None), "{what}");
    }
    let on_top = |recipe: &mut Recipe| {
        recipe.adapter_name_or_path.clone_from(&adapter);
        recipe.create_new_adapter = true;
        recipe.additional_target.clear();
    };
    near(with(&more, &on_top), "merged");

    // Talked to, it says what it learnt.
    let open = || [Adapter::open(whole.path()).unwrap()];
    let tuning =
        Tuning { selection: Selection::Modules(open()[0].config.saved_modules.clone()), ..Tuning::default() };
    let trained = logits(&files.adapted(&tuning, &open()).unwrap());
    let plain = logits(&files.build(&Tuning::default()).unwrap());
    assert!(trained.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 1e-2), "{what} has learnt nothing");
    assert_near(&logits(&files.adapted(&Tuning::default(), &open()).unwrap()), &trained, what);
}

/// A model with more blocks says what it said, on every family, and the new blocks alone train.
#[test]
fn expanded_models_say_the_same_until_their_new_blocks_are_trained() {
    for (case, _) in FAMILIES {
        let [model, output, trained] = [(); 3].map(|()| TempDir::new().unwrap());
        let files = write_model(case, false, model.path());
        let count = files.spec.layers.len();
        let larger = output.path().join("larger");
        // Its blocks take turns with windows.
        if case == "gemma2" {
            let error = weights::expand(model.path(), 1, &larger).unwrap_err().to_string();
            assert!(error.contains("blocks that differ by their numbers"), "{error}");
            continue;
        }
        assert_eq!(weights::expand(model.path(), 1, &larger).unwrap(), count + 1, "{case}");
        let expanded = weights::open(&larger, None).unwrap();
        let said = |files: &ModelFiles| logits(&files.build(&Tuning::default()).unwrap());
        assert_near(&said(&expanded), &said(&files), case);

        let freeze = recipe(&larger, trained.path(), |recipe| {
            recipe.finetuning_type = FinetuningType::Freeze;
            recipe.use_llama_pro = true;
            recipe.freeze_trainable_layers = 1;
        });
        run(&freeze, 9);
        let read = |folder: &Path| load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
        let (before, after) = (read(&larger), read(trained.path()));
        let block = files.spec.block.name(count, "");
        for (name, tensor) in &before {
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let is_same = values(tensor) == values(&after[name]);
            assert_eq!(is_same, !name.starts_with(&block), "{case}: {name}");
        }
        let error = weights::expand(model.path(), 5, &output.path().join("other")).unwrap_err().to_string();
        assert!(error.contains("num_expand is 5"), "{error}");
    }
}

/// Each golden adapter, by folder.
fn adapters() -> Vec<(PathBuf, PathBuf)> {
    let folders = |folder: PathBuf| {
        let mut folders: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|path| path.is_dir());
        folders.sort();
        folders
    };
    let models = folders(goldens().join("adapters")).into_iter();
    let all: Vec<_> = models
        .flat_map(|model| folders(model.clone()).into_iter().map(move |a| (model.clone(), a)))
        .collect();
    assert_eq!(all.len(), 116);
    all
}

/// Logits with an adapter are PEFT's, beside the weights and merged into them.
#[test]
fn adapters_mean_what_peft_takes_them_for() {
    for (model, folder) in adapters() {
        let files = weights::open(&model, None).unwrap();
        let expected = load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        let want: Vec<f32> = expected["logits"].flatten_all().unwrap().to_vec1().unwrap();
        let ids = expected["input_ids"].to_vec2::<i64>().unwrap();
        let logits = |decoder: &Decoder| {
            let mut batch = Batch::default();
            for row in &ids {
                batch.push(&row.iter().map(|id| *id as u32).collect::<Vec<_>>(), row);
            }
            let hidden = decoder.hidden(&Tape::off(), &batch, Pass::default()).unwrap().tensor;
            let rows: Vec<u32> = (0..batch.tokens() as u32).collect();
            decoder.logits(&hidden, &rows).unwrap()
        };
        let adapter = [Adapter::open(&folder).unwrap()];
        let name = folder.display().to_string();
        assert_near(&logits(&files.adapted(&Tuning::default(), &adapter).unwrap()), &want, &name);
        assert_near(
            &logits(&files.merged(&Tuning::default(), &adapter).unwrap()),
            &want,
            &format!("{name}, merged"),
        );
    }
}

/// What is written back has the tensors of PEFT's own file that are the adapter's, and says the same of the modules.
#[test]
fn adapters_are_written_as_peft_writes_them() {
    for (model, folder) in adapters() {
        let files = weights::open(&model, None).unwrap();
        let adapter = Adapter::open(&folder).unwrap();
        let config = adapter.config.clone();
        let tuning =
            Tuning { selection: Selection::Modules(config.saved_modules.clone()), ..Tuning::default() };
        let decoder = files.adapted(&tuning, &[adapter]).unwrap();
        let output = TempDir::new().unwrap();
        save_adapter(&decoder, &config, output.path()).unwrap();
        let tensors = |folder: &Path| -> BTreeMap<String, Vec<f32>> {
            let mut tensors = load(folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
            // PEFT adds the base model's table and head, as they are, where one of them has an update.
            if config.saved_modules.is_empty() {
                tensors.retain(|name, _| name.contains(".lora_") || name.contains(".oft_"));
            }
            let values = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
            tensors.into_iter().map(|(name, tensor)| (name, values(tensor))).collect()
        };
        assert!(tensors(output.path()) == tensors(&folder), "{}", folder.display());
        let json = |folder: &Path| Config::read(&folder.join("adapter_config.json")).unwrap().values;
        let (ours, theirs) = (json(output.path()), json(&folder));
        let own =
            ["lora_alpha", "use_rslora", "use_dora", "init_lora_weights", "oft_block_size", "init_weights"];
        for key in ["peft_type", "r", "exclude_modules", "layers_to_transform"].iter().chain(&own) {
            assert_eq!(ours.get(*key), theirs.get(*key), "{}: {key}", folder.display());
        }
        for key in ["rank_pattern", "alpha_pattern", "modules_to_save", "target_modules"] {
            let [ours, theirs] = [&ours, &theirs].map(|keys| keys.get(key).map(sorted));
            assert_eq!(ours, theirs, "{}: {key}", folder.display());
        }
    }
}

/// PEFT keeps names in sets.
fn sorted(value: &Value) -> Value {
    let Value::Array(list) = value else { return value.clone() };
    let mut list = list.clone();
    list.sort_by_key(Value::to_string);
    Value::Array(list)
}

/// A folder of an adapter whose configuration has other values.
fn changed(values: Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    let plain = goldens().join("adapters/llama-tied/plain");
    let mut config = Config::read(&plain.join("adapter_config.json")).unwrap().values;
    for (key, value) in values.as_object().unwrap() {
        config.insert(key.clone(), value.clone());
    }
    fs::write(folder.path().join("adapter_config.json"), Value::from(config).to_string()).unwrap();
    fs::copy(plain.join("adapter_model.safetensors"), folder.path().join("adapter_model.safetensors"))
        .unwrap();
    folder
}

/// What would compute something else is refused by its name; what would not is read.
#[test]
fn keys_that_change_the_arithmetic_are_refused_by_name() {
    for (key, value) in [
        ("init_lora_weights", json!("pissa_niter_many")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("loftq")),
        ("alora_invocation_tokens", json!([1, 2])),
        ("layer_replication", json!([[0, 1], [0, 2]])),
        ("lora_bias", json!(true)),
        ("trainable_token_indices", json!([3])),
        ("trainable_token_indices", json!({"embed_tokens": [3]})),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
        ("use_qalora", json!(true)),
        ("arrow_config", json!({"top_k": 3})),
        ("bias", json!("some")),
        ("peft_type", json!("IA3")),
        ("target_modules", json!("q_proj[")),
    ] {
        let folder = changed(json!({key: value}));
        let error = Adapter::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("adapter_config.json: `{key}`")), "{key}: {error}");
    }
    for value in [
        json!({"init_lora_weights": false}),
        json!({"init_lora_weights": "gaussian"}),
        json!({"init_lora_weights": "eva", "eva_config": {"rho": 2.0}}),
        json!({"fan_in_fan_out": true}),
        json!({"ensure_weight_tying": true}),
        json!({"trainable_token_indices": null, "layer_replication": [], "lora_bias": false}),
    ] {
        assert!(Adapter::open(changed(value.clone()).path()).is_ok(), "{value}");
    }
}

/// Tensors of modules that the configuration does not mean would be passed over by PEFT.
#[test]
fn tensors_without_a_module_are_refused() {
    let files = weights::open(&goldens().join("adapters/llama-tied"), None).unwrap();
    for values in [
        json!({"exclude_modules": ["q_proj"]}),
        json!({"layers_to_transform": 0}),
        json!({"target_modules": ["down_proj"]}),
        json!({"target_modules": ".*down_proj"}),
    ] {
        let folder = changed(values.clone());
        let adapter = [Adapter::open(folder.path()).unwrap()];
        let error = files.adapted(&Tuning::default(), &adapter).err().unwrap().to_string();
        assert!(error.contains("that adapter_config.json leaves out"), "{values}: {error}");
    }
    let folder = changed(json!({"target_modules": ["q_proj", "down_proj", "embed_tokens"]}));
    let path = folder.path().join("adapter_model.safetensors");
    let mut tensors = load(&path, &Device::Cpu).unwrap();
    let a = Tensor::zeros((2, 48), candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("base_model.model.model.embed_tokens.lora_embedding_A".to_owned(), a);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let adapter = [Adapter::open(folder.path()).unwrap()];
    let error = files.adapted(&Tuning::default(), &adapter).err().unwrap().to_string();
    assert!(error.ends_with("low-rank matrices on embeddings are not supported"), "{error}");
}

/// A folder that stores an output matrix of its own is not tied, whatever its configuration says; if it stores one
/// matrix alone, that is both.
#[test]
fn what_is_stored_decides_whether_it_is_tied() {
    let folder = TempDir::new().unwrap();
    let untied = write_model("llama", false, folder.path());
    let want = logits(&untied.build(&Tuning::default()).unwrap());
    let mut config = untied.config.values.clone();
    config.insert("tie_word_embeddings".to_owned(), json!(true));
    fs::write(folder.path().join("config.json"), Value::from(config.clone()).to_string()).unwrap();
    let opened = weights::open(folder.path(), None).unwrap();
    assert_eq!(opened.config.values["tie_word_embeddings"], json!(false));
    assert_eq!(logits(&opened.build(&Tuning::default()).unwrap()), want);

    let path = folder.path().join("model.safetensors");
    let mut tensors = load(&path, &Device::Cpu).unwrap();
    let head = tensors["lm_head.weight"].clone();
    tensors.insert("model.embed_tokens.weight".to_owned(), head);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let opened = weights::open(folder.path(), None).unwrap();
    assert_eq!(opened.config.values["tie_word_embeddings"], json!(true));
    let tied = logits(&opened.build(&Tuning::default()).unwrap());
    for missing in ["lm_head.weight", "model.embed_tokens.weight"] {
        let mut one = tensors.clone();
        one.remove(missing);
        candle_core::safetensors::save(&one, &path).unwrap();
        let opened = weights::open(folder.path(), None).unwrap();
        assert_eq!(logits(&opened.build(&Tuning::default()).unwrap()), tied, "without {missing}");
    }
}
