//! A memory of words: what was encoded once is not encoded again.
//!
//! Pipelines that split text into words before they look for tokens encode each word alone. Between a letter, and a
//! blank that a letter follows, all of them split; so does every special token. Text cut there gives the same ids, and
//! most of what lies between is words that have been seen before.

use std::collections::HashMap;

use parking_lot::RwLock;
use serde_json::Value;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// Longer stretches are seldom seen twice.
const LONGEST: usize = 48;
/// Words that are remembered.
const MOST: usize = 1 << 18;

pub(super) struct Words {
    /// Special tokens by their first byte, the longest first.
    special: Vec<Vec<(Box<str>, u32)>>,
    known: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl Words {
    /// A memory for `tokenizer`; `None` if it cannot be shown to split between words.
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Option<Self> {
        if !leaves_words_alone(tokenizer) || !splits_words(tokenizer.get_pre_tokenizer()?) {
            return None;
        }
        let added = tokenizer.get_added_tokens_decoder();
        // Those of the second kind are looked for in what those of the first leave.
        let (second, first): (Vec<_>, Vec<_>) = added.values().partition(|token| token.normalized);
        if second.iter().any(|token| first.iter().any(|other| overlap(&token.content, &other.content))) {
            return None;
        }
        let mut special: Vec<Vec<(Box<str>, u32)>> = vec![Vec::new(); 256];
        for (id, token) in added {
            let AddedToken { content, single_word, lstrip, rstrip, normalized, .. } = token;
            let first = *content.as_bytes().first()?;
            // Such a token takes in what is around it, or is looked for in changed text.
            let changed = normalized && tokenizer.get_normalizer().is_some();
            let greedy = single_word || lstrip || rstrip || changed;
            if greedy || boundary(content.as_bytes()).is_some() {
                return None;
            }
            special[usize::from(first)].push((content.into(), id));
        }
        special.iter_mut().for_each(|tokens| tokens.sort_by_key(|(token, _)| std::cmp::Reverse(token.len())));
        Some(Self { special, known: RwLock::default() })
    }

    /// Ids of `text`; `encode` is asked for stretches that are new.
    pub(super) fn encode<E>(
        &self,
        text: &str,
        encode: impl Fn(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<u32>, E> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut new: Vec<(&str, Vec<u32>)> = Vec::new();
        {
            let known = self.known.read();
            let stretch = |stretch: &str, ids: &mut Vec<u32>| -> Result<Option<Vec<u32>>, E> {
                if stretch.is_empty() {
                    return Ok(None);
                }
                if let Some(known) = known.get(stretch) {
                    ids.extend_from_slice(known);
                    return Ok(None);
                }
                let found = encode(stretch)?;
                ids.extend_from_slice(&found);
                Ok((stretch.len() <= LONGEST).then_some(found))
            };
            for (part, token) in self.parts(text) {
                let mut rest = part;
                while !rest.is_empty() {
                    let end = boundary(rest.as_bytes()).unwrap_or(rest.len());
                    let (word, behind) = rest.split_at(end);
                    if let Some(found) = stretch(word, &mut ids)? {
                        new.push((word, found));
                    }
                    rest = behind;
                }
                ids.extend(token);
            }
        }
        if !new.is_empty() {
            let mut known = self.known.write();
            if known.len() < MOST {
                known.extend(new.into_iter().map(|(word, ids)| (word.into(), ids.into())));
            }
        }
        Ok(ids)
    }

    /// The text between special tokens, each with the token behind it.
    fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, Option<u32>)> {
        let mut start = Some(0);
        std::iter::from_fn(move || {
            let from = start?;
            let bytes = text.as_bytes();
            for at in from..bytes.len() {
                let candidates = &self.special[usize::from(bytes[at])];
                let found = candidates.iter().find(|(token, _)| bytes[at..].starts_with(token.as_bytes()));
                if let Some((token, id)) = found {
                    start = Some(at + token.len());
                    return Some((&text[from..at], Some(*id)));
                }
            }
            start = None;
            Some((&text[from..], None))
        })
    }
}

/// Whether two tokens may be found in places that overlap.
fn overlap(one: &str, other: &str) -> bool {
    let meets =
        |one: &str, other: &str| (0..one.len()).any(|at| other.as_bytes().starts_with(&one.as_bytes()[at..]));
    one.contains(other) || other.contains(one) || meets(one, other) || meets(other, one)
}

/// Where the first word ends that another follows: behind a letter, before a blank and a letter.
fn boundary(text: &[u8]) -> Option<usize> {
    let fits =
        |three: &[u8]| three[0].is_ascii_alphabetic() && three[1] == b' ' && three[2].is_ascii_alphabetic();
    text.windows(3).position(fits).map(|place| place + 1)
}

/// Whether nothing changes the text in ways that reach over the end of a word, and nothing happens at random.
fn leaves_words_alone(tokenizer: &tokenizers::Tokenizer) -> bool {
    let written = |value: serde_json::Result<Value>| value.unwrap_or_default();
    let normalizer = written(serde_json::to_value(tokenizer.get_normalizer()));
    let model = written(serde_json::to_value(tokenizer.get_model()));
    let kind = normalizer["type"].as_str();
    let normal = normalizer.is_null() || matches!(kind, Some("NFC" | "NFKC"));
    normal && model["type"] == "BPE" && model["dropout"].as_f64().unwrap_or(0.0) == 0.0
}

/// Whether the pre-tokenizer is of the kind that splits into words, and does split between any two letters with a blank
/// between them, whatever stands around.
fn splits_words(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    let written = serde_json::to_value(pre_tokenizer).unwrap_or_default();
    let parts = match written["pretokenizers"].as_array() {
        Some(parts) => parts.clone(),
        None => vec![written],
    };
    let known = |part: &Value| match part["type"].as_str() {
        Some("ByteLevel") => part["add_prefix_space"] == false,
        Some("Split") => part["invert"] == false && is_of_classes(&part["pattern"]),
        Some("Digits") => true,
        _ => false,
    };
    let letters = || (b'A'..=b'Z').chain(b'a'..=b'z').map(char::from);
    let pairs = letters().flat_map(|first| letters().map(move |second| (first, second)));
    parts.iter().all(known)
        && pairs.into_iter().all(|(first, second)| {
            splits(pre_tokenizer, &format!("x{first} {second}x"))
                && splits(pre_tokenizer, &format!("1 '{first} {second}'s, \n"))
        })
}

/// Whether a pattern tells characters apart by their class alone and looks no further than it matches, so that a few texts
/// show what it does with all.
fn is_of_classes(pattern: &Value) -> bool {
    let Some(pattern) = pattern["Regex"].as_str().or(pattern["String"].as_str()) else { return false };
    // What an apostrophe starts is no blank's affair; nor is where blanks are followed by none.
    let plain =
        CONTRACTIONS.iter().fold(pattern.replace(r"\s+(?!\S)", ""), |rest, known| rest.replace(known, ""));
    let mut rest = plain.chars().peekable();
    // How deep in brackets it is: what stands there is a class.
    let mut depth = 0;
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next() {
                Some('p' | 'P') if rest.peek() == Some(&'{') => {
                    while rest.next().is_some_and(|c| c != '}') {}
                }
                // Classes, line ends, and characters that stand for themselves.
                Some('s' | 'S' | 'd' | 'D' | 'w' | 'W' | 'r' | 'n' | 't') => {}
                Some(other) if depth > 0 || !other.is_alphanumeric() => {}
                _ => return false,
            },
            '[' => depth += 1,
            ']' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            '(' if rest.peek() == Some(&'?') => {
                rest.next();
                if rest.next() != Some(':') {
                    return false;
                }
            }
            '^' | '$' => return false,
            letter if letter.is_alphabetic() => return false,
            _ => {}
        }
    }
    true
}

