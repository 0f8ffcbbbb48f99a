//! One process of the training benchmark: optimisation steps of the engine on random tokens.
//!
//! Takes the same arguments as `benches/torch_train.py` and prints the same line of JSON:
//! `{"step_ms": [...], "peak_mb": ..., "losses": [...]}`, with `step_gflop`, the arithmetic of a step, and
//! `gemm_gflops`, the rate of matrix products on this machine.

mod arithmetic;
mod shape;

use std::error::Error;
use std::time::Instant;

use engine::autograd::ParamGradients;
use engine::families;
use engine::model::{Batch, Decoder, LoraSettings, Objective, Pass, Selection, Tuning};
use engine::optim::Optimizer;
use engine::rng::Rng;
use engine::weights::InitialSource;
use recipe::Recipe;
use serde_json::{Value, json};

use arithmetic::Work;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured.
struct Arguments {
    shape: String,
    /// Instead of the shape's own.
    layers: Option<usize>,
    batch: usize,
    seq: usize,
    steps: usize,
    rank: usize,
    full: bool,
    checkpointing: bool,
    bf16: bool,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        shape: "135m".to_owned(),
        layers: None,
        batch: 2,
        seq: 256,
        steps: 6,
        rank: 8,
        full: false,
        checkpointing: false,
        bf16: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--shape" => arguments.shape = value()?,
            "--layers" => arguments.layers = Some(value()?.parse()?),
            "--batch" => arguments.batch = value()?.parse()?,
            "--seq" => arguments.seq = value()?.parse()?,
            "--steps" => arguments.steps = value()?.parse()?,
            "--rank" => arguments.rank = value()?.parse()?,
            "--full" => arguments.full = true,
            "--checkpointing" => arguments.checkpointing = true,
            "--dtype" => {
                arguments.bf16 = match value()?.as_str() {
                    "f32" => false,
                    "bf16" => true,
                    other => return Err(format!("--dtype {other}: give f32 or bf16").into()),
                }
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(arguments)
}

fn build(arguments: &Arguments) -> Result<Decoder, Box<dyn Error>> {
    let spec = families::read(&shape::config(&arguments.shape, arguments.layers)?)?;
    let selection = if arguments.full { Selection::All } else { Selection::Nothing };
    let tuning = Tuning { selection, bf16: arguments.bf16, ..Tuning::default() };
    let mut decoder = Decoder::build(spec, &InitialSource::new(0, 0.02), &tuning)?;
    if !arguments.full {
        let targets = vec!["all".to_owned()];
        decoder.add_lora(
            &LoraSettings {
                rank: arguments.rank,
                scale: 2.0,
                dropout: 0.0,
                targets,
                ..LoraSettings::default()
            },
            1,
        )?;
    }
    Ok(decoder)
}

fn main() -> Result<(), String> {
    engine::kernel::on_pool(|| steps().map_err(|error| error.to_string()))
}

fn steps() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let decoder = build(&arguments)?;
    let trainable = decoder.trainable();
    let mut rng = Rng::new(2);
    let mut batch = Batch::default();
    for _ in 0..arguments.batch {
        let ids: Vec<u32> = (0..arguments.seq).map(|_| rng.below(decoder.spec.vocab) as u32).collect();
        let labels: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        batch.push(&ids, &labels);
    }
    let recipe = Recipe::default();
    let mut optimizer = Optimizer::of(&recipe, &decoder, &trainable)?;
    let groups = optimizer.groups(&trainable, recipe.weight_decay, None);
    let mut grads = ParamGradients::default();
    let (mut times, mut losses) = (Vec::new(), Vec::new());
    for _ in 0..arguments.steps {
        let begin = Instant::now();
        grads.clear();
        let pass = Pass { checkpointing: arguments.checkpointing, training: true, ..Pass::default() };
        let scale = 1.0 / batch.labels.len() as f32;
        losses.push(decoder.accumulate(&batch, &pass, Objective::Sum(scale), &mut grads)?.loss);
        let clip = (1.0 / (grads.global_norm()? + 1e-6)).min(1.0);
        optimizer.step(&groups, &mut grads, 1e-4, clip)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let peak_mb = engine::memory::peak().map(|bytes| bytes as f64 / (1 << 20) as f64);
    let config = shape::config(&arguments.shape, arguments.layers)?;
    let work = Work {
        batch: arguments.batch,
        seq: arguments.seq,
        rank: (!arguments.full).then_some(arguments.rank),
    };
    println!(
        "{}",
        json!({
            "step_ms": times, "peak_mb": peak_mb, "losses": losses,
            "step_gflop": arithmetic::step_gflop(&Value::Object(config.values), &work),
            "gemm_gflops": arithmetic::gemm_peak_gflops(arguments.bf16),
        })
    );
    Ok(())
}
