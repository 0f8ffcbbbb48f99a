//! From a [`Recipe`] to YAML, in the order of the table.

use crate::args::{Argument, Group, Recipe, Shown, Tier, arguments};
use crate::raw::NESTED;
use crate::scalar::{is_misread, quoted, yaml_text};

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
