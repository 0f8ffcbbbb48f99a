//! What a vocabulary may hold, looked at as it is read, since large ones fill the memory.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The highest id that a token may have; tables of models have some hundred thousand rows.
const HIGHEST_ID: u64 = 10_000_000;
/// Bytes of the longest piece of a Unigram vocabulary: every place of a text is compared with it.
const LONGEST_PIECE: usize = 1024;

/// What is wrong with the vocabulary, if it is known how it is written.
#[derive(Default)]
pub(super) struct Vocabulary<'a> {
    is_known: bool,
    count: usize,
    /// A token whose id is too high.
    high: Option<(Cow<'a, str>, u64)>,
    long: Option<usize>,
}

impl Vocabulary<'_> {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(self) -> Result<(), String> {
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
