//! A recipe from a command line: `[RECIPE] [KEY=VALUE]… [--key value]…`, in any order.
//!
//! Flags mean what they mean to `HfArgumentParser` of transformers, which LLaMA-Factory reads its command line with: a
//! truth value may stand alone or with a value, `--no_key` is false, dashes are as good as underscores, and the
//! beginning of a name will do where it is the only one. `KEY=VALUE` means what it means to OmegaConf: the value is
//! YAML. The last of two wins, and both win over the recipe.

use super::unknown::unknown;
use super::{Reading, same_argument, typed, yaml};
use crate::args::{self, Argument, Kind, Recipe, accepted, tokens, unsupported};
use crate::problem::Problem;
use crate::raw::Raw;
use crate::scalar::real_number;
use crate::text::Sentence;

/// Standard input, where a recipe's path is expected.
const STDIN: &str = "-";

/// Short names that Chandler's own commands have for flags.
const SHORT: &[(&str, &str)] =
    &[("model", "model_name_or_path"), (ADAPTER, "adapter_name_or_path"), ("system", "default_system")];

/// What flags start with, and what word processors make of it.
const DASHES: [char; 3] = ['-', '–', '—'];

/// Names that a flag may be short for, as far as an error lists them.
const SHOWN: usize = 8;

/// Adds to the adapters instead of naming all of them.
const ADAPTER: &str = "adapter";

/// What was typed after a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Path of the recipe, or `-` for standard input; none if the rest says it all.
    pub recipe: Option<String>,
    given: Vec<Given>,
}

/// One argument, and the words that give it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    key: String,
    value: Raw,
    words: Vec<String>,
}

impl CommandLine {
    /// Reads the words after the command's name.
    ///
    /// # Errors
    /// Every flag that nobody knows or that lacks its value, and every word that is neither flag, pair nor recipe.
    pub fn parse(words: &[String]) -> Result<CommandLine, Vec<Problem>> {
        let mut line = CommandLine::default();
        let mut problems = Vec::new();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = after;
            if let Some((name, inline)) = flag(word) {
                match Flag::named(name) {
                    Ok(flag) => match flag.value(inline, after) {
                        Ok((value, taken)) => {
                            let (key, words) = (flag.key, &words[words.len() - after.len() - 1..][..=taken]);
                            line.give(flag.adds, Given { key, value, words: words.to_vec() });
                            rest = &after[taken..];
                        }
                        Err(problem) => problems.push(problem),
                    },
                    Err(problem) => {
                        problems.push(problem);
                        // What follows is most likely its value, and no recipe.
                        let values = after.iter().take_while(|word| inline.is_none() && is_value(word));
                        rest = &after[values.take(1).count()..];
                    }
                }
            } else if let Some((key, value)) = pair(word) {
                let (key, value) = (key.to_owned(), yaml::value(value));
                line.give(false, Given { key, value, words: vec![word.clone()] });
            } else if line.recipe.is_none() && (word == STDIN || !word.starts_with(DASHES)) {
                line.recipe = Some(word.clone());
            } else {
                problems.push(stray(word, line.recipe.as_deref()));
            }
        }
        if problems.is_empty() { Ok(line) } else { Err(problems) }
    }

    /// Whether the recipe comes through the standard input.
    pub fn reads_stdin(&self) -> bool {
        self.recipe.as_deref() == Some(STDIN)
    }

    /// Whether an argument is given here, not in the recipe.
    pub fn gives(&self, key: &str) -> bool {
        self.given.iter().any(|given| same_argument(&given.key, key))
    }

    /// The recipe of a training run; `text` is what stands in the recipe that is named.
    ///
    /// # Errors
    /// As for [`Recipe::from_yaml`].
    pub fn to_run(&self, text: &str) -> Result<Recipe, Vec<Problem>> {
        self.reading(text)?.checked()
    }

    /// The recipe without what only a training run needs.
    ///
    /// # Errors
    /// As for [`Recipe::parse_yaml`].
    pub fn to_recipe(&self, text: &str) -> Result<Recipe, Vec<Problem>> {
        self.reading(text)?.finish()
    }

    fn reading(&self, text: &str) -> Result<Reading, Vec<Problem>> {
        Reading::of(text, self.given.iter().map(|given| (given.key.clone(), given.value.clone())))
    }

    /// A problem of a recipe, led by where it was made: the file, or the words of the command line.
    pub fn place(&self, problem: &Problem) -> String {
        let key = problem.key.as_deref().unwrap_or_default();
        let given = self.given.iter().rev().find(|given| same_argument(&given.key, key));
        match (given, &self.recipe) {
            (Some(given), _) if problem.line.is_none() => format!("{}: {problem}", given.words.join(" ")),
            (_, Some(_)) if self.reads_stdin() => format!("standard input: {problem}"),
            (_, Some(path)) => format!("{path}: {problem}"),
            (_, None) => problem.to_string(),
        }
    }

    /// The words again, without those that give an argument. Tokens are not shown.
    pub fn words_without(&self, key: Option<&str>) -> Vec<String> {
        let kept = self.given.iter().filter(|given| key.is_none_or(|key| !same_argument(&given.key, key)));
        let words = kept.flat_map(|given| {
            if tokens::is_token(&given.key) {
                vec![format!("{}=TOKEN", given.key)]
            } else {
                given.words.clone()
            }
        });
        self.recipe.iter().cloned().chain(words).collect()
    }

    /// Takes an argument in place of what was said of it before, or in addition to it.
    fn give(&mut self, adds: bool, mut given: Given) {
        let before = self.given.iter().position(|before| same_argument(&before.key, &given.key));
        if let Some(before) = before.map(|index| self.given.remove(index))
            && adds
        {
            given.value = Raw::List([before.value, given.value].into_iter().flat_map(names).collect());
            given.words.splice(0..0, before.words);
        }
        self.given.push(given);
    }
}