/// English contractions as GPT-2 and its followers write them.
const CONTRACTIONS: [&str; 3] =
    ["(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'s|'t|'re|'ve|'m|'ll|'d", "'(?i:[sdmt]|ll|ve|re)"];

/// Whether `text` is split at its boundary, and each side alone as it is in the whole.
fn splits(pre_tokenizer: &PreTokenizerWrapper, text: &str) -> bool {
    let pieces = |text: &str| -> Option<Vec<String>> {
        let mut split = PreTokenizedString::from(text);
        pre_tokenizer.pre_tokenize(&mut split).ok()?;
        let pieces = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        Some(pieces.into_iter().map(|(piece, ..)| piece.to_owned()).collect())
    };
    let Some(end) = boundary(text.as_bytes()) else { return false };
    let (left, right) = text.split_at(end);
    match (pieces(text), pieces(left), pieces(right)) {
        (Some(whole), Some(left), Some(right)) => whole == [left, right].concat(),
        _ => false,
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("known", &self.known.read().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Pipeline, Tokenizer};
    use super::*;

    #[test]
    fn words_end_behind_a_letter_before_a_blank_and_a_letter() {
        assert_eq!(boundary(b"one two"), Some(3));
        assert_eq!(boundary(b"one  two"), None);
        assert_eq!(boundary(b"one, two 3 a"), None);
        assert_eq!(boundary("é a".as_bytes()), None);
    }

    #[test]
    fn tokens_overlap_where_one_may_begin_inside_the_other() {
        for (one, other) in [("ab", "bc"), ("bc", "ab"), ("abc", "b"), ("b", "abc"), ("a", "a")] {
            assert!(overlap(one, other), "{one} {other}");
        }
        assert!(!overlap("<a>", "<b>") && !overlap("ab", "ca_b"));
    }

    #[test]
    fn patterns_that_look_at_letters_or_around_are_no_patterns_of_classes() {
        let is = |pattern: &str| is_of_classes(&serde_json::json!({"Regex": pattern}));
        for pattern in [
            super::super::byte_level::LLAMA3_SPLIT,
            super::super::byte_level::QWEN_SPLIT,
            r"\p{N}{1,3}",
            r" ?[a-z]+|[\r\n]",
        ] {
            assert!(is(pattern), "{pattern}");
        }
        for pattern in [
            "^ab| ?[a-z]+",
            "[a-z]+$",
            "to be|[a-z]+",
            r"\Gx",
            r"(?<=a) b",
            r"\w+(?= )",
            r"\bx",
            "(?i)[a-z]+",
            "a",
        ] {
            assert!(!is(pattern), "{pattern}");
        }
    }

    /// Texts with everything that could go wrong at a boundary give the ids that the pipeline gives them whole.
    #[test]
    fn remembered_words_have_the_ids_of_the_whole_text() {
        for folder in ["../engine/tests/goldens/data/base", "../models/wick"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let tokenizer = Tokenizer::from_folder(&folder).expect("a tokenizer");
            let Pipeline::Parts(parts) = &tokenizer.inner else { panic!("not of parts") };
            let words = Words::of(parts).expect("it splits words");
            let special = tokenizer.special_tokens().eos.clone().unwrap_or_default();
            let texts = [
                "the ship and the harbour, and the ship".to_owned(),
                format!("{special}the ship{special} the{special}{special}ship the "),
                "  two  blanks\n\nthe\tship 12 34a b4 'tis I'll don't we 're A B".to_owned(),
                "naïve café é a ü\u{308}b 名字 the ship 🦜 the \u{a0}x y\u{2003}z".to_owned(),
                String::new(),
            ];
            for text in texts.iter().chain(&texts) {
                let whole = parts.encode_fast(text.as_str(), false).expect("ids").get_ids().to_vec();
                let encode = |stretch: &str| {
                    tokenizers::Result::Ok(parts.encode_fast(stretch, false)?.get_ids().to_vec())
                };
                assert_eq!(words.encode(text, encode).expect("ids"), whole, "{text:?}");
            }
        }
    }
}
