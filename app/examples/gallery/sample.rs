//! Made-up runs, models and answers.

use std::time::{SystemTime, UNIX_EPOCH};

use recipe::{Eval, Event, EventBody, LogLevel, Metrics, Outcome, Phase, Point, RunState};
use wire::*;

use crate::board::Run;

const YAML: &str = "### model\nmodel_name_or_path: models/wick\n\n### method\nstage: sft\ndo_train: true\nfinetuning_type: lora\nlora_rank: 8\nlora_target: all\n\n### dataset\ndataset: identity,instructions\ntemplate: llama3\ncutoff_len: 1024\n\n### train\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 4\nlearning_rate: 1.0e-4\nnum_train_epochs: 3.0\nlr_scheduler_type: cosine\nwarmup_ratio: 0.1\n\n### output\noutput_dir: output\nlogging_steps: 1\nsave_steps: 50\n";

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A noisy falling loss, the same on every call.
pub fn point(step: u64, total: u64) -> Point {
    let t = step as f64;
    let noise = (t * 12.9898).sin() * 43758.5453;
    let noise = (noise - noise.floor() - 0.5) * 0.5;
    let warm = (t / (total as f64 * 0.1)).min(1.0);
    Point {
        step,
        epoch: 3.0 * t / total as f64,
        metrics: Metrics::from([
            ("loss", 0.9 + 2.4 * (-t / (total as f64 * 0.2)).exp() + noise * (0.3 + (-t / 60.0).exp())),
            ("grad_norm", 0.6 + 2.0 * (-t / 40.0).exp() + noise.abs()),
            ("learning_rate", 1e-4 * warm * 0.5 * (1.0 + (std::f64::consts::PI * t / total as f64).cos())),
        ]),
        tokens: step * 1664,
        tokens_per_second: 1480.0 + 60.0 * noise,
        elapsed_s: t * 1.1,
        remaining_s: (total - step.min(total)) as f64 * 1.1,
    }
}

pub fn eval(step: u64) -> EventBody {
    let measured = [("eval_loss", 1.1 + 30.0 / step as f64), ("eval_accuracy", 0.5), ("eval_runtime", 2.0)];
    EventBody::Eval(Eval { step, dataset: None, epoch: 1.0, metrics: Metrics::from(measured) })
}

pub fn start(start_step: u64, total_steps: u64) -> EventBody {
    EventBody::Start {
        start_step,
        total_steps,
        num_examples: 320,
        trainable_params: 540_672,
        total_params: 135_055_680,
    }
}

pub fn run(id: &str, name: &str, state: RunState, steps: u64, total: u64, yaml: String) -> Run {
    let parsed = recipe::Recipe::parse_yaml(&yaml, &[]).unwrap_or_default();
    let began = now() - steps * 1100 - if state.is_over() { 7_000_000 } else { 4000 };
    let summary = RunSummary {
        id: id.into(),
        name: name.into(),
        state,
        reason: None,
        kind: parsed.job(),
        model: parsed.model_name_or_path,
        dataset: parsed.dataset.join(", "),
        stage: parsed.stage.name().into(),
        method: parsed.finetuning_type.name().into(),
        created: began,
        started: (state != RunState::Queued).then_some(began),
        worked: if state.is_over() { steps * 1100 } else { 0 },
        working_since: state.is_live().then_some(began),
        step: 0,
        total_steps: 0,
        last_loss: None,
        sparkline: vec![],
    };
    let mut run = Run { summary, yaml, events: vec![] };
    if state == RunState::Queued {
        return run;
    }
    run.push(EventBody::Phase { phase: Phase::LoadingModel, detail: Some("models/wick".into()) });
    run.push(EventBody::Log {
        level: LogLevel::Info,
        message: "loaded models/wick: 1.3M parameters, f32".into(),
    });
    run.push(start(0, total));
    run.push(EventBody::Phase { phase: Phase::Training, detail: None });
    for step in 1..=steps {
        let point = point(step, total);
        let values: Vec<String> =
            point.metrics.iter().map(|(name, value)| format!("{name} {value:.3e}")).collect();
        let message = format!("step {step}/{total}  {}", values.join("  "));
        run.push(EventBody::Point(point));
        run.push(EventBody::Log { level: LogLevel::Info, message });
        if step % 50 == 0 {
            run.push(eval(step));
            run.push(EventBody::Checkpoint { step, path: format!("checkpoint-{step}") });
        }
    }
    if state == RunState::Finished {
        run.push(EventBody::End { outcome: Outcome::Finished, reason: None });
    }
    run
}

