//! What a field of the form holds at first, for a model.

use recipe::Argument;
use wire::ModelFacts;

/// Where the form starts, where that is not the argument's default: LLaMA Board's values, for runs small
/// enough to be watched.
const FIRST: [(&str, &str); 8] = [
    ("learning_rate", "1e-4"),
    ("per_device_train_batch_size", "2"),
    ("gradient_accumulation_steps", "4"),
    ("lr_scheduler_type", "cosine"),
    ("warmup_ratio", "0.1"),
    ("cutoff_len", "1024"),
    ("logging_steps", "1"),
    ("save_steps", "100"),
];

/// The same for a model of a few million parameters: it needs larger steps and more of them, and has no
/// room for long texts.
const FIRST_OF_SMALL: [(&str, &str); 6] = [
    ("learning_rate", "2e-3"),
    ("num_train_epochs", "15"),
    ("per_device_train_batch_size", "4"),
    ("gradient_accumulation_steps", "1"),
    ("lora_rank", "16"),
    ("cutoff_len", "512"),
];

/// Parameters below which a model counts as small.
const SMALL: u64 = 20_000_000;

/// Arguments whose first text depends on the model.
pub fn keys() -> impl Iterator<Item = &'static str> {
    FIRST.iter().chain(&FIRST_OF_SMALL).map(|(key, _)| *key)
}

/// What a field holds at first, for a model.
pub fn first_text(argument: &Argument, model: ModelFacts) -> String {
    let is_small = model.parameters.is_some_and(|count| count < SMALL);
    let of_small: &[_] = if is_small { &FIRST_OF_SMALL } else { &[] };
    let first = of_small.iter().chain(&FIRST).find(|(key, _)| *key == argument.key);
    let text = first.map_or_else(|| argument.default_text(), |(_, text)| (*text).to_owned());
    match (argument.key, model.context) {
        // No longer than the model reads.
        ("cutoff_len", Some(context)) if text.parse().is_ok_and(|first: usize| first > context) => {
            context.to_string()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use recipe::Recipe;

    use super::*;

    #[test]
    fn every_starting_value_is_an_arguments() {
        for (key, text) in FIRST.into_iter().chain(FIRST_OF_SMALL) {
            assert!(Recipe::default().set(key, text).is_ok(), "{key}: {text}");
        }
    }
}
