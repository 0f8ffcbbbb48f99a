//! What is trained comes back: resumed, gone on with, merged and talked to, over models that tie their output matrix and
//! that do not, and everything that can be trained in them.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

mod expansion;
mod loftq;
mod peft;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use candle_core::safetensors::load;
use engine::adapter::Adapter;
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