pub fn runs() -> Vec<Run> {
    let yaml = || YAML.to_owned();
    let full = YAML
        .replace("finetuning_type: lora", "finetuning_type: full")
        .replace("models/wick", "models/SmolLM2-135M-Instruct");
    let pt = YAML.replace("stage: sft", "stage: pt").replace("identity,instructions", "stories");
    let mut runs = vec![
        run("r9", "A candle with manners", RunState::Running, 140, 400, yaml()),
        run("r8", "Overnight: full tuning", RunState::Queued, 0, 0, full.clone()),
        run("r7", "Identity, rank 16", RunState::Finished, 240, 240, yaml()),
        run("r6", "wick on stories", RunState::Stopped, 320, 1200, pt),
        run("r5", "SmolLM2 on instructions", RunState::Failed, 12, 600, full),
        run("r4", "First light", RunState::Finished, 120, 120, yaml()),
        run("r3", "Long context attempt", RunState::Interrupted, 77, 300, yaml()),
    ];
    runs[3].summary.reason = Some("stopped by you after step 320; a checkpoint was saved".into());
    runs[4].summary.reason =
        Some("model.safetensors: tensor model.layers.3.mlp.up_proj.weight is missing".into());
    runs[6].summary.reason = Some("the worker was killed by signal 9; it was using 3.1 GB".into());
    runs
}

pub fn choices() -> FormChoices {
    let model = |path: &str, label: &str, template: Option<&str>, parameters, present, hint: Option<&str>| {
        ModelChoice {
            path: path.into(),
            label: label.into(),
            template: template.map(Into::into),
            parameters: Some(parameters),
            context: None,
            present,
            hint: hint.map(Into::into),
        }
    };
    let dataset = |name: &str, rows, format: &str, holds, problem: Option<&str>| DatasetEntry {
        name: name.into(),
        place: DatasetPlace::File(format!("{name}.json")),
        format: format.into(),
        holds,
        bytes: None,
        rows: Some(rows),
        problem: problem.map(Into::into),
    };
    FormChoices {
        models: vec![
            model("models/wick", "wick", Some("llama3"), 1_312_000, true, None),
            model(
                "models/SmolLM2-135M-Instruct",
                "SmolLM2-135M-Instruct",
                Some("chatml"),
                134_515_008,
                false,
                Some("cargo xtask model smollm2"),
            ),
        ],
        datasets: vec![
            dataset("identity", 91, "alpaca", Holds::Answers, None),
            dataset("instructions", 320, "alpaca", Holds::Answers, None),
            dataset("conversations", 64, "sharegpt", Holds::Answers, None),
            dataset("preferences", 80, "alpaca", Holds::Pairs, None),
            dataset("broken", 0, "alpaca", Holds::Answers, Some("data/broken.json: row 3 has no `output`")),
        ],
        templates: ["alpaca", "chatml", "default", "llama2", "llama3", "qwen"].map(Into::into).into(),
    }
}

pub fn answer_to(request: &ChatRequest) -> Vec<String> {
    let question = request.messages.last().map(|message| message.content.clone()).unwrap_or_default();
    let text = format!(
        "You said: *{question}*\n\nA candle burns in three parts:\n\n1. the **wick** draws up wax,\n2. the wax melts and vaporises,\n3. the vapour burns.\n\n```python\ndef light(candle):\n    return candle.wick.ignite()\n```\n\n| part | does |\n|---|---|\n| wick | draws |\n| flame | melts |\n\n<script>alert('text, not script')</script>"
    );
    text.split_inclusive(' ').map(Into::into).collect()
}

/// Two lines of log.
pub fn log() -> Vec<Event> {
    let said = |seq, message: &str| Event {
        seq,
        time: 1_772_373_909_000,
        body: EventBody::Log { level: LogLevel::Info, message: message.into() },
    };
    vec![said(1, "loading models/wick"), said(2, "320 examples, 12 480 tokens")]
}
