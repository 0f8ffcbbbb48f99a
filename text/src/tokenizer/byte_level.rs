//! Byte-level BPE: how bytes are written as characters, and the parts of a pipeline that tokenizers of this kind share.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

/// Words with the blank before them, numbers of up to three digits, punctuation, line ends.
pub(super) const LLAMA3_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with single digits.
pub(super) const QWEN_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Bytes that stand for themselves in GPT-2's alphabet; the others follow from U+0100 on, in order.
const PLAIN: [RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xA1..=0xAC, 0xAE..=0xFF];

/// The character of each byte.
pub(super) fn alphabet() -> [char; 256] {
    let mut others = 0x100..;
    std::array::from_fn(|byte| {
        let plain = PLAIN.iter().any(|range| range.contains(&(byte as u8)));
        let code = if plain { byte as u32 } else { others.next().unwrap_or_default() };
        char::from_u32(code).unwrap_or_default()
    })
}

/// The part that writes bytes as characters and back, with or without GPT-2's split into words.
pub(super) fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

/// The part that splits by a pattern, what lies between matches apart as well.
pub(super) fn isolated(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

/// A pre-tokenizer that splits by a pattern and writes bytes as characters.
pub(super) fn split(pattern: &str) -> Value {
    json!({"type": "Sequence", "pretokenizers": [isolated(pattern), byte_level(false)]})
}

/// A post-processor that puts tokens, each with its id, around a text that asks for special tokens.
pub(super) fn around(first: Option<(&str, u32)>, last: Option<(&str, u32)>) -> Value {
    let token = |token: Option<(&str, u32)>| {
        token.map(|(name, _)| json!({"SpecialToken": {"id": name, "type_id": 0}}))
    };
    let with = |text: &str| {
        let text = json!({"Sequence": {"id": text, "type_id": 0}});
        [token(first), Some(text), token(last)].into_iter().flatten().collect::<Vec<_>>()
    };
    let entry =
        |(name, id): (&str, u32)| (name.to_owned(), json!({"id": name, "ids": [id], "tokens": [name]}));
    let named: Map<String, Value> = first.into_iter().chain(last).map(entry).collect();
    let pair = [with("A"), with("B")].concat();
    json!({
        "type": "TemplateProcessing", "single": with("A"), "pair": pair, "special_tokens": named,
    })
}

/// The same with a token in front alone.
pub(super) fn bos_first(token: &str, id: u32) -> Value {
    around(Some((token, id)), None)
}
