//! Typed access to a `config.json`, with errors that name file and key.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Error, Result, files};

/// The largest number of anything in a model: products of two still are numbers.
pub(crate) const LARGEST: u64 = 1 << 30;

/// A model's configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The config.json, or the file whose metadata stand for one.
    pub path: PathBuf,
    /// Its keys and values.
    pub values: Map<String, Value>,
}

impl Config {
    /// Reads a JSON object from a file.
    ///
    /// # Errors
    /// With the file, if it is not there, is too large, or holds something else.
    pub fn read(path: &Path) -> Result<Config> {
        let text = files::read_text(path, files::SETTINGS).map_err(|error| Error::io(path, error))?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Error::file(path, format!("is not valid JSON: {error}")))?;
        match value {
            Value::Object(values) => Ok(Config { path: path.to_owned(), values }),
            _ => Err(Error::file(path, "must hold a JSON object")),
        }
    }

    /// The same with values for keys that are absent: what the family's class in transformers takes them to
    /// be. A null stays one.
    pub fn with_defaults(&self, defaults: Value) -> Config {
        let mut config = self.clone();
        for (key, value) in defaults.as_object().into_iter().flatten() {
            config.values.entry(key.clone()).or_insert_with(|| value.clone());
        }
        config
    }

    /// What is wrong with a key.
    pub fn error(&self, key: &str, message: impl std::fmt::Display) -> Error {
        Error::file(&self.path, format!("`{key}` {message}"))
    }

    /// A key's value; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn required(&self, key: &str) -> Result<&Value> {
        self.get(key).ok_or_else(|| self.error(key, "is missing"))
    }

    /// A text.
    ///
    /// # Errors
    /// With file and key, if there is none or it is no text.
    pub fn text(&self, key: &str) -> Result<&str> {
        let value = self.required(key)?;
        value.as_str().ok_or_else(|| self.error(key, format!("must be a text, found {value}")))
    }

    /// A positive whole number.
    ///
    /// # Errors
    /// With file and key, if there is none or it is no size that can be.
    pub fn size(&self, key: &str) -> Result<usize> {
        let value = self.required(key)?;
        let size = value.as_u64().filter(|size| (1..=LARGEST).contains(size));
        let wanted = || format!("must be a positive whole number, at most {LARGEST}, found {value}");
        size.map(|size| size as usize).ok_or_else(|| self.error(key, wanted()))
    }

    /// The same with a value for a key that is absent.
    ///
    /// # Errors
    /// As of [`Config::size`], where there is one.
    pub fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_some() { self.size(key) } else { Ok(default) }
    }

    /// A number.
    ///
    /// # Errors
    /// With file and key, if there is none or it is no number.
    pub fn number(&self, key: &str) -> Result<f64> {
        let value = self.required(key)?;
        value.as_f64().ok_or_else(|| self.error(key, format!("must be a number, found {value}")))
    }

    /// The same with a value for a key that is absent.
    ///
    /// # Errors
    /// As of [`Config::number`], where there is one.
    pub fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        if self.get(key).is_some() { self.number(key) } else { Ok(default) }
    }

    /// A list of texts, if present.
    ///
    /// # Errors
    /// With file and key, if it is something else.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let texts: Option<Vec<&str>> =
            value.as_array().and_then(|list| list.iter().map(|item| item.as_str()).collect());
        texts.map(Some).ok_or_else(|| self.error(key, format!("must be a list of texts, found {value}")))
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// With file and key, if there is none or it is something else.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>> {
        let value = self.required(key)?;
        let numbers: Option<Vec<f64>> =
            value.as_array().and_then(|list| list.iter().map(|item| item.as_f64()).collect());
        numbers.ok_or_else(|| self.error(key, format!("must be a list of numbers, found {value}")))
    }

    /// True or false, with a value for a key that is absent.
    ///
    /// # Errors
    /// With file and key, if it is neither true nor false.
    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.error(key, format!("must be true or false, found {value}"))),
            None => Ok(default),
        }
    }

    /// A nested object, if present.
    ///
    /// # Errors
    /// With file and key, if it is something else.
    pub fn object(&self, key: &str) -> Result<Option<Config>> {
        match self.get(key) {
            Some(Value::Object(values)) => {
                Ok(Some(Config { path: self.path.clone(), values: values.clone() }))
            }
            Some(value) => Err(self.error(key, format!("must be an object, found {value}"))),
            None => Ok(None),
        }
    }
}