/// A flag that is known.
struct Flag {
    key: String,
    /// As an error shows it.
    name: String,
    argument: Option<&'static Argument>,
    /// It stands for false and takes no value.
    negated: bool,
    adds: bool,
}

/// What a flag takes of the words that follow.
enum Takes {
    /// A truth value or nothing.
    Perhaps,
    /// A value or nothing: of a key without a use here it is not known which.
    Something,
    One,
    Several,
}

impl Flag {
    /// The flag of a name, which may be its beginning; what stands behind `--`.
    fn named(typed: &str) -> Result<Flag, Problem> {
        let name = typed.replace('-', "_");
        let flag = |key: &str, negated| Flag {
            key: key.to_owned(),
            name: format!("--{name}"),
            argument: args::find(key),
            negated,
            adds: name == ADAPTER,
        };
        if let Some((_, key)) = SHORT.iter().find(|(short, _)| *short == name) {
            return Ok(flag(key, false));
        }
        if known(&name) {
            return Ok(flag(&name, false));
        }
        let is_other = |key: &str| known(key) && !tokens::is_token(key);
        let may_be_negated =
            |key: &&str| args::find(key).map_or(is_other(key), |argument| argument.kind == Kind::Bool);
        if let Some(key) = name.strip_prefix("no_").filter(may_be_negated) {
            return Ok(flag(key, true));
        }
        let longer: Vec<&str> = flags().filter(|known| known.starts_with(&name)).collect();
        match longer.as_slice() {
            [] => Err(unknown(&name, "--")),
            [only] => Ok(flag(only, false)),
            several => {
                let shown = several.iter().take(SHOWN).map(|name| format!("--{name}"));
                let more = several.get(SHOWN).map(|_| "…".to_owned());
                let names = shown.chain(more).collect::<Vec<_>>().join(", ");
                let words = sentence! {
                    en: "`--{name}` is short for several: {names}; write one of them out",
                    zh: "`--{name}` 是多个参数的缩写：{names}；请写出全名",
                };
                Err(Problem::of(&name, words))
            }
        }
    }

    fn takes(&self) -> Takes {
        let truth = |known: unsupported::Unsupported| matches!(known.default, Some("true" | "false"));
        match self.argument.map(|argument| argument.kind) {
            Some(Kind::Bool) => Takes::Perhaps,
            Some(Kind::List) => Takes::Several,
            Some(_) => Takes::One,
            None if tokens::is_token(&self.key) => Takes::One,
            None if unsupported::find(&self.key).is_some_and(truth) => Takes::Perhaps,
            None => Takes::Something,
        }
    }

