//! How much longer a pipeline makes a text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokenizers::utils::SysRegex;

use crate::tokenizer::sentencepiece::check_charsmap;

/// How many times as long as a text what becomes of it may be.
pub(super) const GROWTH: f64 = 1024.0;

/// How much longer the steps of a normalizer or decoder make a text, at most.
#[derive(Default)]
pub(super) struct Growth {
    /// What replacements wrote so far, and how many times as long as what was there.
    written: Vec<(String, f64)>,
    /// Steps that change characters in other ways: what they make of a replacement is not known.
    others: f64,
    most: f64,
}

impl Growth {
    /// # Errors
    /// If a map of characters cannot be read.
    pub(super) fn of(part: &Value) -> Result<f64, String> {
        let mut growth = Growth { others: 1.0, most: 1.0, ..Growth::default() };
        growth.take(part)?;
        Ok(growth.most)
    }

    fn take(&mut self, part: &Value) -> Result<(), String> {
        for key in ["normalizers", "decoders"] {
            for part in part.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.take(part)?;
            }
        }
        match part.get("type").and_then(Value::as_str) {
            Some("Replace") => self.replace(part),
            Some("Precompiled") => {
                let map = part.get("precompiled_charsmap").and_then(Value::as_str).unwrap_or_default();
                let bytes = BASE64_STANDARD.decode(map);
                let bytes = bytes.map_err(|e| format!("has a map of characters that is no Base64: {e}"))?;
                let longest = check_charsmap(&bytes).map_err(|why| format!("is broken: {why}"))?;
                self.other(longest.max(1) as f64);
            }
            // A character becomes eighteen at most (U+FDFA), but seldom more than three.
            Some("NFKC" | "NFKD") => self.other(3.0),
            Some("NFC" | "NFD" | "Lowercase" | "BertNormalizer" | "Nmt" | "StripAccents") => self.other(1.0),
            Some("ByteLevel") => self.other(2.0),
            _ => {}
        }
        Ok(())
    }

    fn other(&mut self, growth: f64) {
        self.most *= growth;
        self.others = self.most;
        self.written.clear();
    }

    fn replace(&mut self, part: &Value) {
        let content = part.get("content").and_then(Value::as_str).unwrap_or_default();
        let pattern = part.get("pattern").unwrap_or(&Value::Null);
        let text = pattern.get("String").and_then(Value::as_str);
        let regex = pattern.get("Regex").and_then(Value::as_str).and_then(|regex| SysRegex::new(regex).ok());
        let matches = |text: &str| regex.as_ref().map(|regex| regex.find_iter(text).collect::<Vec<_>>());
        // Whatever a replacement writes may be replaced again, alone or beside what it wrote before.
        let meets = |written: &str| {
            let twice = written.repeat(2);
            text.is_some_and(|text| twice.contains(text))
                || matches(&twice).is_some_and(|found| !found.is_empty())
        };
        let before = self.written.iter().filter(|(written, _)| meets(written)).map(|(_, growth)| *growth);
        let before = before.fold(self.others, f64::max);
        let shortest = text.map_or(1, |text| text.len().max(1));
        let growth = before * (content.len() as f64 / shortest as f64).max(1.0);
        self.most = self.most.max(growth);
        // Short texts are compared; a long one is more than is allowed by itself.
        if growth <= GROWTH {
            self.written.push((content.to_owned(), growth));
        }
    }
}
