//! Replacement rules and blanks, before a text is cut into pieces.
//!
//! Follows `normalizer.cc` of the sentencepiece project.

use tokenizers::NormalizedString;

use super::proto::{Kind, ModelProto};
use super::trie::Trie;

/// How a blank is written in pieces.
pub(super) const BLANK: &str = "▁";

/// Which texts get a blank before them, if the model was trained so. Added tokens cut a text into several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Prefix {
    /// Each stretch of text between added tokens.
    Each,
    /// What a text starts with alone.
    First,
}

#[derive(Clone, Debug)]
pub(in super::super) struct Normalizer {
    rules: Option<Rules>,
    /// Pieces that are taken as they are.
    user_defined: Trie,
    prefix: Option<Prefix>,
    remove_extra_whitespaces: bool,
    blank: &'static str,
}

impl Normalizer {
    pub(super) fn new(proto: &ModelProto, prefix: Prefix) -> Result<Normalizer, String> {
        Ok(Normalizer {
            rules: match proto.charsmap.as_slice() {
                [] => None,
                charsmap => {
                    check_charsmap(charsmap)?;
                    Some(Rules::new(charsmap)?)
                }
            },
            user_defined: user_defined(proto),
            prefix: proto.add_dummy_prefix.then_some(prefix),
            remove_extra_whitespaces: proto.remove_extra_whitespaces,
            blank: if proto.escape_whitespaces { BLANK } else { " " },
        })
    }

    /// What the start of a text becomes, and how much of it that is.
    fn step<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        if let Some(length) = self.user_defined.longest(text.as_bytes()) {
            return (&text[..length], length);
        }
        if let Some(found) = self.rules.as_ref().and_then(|rules| rules.longest(text)) {
            return found;
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (&text[..length], length)
    }

    fn apply(&self, text: &str, is_first: bool) -> String {
        let mut rest = text;
        if self.remove_extra_whitespaces {
            while let (" ", length) = self.step(rest) {
                rest = &rest[length..];
            }
        }
        let mut out = String::with_capacity(rest.len() + rest.len() / 3 + self.blank.len());
        if rest.is_empty() {
            return out;
        }
        if self.prefix == Some(Prefix::Each) || (self.prefix == Some(Prefix::First) && is_first) {
            out.push_str(self.blank);
        }
        let mut after_blank = self.remove_extra_whitespaces;
        while !rest.is_empty() {
            let (mut new, length) = self.step(rest);
            if after_blank {
                new = new.trim_start_matches(' ');
            }
            for char in new.chars() {
                if char == ' ' { out.push_str(self.blank) } else { out.push(char) }
            }
            if !new.is_empty() {
                after_blank = self.remove_extra_whitespaces && new.ends_with(' ');
            }
            rest = &rest[length..];
        }
        if self.remove_extra_whitespaces {
            out.truncate(out.trim_end_matches(self.blank).len());
        }
        out
    }
}

impl tokenizers::Normalizer for Normalizer {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        let is_first = text.offsets_original().0 == 0;
        *text = NormalizedString::from(self.apply(text.get(), is_first));
        Ok(())
    }
}

/// The user-defined pieces: always whole, whatever is around them.
pub(super) fn user_defined(proto: &ModelProto) -> Trie {
    let pieces = proto.pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::UserDefined);
    Trie::new(pieces.map(|(id, piece)| (piece.text.as_str(), id as u32)))
}

/// Bytes of the longest replacement of a character; those of Unicode have some tens.
const LONGEST: usize = 1024;

/// Whether replacement rules hold together; the bytes of the longest replacement.
///
/// # Errors
/// Says what is wrong with them.
pub(in super::super) fn check_charsmap(charsmap: &[u8]) -> Result<usize, String> {
    let rules = Rules::new(charsmap)?;
    let longest = rules.replacements.split('\0').map(str::len).max().unwrap_or_default();
    if longest > LONGEST {
        return Err(format!(
            "its replacement rules (precompiled_charsmap) write {longest} bytes for one character; at most {LONGEST} are allowed"
        ));
    }
    Ok(longest)
}

/// `precompiled_charsmap`: the size of a double-array trie, the trie, and the replacements, each ended by a zero byte.
#[derive(Clone, Debug)]
struct Rules {
    /// Units of the trie: label in the low byte, leaf mark in bit 8, offset in the high bits (Darts-clone).
    units: Vec<u32>,
    replacements: String,
}

impl Rules {
    fn new(charsmap: &[u8]) -> Result<Rules, String> {
        let broken = |what: &str| format!("its replacement rules (precompiled_charsmap) {what}");
        let (size, rest) = charsmap.split_first_chunk().ok_or_else(|| broken("have no size"))?;
        let size = u32::from_le_bytes(*size) as usize;
        if size == 0 || !size.is_multiple_of(4) || size > rest.len() {
            return Err(broken(&format!("claim {size} bytes of {}", rest.len())));
        }
        let (trie, replacements) = rest.split_at(size);
        let units = trie.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let replacements = std::str::from_utf8(replacements).map_err(|_| broken("are not UTF-8"))?;
        Ok(Rules { units, replacements: replacements.to_owned() })
    }

    /// The replacement of the longest rule that `text` starts with, and the rule's length.
    fn longest(&self, text: &str) -> Option<(&str, usize)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut node = offset(*self.units.first()?);
        let mut found = None;
        for (i, byte) in text.bytes().enumerate() {
            node ^= usize::from(byte);
            let Some(unit) = self.units.get(node).filter(|unit| **unit & 0x8000_00ff == u32::from(byte))
            else {
                break;
            };
            node ^= offset(*unit);
            if unit >> 8 & 1 == 1 {
                found = self.units.get(node).map(|leaf| (leaf & 0x7fff_ffff, i + 1));
            }
        }
        let (start, length) = found?;
        let replacement = self.replacements.get(start as usize..)?.split('\0').next()?;
        Some((replacement, length))
    }
}
