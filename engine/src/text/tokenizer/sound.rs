//! Whether a `tokenizer.json` may be handed to the library that runs it. Tokenizers come with models, which anybody may
//! have made, and the library trusts them: a size that is not there ends the process, a few lines make a text larger
//! than the memory.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokenizers::AddedToken;
use tokenizers::utils::SysRegex;

use super::sentencepiece::check_charsmap;

/// How deep the parts of a pipeline may be inside of each other.
const DEEPEST: usize = 32;
/// How many times as long as a text what becomes of it may be.
const GROWTH: f64 = 1024.0;
/// The highest id that a token may have; tables of models have some hundred thousand rows.
const HIGHEST_ID: u64 = 10_000_000;
/// Bytes of the longest piece of a Unigram vocabulary: every place of a text is compared with it.
const LONGEST_PIECE: usize = 1024;

/// Bytes of the longest added token, and of what is put before a text.
const LONGEST_TOKEN: usize = 4096;
/// Pieces of a template around a text.
const PIECES: usize = 1000;

/// What of the file is looked at.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(borrow)]
    model: Option<Model<'a>>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow, default)]
    vocab: Vocabulary<'a>,
}

/// What is wrong with the vocabulary, if it is known how it is written.
#[derive(Default)]
struct Vocabulary<'a> {
    is_known: bool,
    count: usize,
    /// A token whose id is too high.
    high: Option<(Cow<'a, str>, u64)>,
    long: Option<usize>,
}

/// # Errors
/// What is wrong with it, to follow the file's name.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    // What cannot be read so is refused by the library, in its words.
    let Ok(written) = serde_json::from_slice::<Written<'_>>(bytes) else { return Ok(()) };
    for (name, part) in [
        ("normalizer", &written.normalizer),
        ("pre_tokenizer", &written.pre_tokenizer),
        ("post_processor", &written.post_processor),
        ("decoder", &written.decoder),
    ] {
        if !is_shallow(part, DEEPEST) {
            return Err(format!("its {name} has parts inside of each other more than {DEEPEST} levels deep"));
        }
        check_lengths(part).map_err(|why| format!("its {name} {why}"))?;
    }
    for (name, part) in [("normalizer", &written.normalizer), ("decoder", &written.decoder)] {
        let growth = Growth::of(part).map_err(|why| format!("its {name} {why}"))?;
        if growth > GROWTH {
            return Err(format!(
                "its {name} may make a text {growth:.0} times as long; at most {GROWTH} times is allowed"
            ));
        }
    }
    written.model.map_or(Ok(()), |model| model.vocab.check())
}

/// # Errors
/// If a post-processor puts in a token or an id that the vocabulary lacks.
pub(super) fn check_post_processor(tokenizer: &tokenizers::Tokenizer) -> Result<(), String> {
    let written = serde_json::to_value(tokenizer.get_post_processor()).unwrap_or_default();
    let unknown = |named: &Value| match (named.as_str(), named.as_u64()) {
        (Some(token), _) => tokenizer.token_to_id(token).is_none(),
        (_, Some(id)) => u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id)).is_none(),
        _ => false,
    };
    match put_in(&written).into_iter().find(unknown) {
        Some(named) => Err(format!("its post_processor puts in {named}, which its vocabulary does not have")),
        None => Ok(()),
    }
}

/// The tokens and ids that post-processors put in: those of a template, and those around a text.
fn put_in(part: &Value) -> Vec<Value> {
    let list = |part: &Value, key: &str| part.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found: Vec<Value> = list(part, "processors").iter().flat_map(put_in).collect();
    for (_, token) in part.get("special_tokens").and_then(Value::as_object).into_iter().flatten() {
        found.extend(list(token, "tokens").into_iter().chain(list(token, "ids")));
    }
    found.extend(["sep", "cls"].into_iter().flat_map(|key| list(part, key)));
    found
}

/// # Errors
/// If an added token is longer than any should be.
pub(super) fn check_tokens<'a>(tokens: impl IntoIterator<Item = &'a AddedToken>) -> Result<(), String> {
    match tokens.into_iter().find(|token| token.content.len() > LONGEST_TOKEN) {
        Some(token) => Err(format!(
            "an added token has {} bytes; at most {LONGEST_TOKEN} are allowed",
            token.content.len()
        )),
        None => Ok(()),
    }
}

