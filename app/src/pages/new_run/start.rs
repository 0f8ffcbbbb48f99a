//! Where the form starts: from values that suit the model, until they are changed by hand.

use leptos::prelude::*;
use recipe::Argument;
use wire::ModelFacts;

use super::form::Form;

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

impl Form {
    /// Starts from values that suit a model, in fields that nobody has changed.
    pub fn suit(&self, model: ModelFacts) {
        if self.is_loaded.get_value() {
            return;
        }
        let keys = FIRST.iter().chain(&FIRST_OF_SMALL).map(|(key, _)| *key);
        for argument in keys.filter_map(recipe::args::find) {
            let (field, first) = (self.field(argument.key), first_text(argument, model));
            if !self.is_touched(argument.key) && field.with_untracked(|text| *text != first) {
                field.set(first);
            }
        }
    }

    /// Turns evaluation on while there is data for it, and off when there is none, as LLaMA Board does; a strategy that
    /// was chosen by hand stays.
    pub fn suit_evaluation(&self) {
        let given = |key| self.field(key).with(|text| !["", "0", "0.0"].contains(&text.trim()));
        let has_data = given("val_size") || given("eval_dataset");
        if self.is_loaded.get_value() || self.is_touched("eval_strategy") {
            return;
        }
        let fields = match has_data {
            true => [("eval_strategy", "steps".to_owned()), ("eval_steps", self.field("save_steps").get())],
            false => [("eval_strategy", "no".to_owned()), ("eval_steps", String::new())],
        };
        for (key, text) in fields {
            if !self.is_touched(key) {
                self.field(key).set(text);
            }
        }
    }
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

    use super::super::form::tests::form;
    use super::*;

    #[test]
    fn values_suit_the_model_until_they_are_changed() {
        let (_owner, form) = form();
        let model = |parameters, context| ModelFacts { parameters: Some(parameters), context };
        let [rate, cutoff] =
            ["learning_rate", "cutoff_len"].map(|key| move || form.field(key).get_untracked());
        form.suit(model(1_000_000, None));
        assert_eq!((rate(), cutoff()), ("2e-3".into(), "512".into()));
        form.suit(model(1_000_000, Some(256)));
        assert_eq!(cutoff(), "256");
        form.suit(model(7_000_000_000, None));
        assert_eq!((rate(), cutoff()), ("1e-4".into(), "1024".into()));
        form.suit(ModelFacts::default());
        assert_eq!(rate(), "1e-4", "a model of unknown size is no toy");
        form.touch("learning_rate");
        form.suit(model(1_000_000, None));
        assert_eq!(rate(), "1e-4");
        assert_eq!(form.field("lora_rank").get_untracked(), "16");
    }

    #[test]
    fn evaluation_is_on_while_there_is_data_for_it() {
        let (_owner, form) = form();
        let [strategy, steps] =
            ["eval_strategy", "eval_steps"].map(|key| move || form.field(key).get_untracked());
        form.field("val_size").set("0.2".into());
        form.suit_evaluation();
        assert_eq!((strategy(), steps()), ("steps".into(), "100".into()));
        form.field("val_size").set("0".into());
        form.suit_evaluation();
        assert_eq!((strategy(), steps()), ("no".into(), String::new()));
        form.touch("eval_strategy");
        form.field("val_size").set("0.2".into());
        form.suit_evaluation();
        assert_eq!(strategy(), "no");
    }

    #[test]
    fn every_starting_value_is_an_arguments() {
        for (key, text) in FIRST.into_iter().chain(FIRST_OF_SMALL) {
            assert!(Recipe::default().set(key, text).is_ok(), "{key}: {text}");
        }
    }
}
