//! The state of the form: one text per argument, and what follows from them.

use std::collections::BTreeSet;

use leptos::prelude::*;
use recipe::args::Stage;
use recipe::{Argument, HubTokens, Notice, Problem, Recipe, Steps, Strategy};
use wire::{FieldProblem, FormChoices, Memory, ModelChoice};

use super::asked::{applies, asked};
use super::first::first_text;
use super::further::{self, Further};
use super::read::{read, without};
use crate::i18n::lang;

#[derive(Clone, Copy)]
pub struct Form {
    pub name: RwSignal<String>,
    pub(super) fields: StoredValue<Vec<(&'static str, RwSignal<String>)>>,
    /// Keys without effect of a recipe that was loaded; they are kept.
    pub(super) without_effect: RwSignal<Vec<(String, String)>>,
    /// The same of tokens: they go with a launch, and nowhere else.
    tokens: RwSignal<HubTokens>,
    /// What a recipe that was loaded says of arguments without a field.
    pub further: RwSignal<Vec<Further>>,
    /// Keys of a recipe that was loaded which the board sets itself.
    pub overruled: RwSignal<Vec<&'static str>>,
    /// Fields that were changed by hand: an empty one is no problem before.
    pub(super) touched: RwSignal<BTreeSet<&'static str>>,
    /// The values come from a recipe, not from this form's own start.
    pub(super) is_loaded: StoredValue<bool>,
    /// Its user has changed something.
    pub changed: RwSignal<bool>,
    /// The form answers: before, what is done to it is taken in, but its buttons do nothing.
    pub ready: RwSignal<bool>,
    /// A launch was tried: every problem is shown at its field.
    pub tried: RwSignal<bool>,
    /// Problems that only the server sees (a missing folder, a broken file).
    pub from_server: RwSignal<Vec<FieldProblem>>,
    /// What the server wants known before a launch.
    pub warnings: RwSignal<Vec<FieldProblem>>,
    pub memory: RwSignal<Option<Memory>>,
    /// The recipe as far as its fields can be read, and what is wrong with it.
    read: Memo<(Recipe, Vec<Problem>)>,
    /// Everything wrong: what the browser sees at once, and what the server has added.
    pub problems: Memo<Vec<FieldProblem>>,
}

/// Whether another field leaves this one nothing to decide: how often is evaluated where nothing is, and a share of
/// warm-up steps where their number is given.
fn is_overruled(key: &str, recipe: &Recipe) -> bool {
    match key {
        "eval_steps" => recipe.eval_strategy != Strategy::Steps,
        "warmup_ratio" => recipe.warmup_steps != Steps::Count(0),
        "ref_model" | "ref_model_adapters" => !recipe.has_reference(),
        _ => false,
    }
}

/// What the browser sees to be wrong, and what the server has added to it.
fn all_problems(here: &[Problem], from_server: &[FieldProblem]) -> Vec<FieldProblem> {
    let lang = lang();
    let seen = here.iter();
    let mut all: Vec<FieldProblem> = seen
        .map(|problem| FieldProblem { key: problem.key.clone(), message: problem.text(lang).to_owned() })
        .collect();
    for problem in from_server {
        // The server says again, in English, what was seen here.
        if !all.iter().any(|seen| seen.key.is_some() && seen.key == problem.key) {
            all.push(problem.clone());
        }
    }
    all
}

impl Form {
    pub fn new(choices: &FormChoices) -> Form {
        let model = choices.models.iter().find(|model| model.present);
        let facts = model.map(ModelChoice::facts).unwrap_or_default();
        let fields: Vec<_> =
            asked().map(|argument| (argument.key, RwSignal::new(first_text(argument, facts)))).collect();
        let fields = StoredValue::new(fields);
        let without_effect = RwSignal::new(Vec::new());
        let further = RwSignal::new(Vec::new());
        let read: Memo<(Recipe, Vec<Problem>)> = Memo::new(move |_| {
            fields.with_value(|fields| further.with(|further| read(fields, further, without_effect.get())))
        });
        let from_server = RwSignal::new(Vec::new());
        let problems = Memo::new(move |_| {
            read.with(|(_, here)| from_server.with(|from_server| all_problems(here, from_server)))
        });
        let form = Form {
            name: RwSignal::new(String::new()),
            fields,
            without_effect,
            tokens: RwSignal::default(),
            further,
            overruled: RwSignal::new(Vec::new()),
            touched: RwSignal::new(BTreeSet::new()),
            is_loaded: StoredValue::new(false),
            changed: RwSignal::new(false),
            ready: RwSignal::new(false),
            tried: RwSignal::new(false),
            from_server,
            warnings: RwSignal::new(Vec::new()),
            memory: RwSignal::new(None),
            read,
            problems,
        };
        if let Some(model) = model {
            form.field("model_name_or_path").set(model.path.clone());
            form.field("template").set(model.template.clone().unwrap_or_default());
        }
        form
    }

    /// The text of an argument's field.
    pub fn field(&self, key: &str) -> RwSignal<String> {
        let found = self
            .fields
            .with_value(|fields| fields.iter().find(|(known, _)| *known == key).map(|(_, text)| *text));
        // Only arguments with a field are asked for; a key without one gets a text nobody reads.
        found.unwrap_or_default()
    }

    /// Names the run.
    pub fn rename(&self, name: String) {
        self.changed.set(true);
        self.name.set(name);
    }

