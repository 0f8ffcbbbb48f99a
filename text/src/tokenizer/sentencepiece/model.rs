//! The vocabulary, and what both algorithms share: unknown text, and its spelling in bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::Token;
use tokenizers::models::bpe::BpeTrainer;

use super::normalizer::user_defined;
use super::proto::{Algorithm, Kind, ModelProto, Piece};
use super::trie::Trie;
use super::unigram::Unigram;

/// A sentencepiece vocabulary and the algorithm that cuts texts into its pieces.
#[derive(Clone, Debug)]
pub(in super::super) struct Model {
    pub(super) pieces: Vec<Piece>,
    /// Pieces that stand for text: normal, user-defined and unused ones.
    pub(super) text_ids: HashMap<String, u32>,
    /// The others: unknown, control and byte pieces.
    reserved_ids: HashMap<String, u32>,
    pub(super) user_defined: Trie,
    pub(super) unk: u32,
    /// Ids of the 256 bytes, if unknown text is spelt in them.
    bytes: Option<Vec<u32>>,
    /// Absent for BPE.
    unigram: Option<Unigram>,
}

/// The piece of a byte.
pub(super) fn byte_piece(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

impl Model {
    pub(super) fn new(proto: ModelProto) -> Model {
        let (mut text_ids, mut reserved_ids, mut unk) = (HashMap::new(), HashMap::new(), 0);
        for (piece, id) in proto.pieces.iter().zip(0u32..) {
            match piece.kind {
                Kind::Normal | Kind::UserDefined | Kind::Unused => text_ids.insert(piece.text.clone(), id),
                Kind::Unknown | Kind::Control | Kind::Byte => reserved_ids.insert(piece.text.clone(), id),
            };
            if piece.kind == Kind::Unknown {
                unk = id;
            }
        }
        let byte = |byte| reserved_ids.get(&byte_piece(byte)).copied().unwrap_or(unk);
        Model {
            bytes: proto.byte_fallback.then(|| (0..=255).map(byte).collect()),
            user_defined: user_defined(&proto),
            unigram: (proto.algorithm == Algorithm::Unigram).then(|| Unigram::new(&proto.pieces, &text_ids)),
            pieces: proto.pieces,
            text_ids,
            reserved_ids,
            unk,
        }
    }

    pub(super) fn kind(&self, id: u32) -> Kind {
        self.pieces[id as usize].kind
    }

    /// Replaces unknown pieces by bytes, or joins neighbouring ones.
    fn tokens(&self, text: &str, cuts: Vec<(usize, u32)>) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::with_capacity(cuts.len());
        let mut start = 0;
        for (end, id) in cuts {
            let piece = &text[start..end];
            match &self.bytes {
                Some(ids) if id == self.unk => {
                    let byte = |byte| Token::new(ids[usize::from(byte)], byte_piece(byte), (start, end));
                    tokens.extend(piece.bytes().map(byte));
                }
                _ => match tokens.last_mut().filter(|last| id == self.unk && last.id == id) {
                    Some(last) => {
                        last.value.push_str(piece);
                        last.offsets.1 = end;
                    }
                    None => tokens.push(Token::new(id, piece.to_owned(), (start, end))),
                },
            }
            start = end;
        }
        tokens
    }
}

impl tokenizers::Model for Model {
    type Trainer = BpeTrainer;

    fn tokenize(&self, text: &str) -> tokenizers::Result<Vec<Token>> {
        let cuts = match &self.unigram {
            Some(unigram) => unigram.cut(self, text),
            None => super::bpe::cut(self, text),
        };
        Ok(self.tokens(text, cuts))
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.reserved_ids.get(token).or_else(|| self.text_ids.get(token)).copied()
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.pieces.get(id as usize).map(|piece| piece.text.clone())
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.pieces.iter().zip(0..).map(|(piece, id)| (piece.text.clone(), id)).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.pieces.len()
    }

    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a sentencepiece model is written as the file it was read from".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}
