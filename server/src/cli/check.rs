//! `chandler train --check`: what a recipe would do, and what of it does nothing.

use std::path::Path;

use recipe::{JobKind, Notice, Recipe};
use wire::Memory;

/// The recipe in words, a line for each thing that it decides, and what it takes where that is known.
pub(super) fn described(recipe: &Recipe, memory: Option<Memory>) -> String {
    let mut lines = vec![
        ("job", job(recipe)),
        ("model", model(recipe)),
        ("stage", format!("{} ({})", recipe.stage.label().en, recipe.stage.name())),
    ];
    if recipe.job() == JobKind::Train {
        let method = recipe.finetuning_type;
        lines.push(("method", format!("{} ({})", method.label().en, method.name())));
        lines.push(("data", recipe.dataset.join(", ")));
        lines.push(("ends after", length(recipe)));
        let examples = recipe.examples_per_step();
        lines.push(("a step", format!("{examples} examples of at most {} tokens", recipe.cutoff_len)));
        lines.extend(memory.map(|Memory { needed, free, .. }| {
            ("memory", format!("about {} MiB at its peak, {} MiB are free", needed >> 20, free >> 20))
        }));
    }
    match recipe.job() {
        JobKind::Predict => lines.push(("predicts", held_out(recipe))),
        _ if recipe.evaluates() => lines.push(("evaluates on", held_out(recipe))),
        _ => {}
    }
    lines.push(("writes to", recipe.output_dir.clone()));
    let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text: String = lines.iter().map(|(name, what)| format!("{name:widest$}  {what}\n")).collect();
    text.extend(recipe.notices().iter().map(|notice| format!("{}\n", said(notice))));
    text.extend(recipe.doubts().iter().map(|doubt| format!("{doubt}\n")));
    text
}

fn job(recipe: &Recipe) -> String {
    match recipe.job() {
        JobKind::Train if recipe.evaluates() => "train, and evaluate",
        JobKind::Train => "train",
        JobKind::Evaluate => "evaluate",
        JobKind::Predict if recipe.generates() => "answer held-out data, and measure the answers",
        JobKind::Predict => "score the answers of held-out data",
    }
    .to_owned()
}

fn model(recipe: &Recipe) -> String {
    let name = &recipe.model_name_or_path;
    let place = if Path::new(name).exists() { "on this machine" } else { "not downloaded" };
    format!("{name}, {place}")
}

fn length(recipe: &Recipe) -> String {
    match recipe.step_limit() {
        Some(1) => "1 step".to_owned(),
        Some(steps) => format!("{steps} steps"),
        None => format!("{} epochs", recipe.num_train_epochs),
    }
}

fn held_out(recipe: &Recipe) -> String {
    if !recipe.eval_dataset.is_empty() {
        return recipe.eval_dataset.join(", ");
    }
    if recipe.val_size == 0.0 {
        return recipe.dataset.join(", ");
    }
    match recipe.val_size {
        size if size < 1.0 => format!("{} % of the data", size * 100.0),
        1.0 => "1 row of the data".to_owned(),
        size => format!("{size} rows of the data"),
    }
}

/// A notice with its keys in one line.
fn said(notice: &Notice) -> String {
    let keys: Vec<&str> = notice.keys().collect();
    format!("without effect: {} ({})", keys.join(", "), notice.reason.en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_done_is_said_in_lines() {
        let yaml = "model_name_or_path: nobody/model\ndataset: a, b\nstage: dpo\ndo_train: true\nfinetuning_type: lora\n\
                    template: qwen\noutput_dir: out\nmax_steps: 7\nper_device_train_batch_size: 2\nval_size: 0.25\n\
                    gradient_accumulation_steps: 4\neval_strategy: epoch\nuse_unsloth: true\nnum_train_epochs: 2\n";
        let memory = Memory { needed: 1500 << 20, free: 4 << 30, ..Memory::default() };
        let text = described(&Recipe::from_yaml(yaml).unwrap(), Some(memory));
        for line in [
            "memory        about 1500 MiB at its peak, 4096 MiB are free\n",
            "job           train, and evaluate\n",
            "model         nobody/model, not downloaded\n",
            "stage         Preferences (DPO) (dpo)\n",
            "data          a, b\n",
            "ends after    7 steps\n",
            "a step        8 examples of at most 2048 tokens\n",
            "evaluates on  25 % of the data\n",
            "writes to     out\n",
            "without effect: num_train_epochs (`max_steps` decides when training ends)\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("use_unsloth").count(), 1, "{text}");
    }
}