    /// Notes that a field was changed by hand.
    pub fn touch(&self, key: &'static str) {
        self.changed.set(true);
        if !self.is_touched(key) {
            self.touched.update(|touched| {
                touched.insert(key);
            });
        }
    }

    /// Takes the template that is known to fit a model; where none is, the model's own, unless one was chosen by hand.
    pub fn suit_template(&self, known: Option<String>) {
        if known.is_some() || !self.is_loaded.get_value() && !self.is_touched("template") {
            self.field("template").set(known.unwrap_or_default());
        }
    }

    pub(super) fn is_touched(&self, key: &str) -> bool {
        self.touched.with_untracked(|touched| touched.contains(key))
    }

    /// The same of a recipe of which some lines may not be understood: those are left out, and answered with.
    ///
    /// # Errors
    /// Nothing was changed: there is no reading it even without them.
    pub fn load_what_can_be(&self, yaml: &str) -> Result<Vec<Problem>, Vec<Problem>> {
        let Err(problems) = self.load(yaml) else { return Ok(Vec::new()) };
        let rest = without(yaml, &problems);
        if rest.trim().is_empty() || self.load(&rest).is_err() {
            return Err(problems);
        }
        Ok(problems)
    }

    /// Sets every field from a recipe, and keeps what else it says.
    ///
    /// # Errors
    /// Nothing was changed: the text is not YAML, or has keys or values that are not understood.
    pub fn load(&self, yaml: &str) -> Result<(), Vec<Problem>> {
        let recipe = Recipe::parse_yaml(yaml, &[])?;
        self.is_loaded.set_value(true);
        self.fields.with_value(|fields| {
            for (key, text) in fields {
                text.set(recipe.get(key).unwrap_or_default());
            }
        });
        self.overruled.set(further::overruled(&recipe));
        self.further.set(further::further(&recipe));
        self.without_effect.set(recipe.without_effect);
        self.tokens.set(recipe.tokens);
        Ok(())
    }

    /// The same for a recipe that was launched before, and so is known to be readable.
    pub fn fill_from(&self, yaml: &str) {
        if self.load(yaml).is_err() {
            leptos::logging::warn!("the recipe of the run that is cloned cannot be read");
        }
    }

    pub fn yaml(&self) -> String {
        self.read.with(|(recipe, _)| recipe.to_yaml())
    }

    /// The recipe as it is shown and saved: what cannot be read of the fields stands in it as a remark.
    pub fn yaml_with_remarks(&self) -> String {
        let mut yaml = self.yaml();
        let language = lang();
        for problem in self.read.with(|(_, problems)| problems.clone()) {
            let Some(key) = problem.key.as_deref().and_then(recipe::args::find).map(|argument| argument.key)
            else {
                continue;
            };
            let given = self.field(key).get();
            if self.read.with(|(recipe, _)| recipe.get(key)).is_none_or(|taken| taken != given)
                && !given.is_empty()
            {
                yaml.push_str(&format!("# {key}: {given} – {}\n", problem.text(language)));
            }
        }
        yaml
    }

    /// The recipe with what the page does not show: the tokens that its run asks hubs with.
    pub fn yaml_to_launch(&self) -> String {
        self.yaml() + &self.tokens.with(HubTokens::to_yaml)
    }

    pub fn has_tokens(&self) -> bool {
        self.tokens.with(|tokens| !tokens.is_empty())
    }

    /// What the recipe asks for and is done otherwise or not at all.
    pub fn notices(&self) -> Vec<Notice> {
        self.read.with(|(recipe, _)| recipe.notices())
    }

    pub fn stage(&self) -> Stage {
        self.read.with(|(recipe, _)| recipe.stage)
    }

    /// Whether an argument means something for the chosen stage and method, and beside the other fields.
    pub fn applies(&self, argument: &Argument) -> bool {
        self.read.with(|(recipe, problems)| {
            let is_wrong = problems.iter().any(|problem| problem.key.as_deref() == Some(argument.key));
            // A field with a problem stays in sight, whatever the others say.
            applies(argument, recipe) && (is_wrong || !is_overruled(argument.key, recipe))
        })
    }

    /// What is wrong as far as the browser sees: a key for each problem, empty for one of the whole recipe.
    pub fn seen_problems(&self) -> Vec<String> {
        self.read.with_untracked(|(_, problems)| {
            problems.iter().map(|problem| problem.key.clone().unwrap_or_default()).collect()
        })
    }

    /// The problem to show at a field: not yet at one that nobody has come to.
    pub fn problem_at(&self, key: &'static str) -> Option<String> {
        let is_quiet = !self.tried.get()
            && self.field(key).with(String::is_empty)
            && !self.touched.with(|touched| touched.contains(key));
        if is_quiet {
            return None;
        }
        self.problems.with(|problems| {
            let found = problems.iter().find(|problem| problem.key.as_deref() == Some(key));
            found.map(|problem| problem.message.clone())
        })
    }

    /// How many fields of a list differ from their defaults.
    pub fn changed(&self, arguments: &[&'static Argument]) -> usize {
        let differs = |argument: &&&Argument| {
            let text = self.field(argument.key).get();
            !text.is_empty() && text != argument.default_text() && self.applies(argument)
        };
        arguments.iter().filter(differs).count()
    }
}

#[cfg(test)]
pub(super) mod tests;
