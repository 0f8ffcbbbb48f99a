//! Where the form starts: from values that suit the model, until they are changed by hand.

use leptos::prelude::*;
use wire::ModelFacts;

use super::first::{self, first_text};
use super::form::Form;

impl Form {
    /// Starts from values that suit a model, in fields that nobody has changed.
    pub fn suit(&self, model: ModelFacts) {
        if self.is_loaded.get_value() {
            return;
        }
        for argument in first::keys().filter_map(recipe::args::find) {
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

#[cfg(test)]
mod tests {
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
}
