//! From text to a [`Recipe`]: YAML or JSON, and what a command line says beside it; all problems at once.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, HashSet};

mod line;
mod unknown;
pub(crate) mod yaml;

use crate::args::unsupported::Unsupported;
use crate::args::{self, Argument, Kind, Recipe, accepted, unsupported};
use crate::problem::Problem;
use crate::raw::Raw;
use crate::suggest::offer;
use crate::text::Sentence;
pub use line::CommandLine;

/// Tokens with what they mean, in the order of a YAML file such as `{<think>: thoughts before the answer}`.
///
/// # Errors
/// With the line that is not YAML, or gives a token something else than a text.
pub fn descriptions(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let described = yaml::entries(text)?.into_iter().map(|entry| match entry.value {
        Raw::Scalar(meaning) if !entry.key.is_empty() => Ok((entry.key, meaning)),
        value => {
            let (line, token) = (entry.line.unwrap_or_default(), entry.key);
            Err(Problem::general(sentence! {
                en: "line {line}: `{token}` is {value}; a token is described by a text",
                zh: "第 {line} 行：`{token}` 为 {value}；词元须以文本说明",
            }))
        }
    });
    described.collect()
}
use unknown::unknown;
use yaml::Entry;

/// Problems that are told; the others are counted. Nobody reads more, and each takes a search for what was meant.
const TOLD: usize = 100;

impl Recipe {
    /// Reads and checks the recipe of a training run, written in YAML or JSON.
    ///
    /// ```
    /// use recipe::{Lang, Recipe};
    ///
    /// let recipe = Recipe::from_yaml(
    ///     "model_name_or_path: models/wick
    /// do_train: true
    /// dataset: identity
    /// lora_rank: 16
    /// output_dir: out",
    /// );
    /// assert_eq!(recipe.map(|recipe| recipe.alpha()), Ok(32));
    ///
    /// let problems = Recipe::from_yaml("lora_rnak: 16").unwrap_err();
    /// assert_eq!(problems[0].to_string(), "line 1: `lora_rnak` is not an argument; did you mean `lora_rank`?");
    /// assert_eq!(problems[0].text(Lang::Zh), "没有名为 `lora_rnak` 的参数；是否想写 `lora_rank`？");
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn from_yaml(text: &str) -> Result<Recipe, Vec<Problem>> {
        Recipe::from_yaml_with(text, &[])
    }

    /// Reads and checks the recipe of a training run, with `key=value` pairs from a command line that win over the
    /// text.
    ///
    /// # Errors
    /// Everything that is wrong with text and overrides.
    pub fn from_yaml_with(text: &str, overrides: &[(String, String)]) -> Result<Recipe, Vec<Problem>> {
        Reading::of(text, pairs(overrides))?.checked()
    }

    /// Reads a recipe without asking for what only a training run needs (data, an output folder, …).
    ///
    /// ```
    /// use recipe::Recipe;
    ///
    /// let pairs = [("temperature".to_owned(), "0.2".to_owned())];
    /// let recipe = Recipe::parse_yaml("model_name_or_path: models/wick", &pairs);
    /// assert_eq!(recipe.map(|recipe| recipe.temperature), Ok(0.2));
    /// ```
    ///
    /// # Errors
    /// Unknown keys, values of the wrong type or out of range.
    pub fn parse_yaml(text: &str, overrides: &[(String, String)]) -> Result<Recipe, Vec<Problem>> {
        Reading::of(text, pairs(overrides))?.finish()
    }

    /// Reads the fields of a form. An empty field stands for the default.
    ///
    /// # Errors
    /// As for [`Recipe::from_yaml`]; each problem names its field.
    pub fn from_fields(fields: &[(String, String)]) -> Result<Recipe, Vec<Problem>> {
        let fields = fields.iter().filter(|(_, value)| !value.trim().is_empty());
        let fields: Vec<_> = fields.map(|(key, value)| (key.as_str(), typed(key, value))).collect();
        let mut reading = Reading::default();
        reading.note_features(fields.iter().map(|(key, value)| (*key, value)));
        for (key, value) in &fields {
            reading.take(key, value, None);
        }
        reading.checked()
    }

    /// Sets one argument from text, as typed into a form field.
    ///
    /// # Errors
    /// The value is of the wrong type or out of range, or the key is not an argument's.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Problem> {
        let argument =
            args::find(key).ok_or_else(|| unsupported::problem(key).unwrap_or_else(|| unknown(key, "")))?;
        read_value(self, argument, &typed(key, text))
    }
}

