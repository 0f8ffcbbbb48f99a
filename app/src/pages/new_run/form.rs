//! The state of the form: one text per argument, and what follows from them.

use std::collections::BTreeSet;

use leptos::prelude::*;
use recipe::args::Stage;
use recipe::{Argument, HubTokens, Notice, Problem, Recipe, arguments};
use wire::{FieldProblem, FormChoices, Memory, ModelChoice};

use super::further::{self, Further};
use super::start::first_text;
use crate::i18n::lang;

/// Arguments that the board sets itself, and those that few runs need: a recipe that is loaded may have them.
const NOT_ASKED: [&str; 9] = [
    "do_train",
    "output_dir",
    "logging_dir",
    "dataset_dir",
    "overwrite_output_dir",
    "resume_from_checkpoint",
    "use_cpu",
    "plot_loss",
    "fp16",
];

/// What the board sets itself: each run has a folder of its own.
pub const FIXED: [(&str, &str); 2] = [("do_train", "true"), ("output_dir", "output")];

/// Arguments with a place in the form.
pub fn asked() -> impl Iterator<Item = &'static Argument> {
    arguments().iter().filter(|argument| has_field(argument))
}

pub fn has_field(argument: &Argument) -> bool {
    argument.group != recipe::Group::Generating && !NOT_ASKED.contains(&argument.key)
}

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
        let read = Memo::new(move |_| {
            fields.with_value(|fields| further.with(|further| read(fields, further, without_effect.get())))
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
            from_server: RwSignal::new(Vec::new()),
            warnings: RwSignal::new(Vec::new()),
            memory: RwSignal::new(None),
            read,
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

    /// Whether an argument means something for the chosen stage and method.
    pub fn applies(&self, argument: &Argument) -> bool {
        self.read.with(|(recipe, _)| argument.applies_to(recipe.stage, recipe.finetuning_type))
    }

    /// Whether nothing is wrong as far as the browser sees.
    pub fn is_complete(&self) -> bool {
        self.read.with_untracked(|(_, problems)| problems.is_empty())
    }

    /// Everything wrong: what the browser sees at once, and what the server has added.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let lang = lang();
        let mut all: Vec<FieldProblem> = self.read.with(|(_, problems)| {
            let here = problems.iter();
            here.map(|problem| FieldProblem {
                key: problem.key.clone(),
                message: problem.text(lang).to_owned(),
            })
            .collect()
        });
        self.from_server.with(|more| {
            for problem in more {
                // The server says again, in English, what was seen here.
                let known = all.iter().any(|seen| seen.key.is_some() && seen.key == problem.key);
                if !known {
                    all.push(problem.clone());
                }
            }
        });
        all
    }

    /// The problem to show at a field: not yet at one that nobody has come to.
    pub fn problem_at(&self, key: &'static str) -> Option<String> {
        let is_quiet = !self.tried.get()
            && self.field(key).with(String::is_empty)
            && !self.touched.with(|touched| touched.contains(key));
        if is_quiet {
            return None;
        }
        self.problems()
            .into_iter()
            .find(|problem| problem.key.as_deref() == Some(key))
            .map(|problem| problem.message)
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

/// A recipe without the lines that have a problem, and those that belong to them.
fn without(yaml: &str, problems: &[Problem]) -> String {
    let wrong: BTreeSet<usize> = problems.iter().filter_map(|problem| problem.line).collect();
    let mut is_left_out = false;
    let kept = yaml.lines().enumerate().filter(|(place, line)| {
        let goes_on = line.starts_with([' ', '\t']) || line.starts_with("- ");
        is_left_out = wrong.contains(&(place + 1)) || is_left_out && goes_on;
        !is_left_out
    });
    kept.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Reads the fields that apply. An empty field stands for the default, one that cannot be read too.
fn read(
    fields: &[(&'static str, RwSignal<String>)],
    further: &[Further],
    without_effect: Vec<(String, String)>,
) -> (Recipe, Vec<Problem>) {
    let mut recipe = Recipe { without_effect, ..Recipe::default() };
    let mut problems = Vec::new();
    let mut set = |recipe: &mut Recipe, key: &str, text: &str| {
        if text.trim().is_empty() {
            return;
        }
        if let Err(problem) = recipe.set(key, text.trim()) {
            problems.push(problem);
        }
    };
    let text_of = |wanted: &str| {
        fields.iter().find(|(key, _)| *key == wanted).map(|(_, text)| text.get()).unwrap_or_default()
    };
    // These two decide which of the others apply.
    for key in ["stage", "finetuning_type"] {
        set(&mut recipe, key, &text_of(key));
    }
    for (key, text) in fields {
        let applies = recipe::args::find(key)
            .is_some_and(|argument| argument.applies_to(recipe.stage, recipe.finetuning_type));
        let text = text.get();
        if applies && !["stage", "finetuning_type"].contains(key) {
            set(&mut recipe, key, &text);
        }
    }
    for (key, text) in further.iter().map(|(key, text)| (*key, text.as_str())).chain(FIXED) {
        set(&mut recipe, key, text);
    }
    let unreadable: Vec<_> = problems.iter().filter_map(|problem: &Problem| problem.key.clone()).collect();
    let between = recipe.validate();
    let fresh = between.into_iter().filter(|p| p.key.as_ref().is_none_or(|key| !unreadable.contains(key)));
    problems.extend(fresh);
    (recipe, problems)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn form() -> (Owner, Form) {
        let owner = Owner::new();
        owner.set();
        let model = ModelChoice {
            path: "models/wick".into(),
            label: "wick".into(),
            template: Some("wick".into()),
            parameters: None,
            context: None,
            present: true,
            hint: None,
        };
        let form = Form::new(&FormChoices { models: vec![model], ..FormChoices::default() });
        (owner, form)
    }

    fn keys(form: &Form) -> Vec<String> {
        form.problems().into_iter().filter_map(|problem| problem.key).collect()
    }

    #[test]
    fn a_fresh_form_lacks_the_data_alone() {
        let (_owner, form) = form();
        assert_eq!(keys(&form), ["dataset"]);
        assert_eq!(form.problem_at("dataset"), None, "nobody has come to the field yet");
        form.touch("dataset");
        assert!(form.problem_at("dataset").is_some());
    }

    #[test]
    fn a_template_is_the_one_that_fits_or_the_models_own() {
        let (_owner, form) = form();
        let template = || form.field("template").get_untracked();
        assert_eq!(template(), "wick");
        form.suit_template(None);
        assert_eq!((template(), keys(&form)), (String::new(), vec!["dataset".to_owned()]));
        form.touch("template");
        form.field("template").set("chatml".into());
        form.suit_template(None);
        assert_eq!(template(), "chatml");
        form.suit_template(Some("qwen".into()));
        assert_eq!(template(), "qwen");
    }

    #[test]
    fn of_a_recipe_all_that_is_understood_is_loaded() {
        let (_owner, form) = form();
        let yaml = "model_name_or_path: models/wick\nno_such_key:\n  - 1\nlora_rank: 12\nstage: sft\nlora_alpha: much\ndataset: identity\n";
        let left_out = form.load_what_can_be(yaml).unwrap();
        let lines: Vec<_> = left_out.iter().filter_map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 6]);
        assert_eq!(form.field("lora_rank").get_untracked(), "12");
        assert!(form.load_what_can_be("[").is_err());
    }

    #[test]
    fn what_cannot_be_read_stands_in_the_recipe_as_a_remark() {
        let (_owner, form) = form();
        form.field("dataset").set("identity".into());
        form.field("learning_rate").set("1,5e-4".into());
        let yaml = form.yaml_with_remarks();
        assert!(yaml.contains("\n# learning_rate: 1,5e-4 – "), "{yaml}");
        assert!(Recipe::parse_yaml(&yaml, &[]).is_ok());
    }

    #[test]
    fn form_to_yaml_to_form_changes_nothing() {
        let (_owner, form) = form();
        form.field("dataset").set("identity,stories".into());
        form.field("lora_rank").set("16".into());
        form.field("warmup_ratio").set("0.05".into());
        assert!(form.problems().is_empty(), "{:?}", form.problems());
        let yaml = form.yaml();
        assert!(Recipe::from_yaml(&yaml).is_ok(), "{yaml}");
        let (_owner, other) = self::form();
        other.load(&yaml).unwrap();
        assert_eq!(other.yaml(), yaml);
    }

    #[test]
    fn what_has_no_field_is_kept_until_it_is_taken_out() {
        let (_owner, form) = form();
        let loaded = "model_name_or_path: models/wick\ntemplate: wick\ndataset: identity\ndataset_dir: ONLINE\n\
            plot_loss: true\nuse_cpu: true\nresume_from_checkpoint: runs/a/output/checkpoint-5\ntemperature: 0.5\n\
            top_k: 7\noutput_dir: saves/x\noverwrite_output_dir: true\n";
        form.load(loaded).unwrap();
        let read = Recipe::parse_yaml(&form.yaml(), &[]).unwrap();
        assert_eq!((read.dataset_dir.as_str(), read.top_k, read.temperature), ("ONLINE", 7, 0.5));
        assert!(read.plot_loss && read.use_cpu);
        assert_eq!(read.resume_from_checkpoint.as_deref(), Some("runs/a/output/checkpoint-5"));
        assert_eq!((read.output_dir.as_str(), read.overwrite_output_dir), ("output", false));
        assert_eq!(form.overruled.get_untracked(), ["output_dir", "overwrite_output_dir"]);

        let (_owner, copy) = self::form();
        copy.fill_from(&form.yaml());
        assert_eq!(copy.yaml(), form.yaml());
        assert!(copy.overruled.get_untracked().is_empty(), "the board's own recipes say what the board sets");
        copy.further.update(|kept| kept.retain(|(key, _)| *key != "use_cpu"));
        assert!(!copy.yaml().contains("use_cpu") && copy.yaml().contains("plot_loss: true"));
        copy.load("resume_from_checkpoint: true\n").unwrap();
        assert_eq!(copy.overruled.get_untracked(), ["resume_from_checkpoint"]);
        assert!(!copy.yaml().contains("resume_from_checkpoint"));
    }

    #[test]
    fn tokens_go_with_a_launch_and_nowhere_else() {
        let (_owner, form) = form();
        form.load("model_name_or_path: models/wick\ndataset: identity\nhub_token: hf_secret\nfp16: true\n")
            .unwrap();
        assert!(form.has_tokens() && !form.yaml().contains("secret"));
        let launched = Recipe::parse_yaml(&form.yaml_to_launch(), &[]).unwrap();
        assert_eq!(launched.tokens.hugging_face.as_deref(), Some("hf_secret"));
        assert!(launched.fp16, "an argument without a field is kept");
        form.load("model_name_or_path: models/wick\n").unwrap();
        assert!(!form.has_tokens());
    }

    #[test]
    fn what_does_not_apply_is_not_written() {
        let (_owner, form) = form();
        form.field("lora_rank").set("16".into());
        assert!(form.yaml().contains("lora_rank: 16"));
        form.field("finetuning_type").set("full".into());
        assert!(!form.yaml().contains("lora_rank"));
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_once() {
        let (_owner, form) = form();
        form.field("dataset").set("identity".into());
        form.field("learning_rate").set("fast".into());
        assert_eq!(keys(&form), ["learning_rate"]);
        assert!(form.problem_at("learning_rate").is_some());
    }

    #[test]
    fn the_server_adds_what_only_it_sees() {
        let (_owner, form) = form();
        let problem = |key: &str| FieldProblem { key: Some(key.into()), message: "from the server".into() };
        form.from_server.set(vec![problem("dataset"), problem("model_name_or_path")]);
        assert_eq!(keys(&form), ["dataset", "model_name_or_path"]);
    }
}
