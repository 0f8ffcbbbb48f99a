//! Rules that score answers, as a recipe gives them: data, of which nothing is ever run.

use crate::args::Recipe;
use crate::problem::Problem;
use crate::scalar::real_number;
use crate::suggest::offer;

/// A rule, and what its score is multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardRule {
    /// What is looked at.
    pub kind: RuleKind,
    /// The factor on its score.
    pub weight: f64,
}

/// What a rule looks at. Scores are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// 1 if the answer has something in it that this regular expression matches.
    Regex {
        /// The regular expression.
        pattern: String,
    },
    /// 1 if the answer is the one of the data, blanks around it aside.
    ExactMatch {
        /// What of the answer is compared: the first group of this regular expression; unset, all of it.
        pattern: Option<String>,
    },
    /// 1 if the answer has so many tokens; below, the share that it has of `min`, and above, `max` as a share of it.
    Length {
        /// Tokens, at least.
        min: usize,
        /// Tokens, at most; none for any number.
        max: Option<usize>,
    },
    /// 1 if the answer is nothing but these sections in this order: `<think>…</think>`, `<answer>…</answer>`.
    Format {
        /// The sections' names.
        tags: Vec<String>,
    },
}

/// The names of the kinds, and which settings each takes.
const KINDS: &[(&str, &[&str])] = &[
    ("regex", &["pattern"]),
    ("exact_match", &["pattern"]),
    ("length", &["min", "max"]),
    ("format", &["tags"]),
];
const KEY: &str = "reward_rules";

impl RuleKind {
    /// The name in a recipe.
    pub fn name(&self) -> &'static str {
        match self {
            RuleKind::Regex { .. } => "regex",
            RuleKind::ExactMatch { .. } => "exact_match",
            RuleKind::Length { .. } => "length",
            RuleKind::Format { .. } => "format",
        }
    }
}

impl Recipe {
    /// The rules of `reward_rules`.
    ///
    /// # Errors
    /// Names the first rule that is none, what it has, and what is allowed.
    pub fn rules(&self) -> Result<Vec<RewardRule>, Problem> {
        let rules = self.reward_rules.0.iter().enumerate();
        rules.map(|(index, settings)| Rule { number: index + 1, settings }.read()).collect()
    }
}

/// A rule as it was typed, and its place in the list.
struct Rule<'a> {
    number: usize,
    settings: &'a [(String, String)],
}

impl Rule<'_> {
    fn read(&self) -> Result<RewardRule, Problem> {
        let number = self.number;
        let names = KINDS.iter().map(|(name, _)| *name);
        let kind = self.get("type").unwrap_or_default();
        let Some((kind, allowed)) = KINDS.iter().find(|(name, _)| *name == kind) else {
            let meant = offer(kind, names.clone());
            let all = names.collect::<Vec<_>>().join(", ");
            return Err(Problem::of(
                KEY,
                sentence! {
                    [meant]
                    en: "rule {number} of `{KEY}` has the type `{kind}`; allowed are {all}{meant}",
                    zh: "`{KEY}` 第 {number} 条规则的 type 为 `{kind}`；可用 {all}{meant}",
                },
            ));
        };
        let known = |name: &str| ["type", "weight"].contains(&name) || allowed.contains(&name);
        if let Some((name, _)) = self.settings.iter().find(|(name, _)| !known(name)) {
            let all = allowed.join(", ");
            return Err(Problem::of(
                KEY,
                sentence! {
                    en: "rule {number} of `{KEY}` has `{name}`; `{kind}` takes type, weight, {all}",
                    zh: "`{KEY}` 第 {number} 条规则含 `{name}`；`{kind}` 可用 type、weight、{all}",
                },
            ));
        }
        let weight = self.get("weight").map_or(Some(1.0), real_number);
        let weight = weight.ok_or_else(|| self.wrong("weight", "a number"))?;
        Ok(RewardRule { kind: self.kind(kind)?, weight })
    }

    fn kind(&self, kind: &str) -> Result<RuleKind, Problem> {
        let text = |name: &str| self.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(match kind {
            "regex" => RuleKind::Regex {
                pattern: text("pattern").ok_or_else(|| self.wrong("pattern", "a regular expression"))?,
            },
            "exact_match" => RuleKind::ExactMatch { pattern: text("pattern") },
            "length" => {
                let min = self.tokens("min")?.unwrap_or(0);
                let max = self.tokens("max")?;
                if max.is_none() && min == 0 || max.is_some_and(|max| max < min.max(1)) {
                    return Err(self.wrong("max", "a number of tokens of at least 1, and not below `min`"));
                }
                RuleKind::Length { min, max }
            }
            _ => {
                let tags = self.get("tags").unwrap_or_default().split(',').map(|tag| tag.trim().to_owned());
                let tags: Vec<String> = tags.collect();
                let is_name = |tag: &String| {
                    !tag.is_empty() && tag.chars().all(|c| c.is_alphanumeric() || "_-".contains(c))
                };
                if !tags.iter().all(is_name) {
                    return Err(self.wrong("tags", "names with commas between them"));
                }
                RuleKind::Format { tags }
            }
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    fn tokens(&self, name: &str) -> Result<Option<usize>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(name, "a number of tokens"))
    }

    fn wrong(&self, name: &str, wanted: &str) -> Problem {
        let number = self.number;
        let given = self.get(name).map_or_else(|| "nothing".to_owned(), |given| format!("`{given}`"));
        Problem::of(
            KEY,
            sentence! {
                en: "rule {number} of `{KEY}` has {given} as `{name}`; give {wanted}",
                zh: "`{KEY}` 第 {number} 条规则的 `{name}` 为 {given}；应为：{wanted}",
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Vec<RewardRule>, String> {
        let mut recipe = Recipe::default();
        recipe.set(KEY, text).map_err(|problem| problem.to_string())?;
        recipe.rules().map_err(|problem| problem.to_string())
    }

    #[test]
    fn every_kind_is_read() {
        let read = rules(
            r#"[{type: regex, pattern: "^a, b$", weight: -0.5}, {type: exact_match}, {"type": "length", "max": 9},
               {type: format, tags: "think, answer"}]"#,
        );
        let kinds = [
            (RuleKind::Regex { pattern: "^a, b$".to_owned() }, -0.5),
            (RuleKind::ExactMatch { pattern: None }, 1.0),
            (RuleKind::Length { min: 0, max: Some(9) }, 1.0),
            (RuleKind::Format { tags: vec!["think".to_owned(), "answer".to_owned()] }, 1.0),
        ];
        assert_eq!(read, Ok(kinds.into_iter().map(|(kind, weight)| RewardRule { kind, weight }).collect()));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for (text, said) in [
            ("[{type: regx, pattern: a}]", "did you mean `regex`?"),
            ("[{type: exact_match}, {type: regex}]", "rule 2 of `reward_rules` has nothing as `pattern`"),
            ("[{type: length, max: 9, most: 3}]", "has `most`; `length` takes type, weight, min, max"),
            ("[{type: length}]", "has nothing as `max`"),
            ("[{type: length, max: -3}]", "has `-3` as `max`"),
            ("[{type: format, tags: 'a b'}]", "has `a b` as `tags`"),
            ("[{type: regex, pattern: a, weight: much}]", "has `much` as `weight`"),
            ("length", "rules"),
        ] {
            let found = rules(text).unwrap_err();
            assert!(found.contains(said), "{text}: {found}");
        }
    }
}
