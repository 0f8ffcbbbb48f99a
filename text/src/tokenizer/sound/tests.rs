//! Tokenizers that break the library or fill the memory, and ordinary ones.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;
use crate::Tokenizer;

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
    let map =
        |bytes: &[u8]| json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(bytes)});
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
