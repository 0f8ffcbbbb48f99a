//! Rules that score a text from 0 to 1.

use recipe::RuleKind;
use regex::Regex;

use crate::{Error, Result};

/// A rule, ready to be used.
pub(super) struct Rule {
    name: &'static str,
    test: Test,
}

enum Test {
    Regex(Regex),
    /// What of the answer is compared with the data's.
    Exact(Option<Regex>),
    Length(usize, Option<usize>),
}

impl Rule {
    /// # Errors
    /// If a pattern is no regular expression.
    pub(super) fn of(kind: &RuleKind) -> Result<Rule> {
        let test = match kind {
            RuleKind::Regex { pattern } => Test::Regex(compiled(pattern)?),
            RuleKind::ExactMatch { pattern } => Test::Exact(pattern.as_deref().map(compiled).transpose()?),
            RuleKind::Length { min, max } => Test::Length(*min, *max),
            RuleKind::Format { tags } => {
                let sections = tags.iter().map(|tag| format!(r"<{tag}>(?s:.*?)</{tag}>"));
                let sections: Vec<String> = sections.collect();
                Test::Regex(compiled(&format!(r"^\s*{}\s*$", sections.join(r"\s*")))?)
            }
        };
        Ok(Rule { name: kind.name(), test })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The score of an answer of so many tokens, where the data give `known`.
    pub(super) fn score(&self, answer: &str, tokens: usize, known: &str) -> f64 {
        let holds = |holds: bool| f64::from(u8::from(holds));
        match &self.test {
            Test::Regex(pattern) => holds(pattern.is_match(answer)),
            Test::Exact(pattern) => {
                let found = match pattern {
                    None => Some(answer),
                    Some(pattern) => pattern
                        .captures(answer)
                        .and_then(|found| found.get(1).or_else(|| found.get(0)).map(|part| part.as_str())),
                };
                let known = known.trim();
                holds(!known.is_empty() && found.is_some_and(|found| found.trim() == known))
            }
            Test::Length(min, _) if tokens < *min => tokens as f64 / *min as f64,
            Test::Length(_, Some(max)) if tokens > *max => *max as f64 / tokens as f64,
            Test::Length(..) => 1.0,
        }
    }
}

fn compiled(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim().to_owned();
        Error::recipe("reward_rules", format!("`{pattern}` is no regular expression: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(kind: RuleKind, answer: &str, tokens: usize) -> f64 {
        Rule::of(&kind).unwrap().score(answer, tokens, " 42\n")
    }

    #[test]
    fn rules_look_at_what_they_say() {
        let regex = |pattern: &str| RuleKind::Regex { pattern: pattern.to_owned() };
        assert_eq!((score(regex("b+"), "abbc", 1), score(regex("^b"), "abbc", 1)), (1.0, 0.0));
        let exact = |pattern: Option<&str>| RuleKind::ExactMatch { pattern: pattern.map(str::to_owned) };
        assert_eq!((score(exact(None), "42 ", 1), score(exact(None), "it is 42", 1)), (1.0, 0.0));
        assert_eq!(score(exact(Some("is ([0-9]+)")), "it is 42.", 1), 1.0);
        let length = RuleKind::Length { min: 4, max: Some(10) };
        assert_eq!([2, 4, 10, 20].map(|tokens| score(length.clone(), "", tokens)), [0.5, 1.0, 1.0, 0.5]);
        let format = RuleKind::Format { tags: vec!["think".to_owned(), "answer".to_owned()] };
        assert_eq!(score(format.clone(), "<think>a\nb</think>\n<answer>c</answer>\n", 1), 1.0);
        assert_eq!(score(format.clone(), "<think>a</think> so <answer>c</answer>", 1), 0.0);
        assert_eq!(score(format, "<answer>c</answer>", 1), 0.0);
    }

    #[test]
    fn a_broken_pattern_is_quoted() {
        let error = Rule::of(&RuleKind::Regex { pattern: "(a".to_owned() }).err().unwrap().to_string();
        assert!(error.contains("reward_rules: `(a` is no regular expression"), "{error}");
    }
}