    /// Its value, and how many of the words that follow belong to it.
    fn value(&self, inline: Option<&str>, after: &[String]) -> Result<(Raw, usize), Problem> {
        if self.negated {
            let Some(value) = inline else { return Ok((Raw::Scalar("false".to_owned()), 0)) };
            let (name, key) = (&self.name, &self.key);
            return Err(Problem::of(
                key,
                sentence! {
                    en: "`{name}` takes no value, but has `{value}`; write `--{key} {value}`",
                    zh: "`{name}` 不带取值，却给出了 `{value}`；请写 `--{key} {value}`",
                },
            ));
        }
        if let Some(value) = inline {
            return Ok((self.read(&[value.to_owned()]), 0));
        }
        let follows = after.iter().take_while(|word| is_value(word));
        let ends = |word: &str| pair(word).is_some() || is_recipe(word);
        let taken = match self.takes() {
            Takes::Perhaps => follows.take(1).filter(|word| !ends(word)).count(),
            // Files with settings of foreign tools, such as DeepSpeed's, end in .json as recipes may.
            Takes::Something => follows.take(1).filter(|word| word.ends_with(".json") || !ends(word)).count(),
            Takes::One => follows.take(1).count(),
            // The first is a name whatever it looks like.
            Takes::Several => {
                follows.enumerate().take_while(|(place, word)| *place == 0 || !ends(word)).count()
            }
        };
        if taken > 0 {
            return Ok((self.read(&after[..taken]), taken));
        }
        match self.argument {
            Some(argument) if argument.kind != Kind::Bool => Err(self.lacking(argument.wanted())),
            _ if tokens::is_token(&self.key) => {
                Err(self.lacking(words! { en: "a token", zh: "令牌" }.into()))
            }
            _ => Ok((Raw::Scalar("true".to_owned()), 0)),
        }
    }

    /// The value of at least one word. Texts are taken as they stand, unlike in YAML.
    fn read(&self, words: &[String]) -> Raw {
        let is_list = self.argument.is_some_and(|argument| argument.kind == Kind::List);
        match words {
            [word] if is_list && word.starts_with('[') => yaml::value(word),
            [word] => typed(&self.key, word),
            several => Raw::List(several.iter().flat_map(|word| names(Raw::Scalar(word.clone()))).collect()),
        }
    }

    /// The problem of a flag without the value that is wanted.
    fn lacking(&self, wanted: Sentence) -> Problem {
        let name = &self.name;
        let words = sentence! {
            [wanted]
            en: "`{name}` lacks its value; give {wanted}",
            zh: "`{name}` 缺少取值；请给出：{wanted}",
        };
        Problem::of(&self.key, words)
    }
}

/// Every name that a flag may have, apart from short ones.
fn flags() -> impl Iterator<Item = &'static str> {
    let arguments = args::arguments().iter();
    let named = arguments.flat_map(|argument| argument.synonyms.iter().copied().chain([argument.key]));
    let others =
        accepted::all().map(|accepted| accepted.key).chain(unsupported::all().map(|known| known.key));
    named.chain(others).chain(tokens::keys())
}

fn known(name: &str) -> bool {
    flags().any(|known| known == name)
}

/// Names of a list with commas, each by itself.
fn names(value: Raw) -> Vec<String> {
    match value {
        Raw::List(names) => names,
        Raw::Scalar(text) => text.split(',').map(str::to_owned).collect(),
        Raw::Null | Raw::Mapping(_) | Raw::Mappings(_) | Raw::Nested => Vec::new(),
    }
}

/// Name and value of a word that is a flag: `--name`, `--name=value`.
fn flag(word: &str) -> Option<(&str, Option<&str>)> {
    let rest = word.strip_prefix("--")?;
    let (name, value) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
    is_name(name).then_some((name, value))
}

/// Key and value of a word that is a pair: `key=value`.
fn pair(word: &str) -> Option<(&str, &str)> {
    word.split_once('=').filter(|(key, _)| is_name(key))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// Whether a word behind a flag can be its value. Numbers below 0 are values, and so are texts with blanks.
fn is_value(word: &str) -> bool {
    let dashed = word.starts_with('-') && word.len() > 1 && !word.contains(' ');
    !dashed || real_number(word).is_some()
}

/// Whether a word looks like a recipe's path.
fn is_recipe(word: &str) -> bool {
    word == STDIN || [".yaml", ".yml", ".json"].iter().any(|end| word.ends_with(end))
}

fn stray(word: &str, recipe: Option<&str>) -> Problem {
    Problem::general(match recipe {
        Some(recipe) if !word.starts_with(DASHES) => sentence! {
            en: "`{word}` stands alone, and the recipe is `{recipe}` already; write KEY=VALUE or --key value",
            zh: "`{word}` 单独出现，而配方已是 `{recipe}`；请写 KEY=VALUE 或 --key value",
        },
        _ => sentence! {
            en: "`{word}` is no flag; write KEY=VALUE or --key value",
            zh: "`{word}` 不是参数；请写 KEY=VALUE 或 --key value",
        },
    })
}
