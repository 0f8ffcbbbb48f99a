//! From a [`Recipe`] to YAML, in the order of the table.

use crate::args::{Argument, Group, Recipe, Shown, Tier, arguments, real_number};
use crate::reader::NESTED;

impl Recipe {
    /// Writes what differs from the defaults, and the essentials, under a heading for each group.
    ///
    /// What is written reads back as the same recipe, but for tokens, which are kept out of what people see.
    pub fn to_yaml(&self) -> String {
        let defaults = Recipe::default();
        let mut yaml = String::new();
        let mut heading = "";
        for argument in arguments() {
            let Some(value) = self.written(argument, &defaults) else { continue };
            let group = heading_of(argument.group);
            if group != heading {
                let gap = if yaml.is_empty() { "" } else { "\n" };
                yaml += &format!("{gap}### {group}\n");
                heading = group;
            }
            yaml += &format!("{}: {value}\n", argument.key);
        }
        self.write_without_effect(&mut yaml);
        yaml
    }

    /// The value as YAML; nothing if it goes without saying.
    fn written(&self, argument: &Argument, defaults: &Recipe) -> Option<String> {
        let value = self.field(argument.key)?.show();
        let is_default = value == defaults.field(argument.key)?.show();
        let essential = argument.tier == Tier::Essential && value != Shown::Nothing;
        (essential || !is_default).then(|| yaml_value(&value))
    }

    fn write_without_effect(&self, yaml: &mut String) {
        // Nested values were not kept, and would have no effect either.
        let kept: Vec<_> = self.without_effect.iter().filter(|(_, value)| value != NESTED).collect();
        if kept.is_empty() {
            return;
        }
        *yaml += "\n### no effect here\n";
        for (key, value) in kept {
            let as_typed = value.starts_with('[') || value == "null" || !is_misread(value);
            *yaml += &format!("{key}: {}\n", if as_typed { value.clone() } else { quoted(value) });
        }
    }
}

/// LLaMA-Factory's files keep LoRA's arguments under the method.
fn heading_of(group: Group) -> &'static str {
    if group == Group::Lora { Group::Method.name() } else { group.name() }
}

fn yaml_value(value: &Shown) -> String {
    match value {
        Shown::Nothing => "null".to_owned(),
        Shown::Plain(text) => text.clone(),
        Shown::Text(text) => yaml_text(text),
        Shown::List(items) if items.iter().any(|item| item.contains(',')) => {
            // A comma in a name must not part it.
            let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Shown::List(items) => yaml_text(&items.join(",")),
    }
}

/// Text as a YAML scalar, in quotes where it needs them.
pub(crate) fn yaml_text(text: &str) -> String {
    if is_misread(text) || is_other_type(text) { quoted(text) } else { text.to_owned() }
}

/// Whether a plain scalar with this text would end early or be no scalar.
fn is_misread(text: &str) -> bool {
    text.is_empty()
        || text.trim() != text
        || text.starts_with(|c| "-?:,[]{}#&*!|>'\"%@`=<".contains(c))
        || text.ends_with(':')
        || text.contains(": ")
        || text.contains(" #")
        || text.contains(char::is_control)
}

/// Whether YAML 1.1 or 1.2 would read the text as a number, truth value, date or null.
fn is_other_type(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let reserved =
        ["null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "+.inf"];
    let numeric = |c: char| c.is_ascii_hexdigit() || "_.:+-xo".contains(c);
    reserved.contains(&word.as_str())
        || real_number(text).is_some()
        || (word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(numeric))
}

/// Single quotes, or double ones with escapes where there are control characters.
fn quoted(text: &str) -> String {
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut escaped = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped += "\\n",
            '\t' => escaped += "\\t",
            '\r' => escaped += "\\r",
            c if c.is_control() => escaped += &format!("\\u{:04X}", c as u32),
            c => escaped.push(c),
        }
    }
    escaped.push('"');
    escaped
}
