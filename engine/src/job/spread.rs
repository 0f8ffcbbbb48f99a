//! What a file for many devices says of a run (`deepspeed`, `fsdp_config`): nothing is spread here, but what it says twice
//! must be the same.

use std::path::Path;

use recipe::Recipe;
use serde_json::Value;

use crate::text::files;
use crate::{Error, Result};

/// Reads the files that are here; one that is not would change nothing.
///
/// # Errors
/// A file that is no JSON object, or that gives a number otherwise than the recipe does.
pub fn check(recipe: &Recipe) -> Result<()> {
    for key in ["deepspeed", "fsdp_config"] {
        let given = recipe.without_effect.iter().find(|(known, _)| known == key);
        let Some(path) = given.map(|(_, value)| Path::new(value)).filter(|path| path.is_file()) else {
            continue;
        };
        let bytes = files::read(path, files::SETTINGS).map_err(|error| Error::io(path, error))?;
        let config: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::file(path, format!("is no JSON: {error}")))?;
        if !config.is_object() {
            return Err(Error::file(path, "must hold a JSON object"));
        }
        agree(recipe, path, &config)?;
    }
    Ok(())
}

/// Transformers, too, refuses a DeepSpeed configuration whose numbers are not those of the training arguments; `auto` takes
/// them over.
fn agree(recipe: &Recipe, path: &Path, config: &Value) -> Result<()> {
    let numbers = [
        (
            "/train_micro_batch_size_per_gpu",
            "per_device_train_batch_size",
            recipe.per_device_train_batch_size as f64,
        ),
        (
            "/gradient_accumulation_steps",
            "gradient_accumulation_steps",
            recipe.gradient_accumulation_steps as f64,
        ),
        ("/gradient_clipping", "max_grad_norm", recipe.max_grad_norm),
        ("/optimizer/params/lr", "learning_rate", recipe.learning_rate),
    ];
    for (place, key, own) in numbers {
        let Some(given) = config.pointer(place).and_then(Value::as_f64) else { continue };
        if (given - own).abs() > 1e-9 * own.abs() {
            let message = format!(
                "is {own} in the recipe, but {given} in {} (`{}`); give the same in both, or `auto` in the file",
                path.display(),
                place.trim_start_matches('/').replace('/', ".")
            );
            return Err(Error::recipe(key, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ds.json");
        let recipe = |path: &Path| Recipe {
            without_effect: vec![("deepspeed".to_owned(), path.display().to_string())],
            per_device_train_batch_size: 2,
            ..Recipe::default()
        };
        assert!(check(&recipe(&path)).is_ok(), "a file that is not here is nobody's");
        for (text, said) in [
            (r#"{"train_micro_batch_size_per_gpu": "auto", "zero_optimization": {"stage": 3}}"#, None),
            (r#"{"train_micro_batch_size_per_gpu": 2, "gradient_clipping": 1.0}"#, None),
            (
                r#"{"train_micro_batch_size_per_gpu": 4}"#,
                Some("per_device_train_batch_size: is 2 in the recipe, but 4"),
            ),
            (r#"{"optimizer": {"params": {"lr": 0.5}}}"#, Some("optimizer.params.lr")),
            ("zero3", Some("is no JSON")),
            ("[3]", Some("must hold a JSON object")),
        ] {
            std::fs::write(&path, text).unwrap();
            let problem = check(&recipe(&path)).err().map(|error| error.to_string());
            match said {
                Some(said) => assert!(problem.is_some_and(|problem| problem.contains(said)), "{text}"),
                None => assert_eq!(problem, None, "{text}"),
            }
        }
    }
}
