//! `key=value` arguments.

/// Parts one argument; `--key=value` is LLaMA-Factory's other way to write it.
pub fn parse(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("`{argument}` is not of the form key=value")),
    }
}
