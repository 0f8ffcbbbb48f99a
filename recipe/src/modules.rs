//! Modules of a model by the names that recipes give them.

/// Whether a module is meant by a name, which is the whole of its own or the end behind a dot: `q_proj` means
/// `model.layers.0.self_attn.q_proj`, as in PEFT's `target_modules`.
pub fn module_matches(module: &str, name: &str) -> bool {
    module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ends_behind_a_dot() {
        let module = "model.layers.0.self_attn.q_proj";
        for name in [module, "q_proj", "self_attn.q_proj"] {
            assert!(module_matches(module, name), "{name}");
        }
        for name in ["proj", "model", "attn.q_proj", ".q_proj"] {
            assert!(!module_matches(module, name), "{name}");
        }
    }
}
