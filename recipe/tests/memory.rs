//! docs/memory.md is made from the estimate of memory. `UPDATE_DOCS=1 cargo test -p recipe` rewrites it.

use recipe::memory::{Machine, ModelShape, estimate};
use recipe::{FinetuningType, Recipe, Stage};

const INTRODUCTION: &str = "\
# Memory

<!-- Made from the estimate in recipe/src/memory/: `UPDATE_DOCS=1 cargo test -p recipe`. -->

What a run takes at its peak, in GiB, for each stage and method there is: the estimate that the form shows before a run is
started. It is for one example of 1024 tokens at a time (of preferences two), with gradient checkpointing, on eight threads,
and for defaults else: LoRA of rank 8 beside every linear layer, the last two layers of freeze tuning, AdamW. With `bf16`
frozen weights take half; activations, and what trains with its gradient and two moments, stay float32. A stage that compares
with a reference keeps that beside the model, unless the model without its adapter is the reference.

`cargo xtask bench memory` trains models of random weights by these stages, methods and optimizers, and prints the estimate
beside the most memory that each run held.
";

/// A llama-like model: a name, and hidden, inner and key/value width, layers, tokens, and whether the head is the table.
struct Model(&'static str, u64, u64, u64, u64, u64, bool);

const MODELS: [Model; 2] = [
    Model("0.5B parameters (24 layers of 896, as Qwen 2.5's)", 896, 4864, 128, 24, 151_936, true),
    Model("8B parameters (32 layers of 4096, as Llama 3's)", 4096, 14_336, 1024, 32, 128_256, false),
];

/// Threads of the machine that the table is for.
const THREADS: u64 = 8;

/// Dimensions of a head.
const HEAD: u64 = 128;

fn shape(Model(_, hidden, inner, kv, layers, vocab, tied): &Model) -> ModelShape {
    let block = [
        ("q_proj", *hidden, *hidden),
        ("k_proj", *hidden, *kv),
        ("v_proj", *hidden, *kv),
        ("o_proj", *hidden, *hidden),
        ("gate_proj", *hidden, *inner),
        ("up_proj", *hidden, *inner),
        ("down_proj", *inner, *hidden),
    ];
    let in_block: u64 = block.iter().map(|(_, inputs, outputs)| inputs * outputs).sum();
    let tables = if *tied { 1 } else { 2 };
    // What the engine counts of a block: its norms' inputs, queries, keys, values, attention and the gated halves.
    let floats = 2 * hidden + hidden + 2 * kv + hidden + hidden / HEAD + 2 * inner;
    let all = (0..*layers).flat_map(|_| block);
    ModelShape {
        vocab: *vocab,
        hidden: *hidden,
        layers: *layers,
        parameters: layers * in_block + tables * vocab * hidden,
        activation_floats: layers * floats,
        cached_floats: layers * 2 * kv,
        linears: all.map(|(name, inputs, outputs)| (name.to_owned(), inputs, outputs)).collect(),
        // As large as those of such vocabularies are.
        tokenizer: 64 * vocab,
        ..ModelShape::default()
    }
}

fn table(model: &Model) -> String {
    let shape = shape(model);
    let methods: Vec<FinetuningType> = FinetuningType::ALL.to_vec();
    let columns: Vec<(FinetuningType, bool)> =
        methods.into_iter().flat_map(|method| [(method, false), (method, true)]).collect();
    let head = columns
        .iter()
        .map(|(method, half)| format!(" {}{} |", method.label().en, if *half { ", bf16" } else { "" }));
    let mut text = format!(
        "\n## {}\n\n| stage |{}\n|---|{}\n",
        model.0,
        head.collect::<String>(),
        "--:|".repeat(columns.len())
    );
    for stage in Stage::ALL {
        let cells = columns.iter().map(|(finetuning_type, bf16)| {
            let recipe = Recipe {
                stage: *stage,
                finetuning_type: *finetuning_type,
                bf16: *bf16,
                cutoff_len: 1024,
                per_device_train_batch_size: 1,
                do_train: true,
                ..Recipe::default()
            };
            format!(
                " {:.1} |",
                estimate(&recipe, &shape, Machine { free: 0, threads: THREADS }).total() as f64
                    / f64::from(1 << 30)
            )
        });
        text += &format!("| `{}` |{}\n", stage.name(), cells.collect::<String>());
    }
    text
}

#[test]
fn the_table_of_memory_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/memory.md");
    let wanted = INTRODUCTION.to_owned() + &MODELS.iter().map(table).collect::<String>();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/memory.md is not what the estimate says; run: UPDATE_DOCS=1 cargo test -p recipe"
    );
}