/// Refuses what would be put around or before every text again and again.
fn check_lengths(part: &Value) -> Result<(), String> {
    if let Some(prefix) =
        part.get("prepend").and_then(Value::as_str).filter(|text| text.len() > LONGEST_TOKEN)
    {
        return Err(format!(
            "puts {} bytes before a text; at most {LONGEST_TOKEN} are allowed",
            prefix.len()
        ));
    }
    for key in ["single", "pair"] {
        let pieces = part.get(key).and_then(Value::as_array).map_or(0, Vec::len);
        if pieces > PIECES {
            return Err(format!("makes a text of {pieces} pieces; at most {PIECES} are allowed"));
        }
    }
    match part {
        Value::Array(parts) => parts.iter().try_for_each(check_lengths),
        Value::Object(parts) => parts.values().try_for_each(check_lengths),
        _ => Ok(()),
    }
}

fn is_shallow(part: &Value, levels: usize) -> bool {
    match part {
        Value::Array(parts) => levels > 0 && parts.iter().all(|part| is_shallow(part, levels - 1)),
        Value::Object(parts) => levels > 0 && parts.values().all(|part| is_shallow(part, levels - 1)),
        _ => true,
    }
}

/// How much longer the steps of a normalizer or decoder make a text, at most.
#[derive(Default)]
struct Growth {
    /// What replacements wrote so far, and how many times as long as what was there.
    written: Vec<(String, f64)>,
    /// Steps that change characters in other ways: what they make of a replacement is not known.
    others: f64,
    most: f64,
}

impl Growth {
    fn of(part: &Value) -> Result<f64, String> {
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

impl Vocabulary<'_> {
    fn check(self) -> Result<(), String> {
        if self.is_known && self.count == 0 {
            return Err("its vocabulary is empty".into());
        }
        if let Some((token, id)) = self.high {
            let token: String = token.chars().take(60).collect();
            return Err(format!("the token \"{token}\" has the id {id}; ids up to {HIGHEST_ID} are read"));
        }
        match self.long {
            Some(length) => {
                Err(format!("a piece of its vocabulary has {length} bytes; at most {LONGEST_PIECE} are read"))
            }
            None => Ok(()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Vocabulary<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tokens)
    }
}

/// A mapping from tokens to ids, or a list of pieces with their scores.
struct Tokens;

/// A text, borrowed where it stands in the file as it is.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Tokens {
    type Value = Vocabulary<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a vocabulary")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vocabulary::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Vocabulary::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tokens: A) -> Result<Self::Value, A::Error> {
        let mut vocabulary = Vocabulary { is_known: true, ..Vocabulary::default() };
        while let Some((Text(token), id)) = tokens.next_entry::<Text<'de>, u64>()? {
            vocabulary.count += 1;
            if id > HIGHEST_ID {
                vocabulary.high.get_or_insert((token, id));
            }
        }
        Ok(vocabulary)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Self::Value, A::Error> {
        let mut vocabulary = Vocabulary { is_known: true, ..Vocabulary::default() };
        while let Some((Text(piece), _)) = pieces.next_element::<(Text<'de>, IgnoredAny)>()? {
            vocabulary.count += 1;
            if piece.len() > LONGEST_PIECE {
                vocabulary.long.get_or_insert(piece.len());
            }
        }
        Ok(vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::text::Tokenizer;

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    fn sequence(steps: impl IntoIterator<Item = Value>) -> Value {
        json!({"type": "Sequence", "normalizers": steps.into_iter().collect::<Vec<_>>()})
    }

    fn regex(pattern: &str) -> Value {
        json!({"Regex": pattern})
    }

    fn text(pattern: &str) -> Value {
        json!({"String": pattern})
    }

    /// A tokenizer of a few tokens with one part replaced.
    fn with(key: &str, part: Value) -> Value {
        let mut whole = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"},
        });
        whole[key] = part;
        whole
    }