/// `key=value` pairs with their values read as YAML.
fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = (String, Raw)> {
    pairs.iter().map(|(key, value)| (key.clone(), yaml::value(value)))
}

/// What was typed into a form field. `null`, or nothing, unsets an argument that may be unset.
fn typed(key: &str, text: &str) -> Raw {
    let text = text.trim();
    let optional = args::find(key).is_some_and(|argument| argument.optional);
    if optional && (text.is_empty() || text == "null") { Raw::Null } else { Raw::Scalar(text.to_owned()) }
}

/// A recipe being read: what was understood so far, where each key stood, and what was not understood.
#[derive(Default)]
struct Reading {
    recipe: Recipe,
    lines: Vec<(String, usize)>,
    /// Keys that ask for a feature that is not supported.
    asked: Vec<String>,
    problems: Vec<Problem>,
    /// Problems beside those, which are not told.
    untold: usize,
}

impl Reading {
    /// Takes every key of a text and its overrides. Nothing can be said of a text that is no YAML.
    fn of(text: &str, overrides: impl IntoIterator<Item = (String, Raw)>) -> Result<Reading, Vec<Problem>> {
        let mut entries = yaml::entries(text).map_err(|problem| vec![problem])?;
        let mut reading = Reading::default();
        reading.drop_duplicates(&mut entries);
        // Of several for one argument the last one counts, in its place.
        let (mut given, mut last) = (HashSet::new(), Vec::new());
        for (key, value) in overrides.into_iter().collect::<Vec<_>>().into_iter().rev() {
            if given.insert(args::own_key(&key).to_owned()) {
                last.push(Entry { key, value, line: None });
            }
        }
        entries.retain(|entry| !given.contains(args::own_key(&entry.key)));
        entries.extend(last.into_iter().rev());
        reading.note_features(entries.iter().map(|entry| (entry.key.as_str(), &entry.value)));
        for Entry { key, value, line } in &entries {
            reading.take(key, value, *line);
        }
        Ok(reading)
    }

    /// Notes which features that are not supported are asked for: those of their keys are refused by name that ask
    /// for nothing without them.
    fn note_features<'e>(&mut self, entries: impl Iterator<Item = (&'e str, &'e Raw)>) {
        for (key, value) in entries {
            let is_refused = match (unsupported::find(key), args::find(key)) {
                (Some(known), _) => known.check(value).is_err(),
                (None, Some(argument)) => argument.refuses(value),
                (None, None) => false,
            };
            if is_refused {
                self.asked.push(key.to_owned());
            }
        }
    }

    /// Whether a key belongs to a feature that is not asked for.
    fn is_off(&self, known: &Unsupported) -> bool {
        known.switch.is_some_and(|switch| switch != known.key && !self.asked.iter().any(|key| key == switch))
    }

    /// Whether another key of its feature is refused already, which says it all.
    fn is_blamed(&self, known: &Unsupported) -> bool {
        let asked = |key: &str| self.asked.iter().any(|asked| asked == key);
        let is_of =
            |key: &&String| unsupported::find(key).is_some_and(|other| other.feature == known.feature);
        let first = match known.switch.filter(|switch| asked(switch)) {
            Some(switch) => Some(switch),
            None => self.asked.iter().find(is_of).map(String::as_str),
        };
        known.is_whole && first.is_some_and(|first| first != known.key)
    }

    fn without_effect(&mut self, key: &str, value: &Raw) {
        // What is for other services is nobody's here.
        let is_secret = ["token", "api_key", "secret", "webhook_url"].iter().any(|end| key.ends_with(end));
        let value = if is_secret { Raw::Null } else { value.clone() };
        self.recipe.without_effect.push((key.to_owned(), value.to_string()));
    }

    fn drop_duplicates(&mut self, entries: &mut Vec<Entry>) {
        let mut seen: HashMap<String, Option<usize>> = HashMap::new();
        entries.retain(|entry| {
            let first = match seen.entry(args::own_key(&entry.key).to_owned()) {
                Place::Occupied(earlier) => earlier.get().unwrap_or_default(),
                Place::Vacant(place) => {
                    place.insert(entry.line);
                    return true;
                }
            };
            self.note(entry.line, || {
                let key = &entry.key;
                let words = sentence! {
                    en: "`{key}` is given twice (first on line {first}); keep one of them",
                    zh: "`{key}` 出现了两次（首次在第 {first} 行），请保留其中一个",
                };
                Problem::of(key, words)
            });
            false
        });
    }

    /// Adds a problem of a line to those that are told, or counts it.
    fn note(&mut self, line: Option<usize>, problem: impl FnOnce() -> Problem) {
        if self.problems.len() < TOLD {
            self.problems.push(problem().at(line));
        } else {
            self.untold += 1;
        }
    }

    /// Takes one key and its value.
    fn take(&mut self, key: &str, value: &Raw, line: Option<usize>) {
        let taken = if let Some(argument) = args::find(key) {
            if let Some(line) = line {
                self.lines.push((argument.key.to_owned(), line));
            }
            read_value(&mut self.recipe, argument, value)
        } else if let Some(accepted) = accepted::find(key) {
            let noted = accepted.check(value);
            if noted.is_ok() {
                self.without_effect(key, value);
            }
            noted
        } else if self.recipe.tokens.take(key, value) {
            Ok(())
        } else if let Some(known) = unsupported::find(key) {
            match known.check(value) {
                Err(_) if self.is_off(&known) => {
                    self.without_effect(key, value);
                    Ok(())
                }
                Err(_) if self.is_blamed(&known) => Ok(()),
                checked => checked,
            }
        } else {
            return self.note(line, || unknown(key, ""));
        };
        if let Err(problem) = taken {
            self.note(line, || problem);
        }
    }

    /// Adds what the recipe lacks as a whole, each at the line of its key. A key that could not be
    /// read is not blamed a second time.
    fn check(&mut self) {
        let blamed: Vec<_> = self.problems.iter().filter_map(|problem| problem.key.clone()).collect();
        for problem in self.recipe.validate() {
            let key = problem.key.clone().unwrap_or_default();
            if !blamed.contains(&key) {
                let line = self.lines.iter().find(|(known, _)| *known == key).map(|(_, line)| *line);
                self.problems.push(problem.at(line));
            }
        }
    }

    /// The recipe of a training run.
    fn checked(mut self) -> Result<Recipe, Vec<Problem>> {
        self.check();
        self.finish()
    }

    fn finish(mut self) -> Result<Recipe, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(self.recipe);
        }
        self.problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        if self.untold > 0 {
            let more = self.untold;
            self.problems.push(Problem::general(sentence! {
                en: "{more} more are not shown; mend these first",
                zh: "另有 {more} 个问题未显示；请先修正以上各项",
            }));
        }
        Err(self.problems)
    }
}

