//! Under which names a checkpoint stores the tensors of a model.

/// A family's names begin with the base model's, `model.` or `transformer.` mostly. A checkpoint of the base
/// model alone leaves that out (GPT-2 and BLOOM were published so), and one of a model that also sees images has
/// the family's model nested as its part for text.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    base: String,
    /// What stands for `base` in the checkpoint, and before all other names.
    stored: String,
    others: &'static str,
}

impl Names {
    /// Finds out how a checkpoint calls its tensors: by the token table, whose module the family calls `table`.
    pub(super) fn find(table: &str, has: impl Fn(&str) -> bool) -> Names {
        let base = table.split_once('.').map_or(String::new(), |(base, _)| format!("{base}."));
        let layout = |stored: String, others| Names { base: base.clone(), stored, others };
        let usual = layout(base.clone(), "");
        let others = [
            layout(String::new(), ""),
            layout(format!("language_model.{base}"), "language_model."),
            layout(format!("{base}language_model."), ""),
        ];
        let weight = format!("{table}.weight");
        if has(&weight) {
            return usual;
        }
        others.into_iter().find(|names| has(&names.of(&weight))).unwrap_or(usual)
    }

    /// A tensor's name in the checkpoint.
    pub(super) fn of(&self, name: &str) -> String {
        match name.strip_prefix(&self.base) {
            Some(rest) => format!("{}{rest}", self.stored),
            None => format!("{}{name}", self.others),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_of_the_base_model_or_of_a_larger_one_is_understood() {
        for (stored, head) in [
            ("model.embed_tokens.weight", "lm_head.weight"),
            ("embed_tokens.weight", "lm_head.weight"),
            ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"),
            ("model.language_model.embed_tokens.weight", "lm_head.weight"),
        ] {
            let names = Names::find("model.embed_tokens", |name| name == stored);
            assert_eq!(names.of("model.embed_tokens.weight"), stored);
            assert_eq!(names.of("lm_head.weight"), head);
        }
        let none = Names::find("transformer.wte", |_| false);
        assert_eq!(none.of("transformer.wte.weight"), "transformer.wte.weight");
        assert_eq!(Names::default().of("any.name"), "any.name");
    }
}