    fn opened(whole: &Value) -> Result<Tokenizer, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tokenizer.json"), whole.to_string()).expect("the file");
        Tokenizer::from_folder(folder.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn tokenizers_that_never_end_or_fill_the_memory_are_refused_by_name() {
        let mut huge = vec![0u8; 64];
        huge[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut long = vec![4, 0, 0, 0, 0, 0, 0, 0];
        long.extend(b"x".repeat(5000));
        let map = |bytes: &[u8]| json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(bytes)});
        let nested = (0..50).fold(json!({"type": "NFC"}), |inside, _| sequence([inside]));
        let post = json!({"type": "TemplateProcessing", "pair": [], "single": [{"SpecialToken": {"id": "X", "type_id": 0}}],
            "special_tokens": {"X": {"id": "X", "ids": [7], "tokens": ["X"]}}});
        let vocabulary = |vocab: Value| json!({"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"});
        let cases = [
            (with("normalizer", sequence((0..40).map(|_| replace(text("a"), "aa")))), "times as long"),
            (with("normalizer", sequence((0..40).map(|_| replace(regex("[a-b]"), "ab")))), "times as long"),
            (
                with(
                    "normalizer",
                    sequence((0..40).flat_map(|_| [replace(text("a"), "AA"), json!({"type": "Lowercase"})])),
                ),
                "times as long",
            ),
            (with("normalizer", replace(text("a"), &"b".repeat(100_000))), "times as long"),
            (
                with("decoder", json!({"type": "Sequence", "decoders": vec![replace(text("a"), "aa"); 40]})),
                "times as long",
            ),
            (with("normalizer", map(&huge)), "claim 4294967295 bytes"),
            (with("normalizer", map(&[0, 0, 0])), "have no size"),
            (with("normalizer", map(&long)), "5000 bytes"),
            (with("normalizer", nested), "levels deep"),
            (
                with("normalizer", json!({"type": "Prepend", "prepend": "x".repeat(10_000)})),
                "10000 bytes before a text",
            ),
            (
                with(
                    "added_tokens",
                    json!([{"id": 2, "content": "x".repeat(10_000), "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]),
                ),
                "",
            ),
            (with("post_processor", post), "puts in \"X\""),
            (with("model", vocabulary(json!({}))), "vocabulary is empty"),
            (with("model", vocabulary(json!({"a": u32::MAX, "[UNK]": 0}))), "has the id 4294967295"),
        ];
        let mut failures = Vec::new();
        for (whole, said) in cases {
            let start = std::time::Instant::now();
            let result = opened(&whole).map(drop);
            let told = result.clone().err().unwrap_or_default();
            let named = told.contains("tokenizer.json") || said.is_empty();
            if !told.contains(said) || !named || start.elapsed().as_secs() > 20 {
                let shown: String = whole.to_string().chars().take(300).collect();
                failures.push(format!("{shown}: {result:?}, {:?}", start.elapsed()));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// Patterns without end, and maps of characters that are none, are errors of the texts that they break on.
    #[test]
    fn what_breaks_the_library_is_an_error() {
        let split = |pattern: &str| json!({"type": "Split", "pattern": regex(pattern), "behavior": "Isolated", "invert": false});
        let mut random = vec![64, 0, 0, 0];
        random.extend((0..64u8).map(|n| n.wrapping_mul(151)));
        let map = json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(random)});
        for whole in [
            with("normalizer", replace(text(""), "b")),
            with("normalizer", replace(regex(r"\b"), "b")),
            with("normalizer", map),
            with("pre_tokenizer", split("(a+)+$|(a|aa)+$")),
            with("pre_tokenizer", split("(?:(?:a*)*)*b")),
        ] {
            let tokenizer = opened(&whole).expect("a tokenizer");
            let encoded = tokenizer
                .encode(&format!("Hello, World! it's 1,234.5\n\n  é 中文 ﷺ 🙂\t{}!", "a".repeat(2000)), true);
            if let Err(error) = encoded {
                assert!(error.to_string().contains("breaks what runs it"), "{whole}: {error}");
            }
        }
    }

    /// What known tokenizers replace makes no text long.
    #[test]
    fn ordinary_replacements_are_no_attack() {
        let punctuation =
            "，。：；？！（）【】「」『』“”‘’、…—".chars().map(|c| replace(text(&c.to_string()), "..."));
        let t5 = [
            replace(text("``"), "\""),
            replace(text("''"), "\""),
            json!({"type": "NFKD"}),
            json!({"type": "StripAccents"}),
            json!({"type": "Lowercase"}),
            replace(regex(" {2,}"), "▁"),
            json!({"type": "Prepend", "prepend": "▁"}),
            replace(text(" "), "▁"),
        ];
        for normalizer in [sequence(punctuation), sequence(t5)] {
            opened(&with("normalizer", normalizer)).expect("a tokenizer");
        }
        let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/wick");
        Tokenizer::from_folder(&bundled).expect("the bundled tokenizer");
    }
}