fn same_argument(a: &str, b: &str) -> bool {
    args::own_key(a) == args::own_key(b)
}

/// Reads a value into its field, and holds it against the argument's range.
fn read_value(recipe: &mut Recipe, argument: &Argument, value: &Raw) -> Result<(), Problem> {
    let Some(field) = recipe.field_mut(argument.key) else { return Ok(()) };
    let before = field.show();
    let read = field.read(value);
    let number = field.number();
    let in_range = match (argument.range, number) {
        (Some(range), Some(number)) => range.contains(number),
        _ => true,
    };
    if read.is_ok() && in_range {
        return Ok(());
    }
    // The field keeps a value that is at least valid, so that later checks do not stumble over it.
    let restored = match before.into_text() {
        text if text.is_empty() => Raw::Null,
        text => Raw::Scalar(text),
    };
    let _ = field.read(&restored);
    Err(refusal(argument, value))
}

/// The sentence about a value that an argument does not take.
fn refusal(argument: &Argument, value: &Raw) -> Problem {
    let (key, wanted) = (argument.key, argument.wanted());
    let words = match (argument.kind, value) {
        (_, Raw::Scalar(given)) if argument.refuses(value) => sentence! {
            [wanted]
            en: "`{key}: {given}` is known from LLaMA-Factory but not supported by Chandler yet; give {wanted}",
            zh: "`{key}: {given}` 是 LLaMA-Factory 的取值，Chandler 尚不支持；请给出：{wanted}",
        },
        (_, Raw::Null) => sentence! {
            [wanted]
            en: "`{key}` is empty; give {wanted}, or remove the line",
            zh: "`{key}` 为空；请给出：{wanted}，或删除该行",
        },
        (kind, value) => {
            let meant = match (kind, value) {
                (Kind::Choice(choices), Raw::Scalar(given)) => {
                    offer(given, choices.iter().map(|choice| choice.value))
                }
                _ => Sentence::default(),
            };
            sentence! {
                [wanted, meant]
                en: "`{key}` is {value}; give {wanted}{meant}",
                zh: "`{key}` 的值为 {value}；请给出：{wanted}{meant}",
            }
        }
    };
    Problem::of(key, words)
}
