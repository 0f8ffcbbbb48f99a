//! From pieces to text: blanks, bytes, and the blank that was put before the text.
//!
//! Follows `Decode` in `sentencepiece_processor.cc` of the sentencepiece project.

use std::collections::HashMap;

use super::model::byte_piece;
use super::normalizer::BLANK;
use super::proto::ModelProto;

#[derive(Clone, Debug)]
pub(in super::super) struct Decoder {
    /// The bytes that pieces stand for, if unknown text is spelt in them.
    bytes: HashMap<String, u8>,
    /// A text's first blank is not its own.
    strips_one: bool,
    /// No text starts with blanks.
    strips_all: bool,
}

impl Decoder {
    pub(super) fn new(proto: &ModelProto) -> Decoder {
        let bytes = (0..=255).map(|byte| (byte_piece(byte), byte));
        Decoder {
            bytes: if proto.byte_fallback { bytes.collect() } else { HashMap::new() },
            strips_one: proto.add_dummy_prefix || proto.remove_extra_whitespaces,
            strips_all: proto.remove_extra_whitespaces,
        }
    }
}

impl tokenizers::Decoder for Decoder {
    fn decode_chain(&self, tokens: Vec<String>) -> tokenizers::Result<Vec<String>> {
        let mut text = String::new();
        let mut bytes = Vec::new();
        let mut strips = self.strips_one;
        for token in &tokens {
            if let Some(byte) = self.bytes.get(token) {
                bytes.push(*byte);
                continue;
            }
            push_bytes(&mut text, &mut bytes);
            strips &= text.is_empty();
            let mut piece = token.as_str();
            if let Some(rest) = piece.strip_prefix(BLANK).filter(|_| strips) {
                piece = rest;
                strips = self.strips_all;
            }
            text.push_str(&piece.replace(BLANK, " "));
        }
        push_bytes(&mut text, &mut bytes);
        Ok(vec![text])
    }
}

/// Appends bytes as text; each that belongs to no character becomes a replacement character.
fn push_bytes(text: &mut String, bytes: &mut Vec<u8>) {
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                break;
            }
            Err(error) => {
                let (valid, after) = rest.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(valid));
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &after[1..];
            }
        }
    }
    bytes.clear();
}
