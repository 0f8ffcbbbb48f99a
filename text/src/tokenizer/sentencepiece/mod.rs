//! Sentencepiece models (`tokenizer.model`): segmentation exactly as the sentencepiece library's.
//!
//! The pieces here are a model, a normaliser and a decoder for the `tokenizers` pipeline, which finds the added tokens.
//! Its own BPE and Unigram models come close, but break ties, treat unused and user-defined pieces, and normalise
//! grapheme by grapheme in ways of their own; a few ids in a thousand lines would differ from those that a model was
//! trained on.

mod bpe;
mod decoder;
mod model;
mod normalizer;
mod proto;
mod schema;
mod trie;
mod unigram;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tokenizers::{AddedToken, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl};

use super::SpecialTokens;
use crate::error::{Error, Result};
use decoder::Decoder;
use model::Model;
use normalizer::Normalizer;
use proto::{Kind, ModelProto};

pub(super) use normalizer::{Prefix, check_charsmap};

/// The pipeline around a sentencepiece model.
pub(super) type Pipeline =
    TokenizerImpl<Model, Normalizer, PreTokenizerWrapper, PostProcessorWrapper, Decoder>;

/// A sentencepiece model ready to use, and the file it came from.
#[derive(Clone)]
pub(super) struct SentencePiece {
    pub pipeline: Pipeline,
    /// The file's bytes, to write them out again.
    pub file: Arc<[u8]>,
}

impl SentencePiece {
    /// Reads a model; `prefix` says which texts get the blank that the model puts before a text, `names` are ids that
    /// the model's configuration calls otherwise: pieces kept free in training that became tokens later (InternLM2).
    ///
    /// # Errors
    /// With the file and the place in it, if it is broken or of a kind that language models do not use.
    pub(super) fn read(
        path: &Path,
        bytes: Vec<u8>,
        prefix: Prefix,
        names: &HashMap<u32, String>,
    ) -> Result<(SentencePiece, SpecialTokens)> {
        let broken = |message: String| Error::Parse {
            path: path.to_owned(),
            line: 0,
            column: 0,
            message: format!("is not a sentencepiece model that can be used: {message}"),
        };
        let mut proto = ModelProto::parse(&bytes).map_err(broken)?;
        proto.check().map_err(broken)?;
        let special = roles(&proto);
        let known = proto.pieces.iter().filter(|piece| matches!(piece.kind, Kind::Control | Kind::Unknown));
        let control: Vec<AddedToken> =
            known.map(|piece| AddedToken::from(piece.text.as_str(), true)).collect();
        for (id, piece) in (0..).zip(&mut proto.pieces) {
            if let Some(name) = names.get(&id).filter(|name| **name != piece.text) {
                // Found in the text as an added token, never by the model.
                (piece.text, piece.kind) = (name.clone(), Kind::Control);
            }
        }
        let normalizer = Normalizer::new(&proto, prefix).map_err(broken)?;
        let decoder = Decoder::new(&proto);
        let mut pipeline: Pipeline = TokenizerImpl::new(Model::new(proto));
        pipeline
            .with_normalizer(Some(normalizer))
            .and_then(|pipeline| pipeline.with_decoder(Some(decoder)).add_special_tokens(control))
            .map_err(|e| broken(e.to_string()))?;
        Ok((SentencePiece { pipeline, file: bytes.into() }, special))
    }
}

/// The pieces with a role of their own, by the names that the trainer gave them.
fn roles(proto: &ModelProto) -> SpecialTokens {
    let named = |name: &str, kind: Kind| {
        proto.pieces.iter().any(|piece| piece.kind == kind && piece.text == name).then(|| name.to_owned())
    };
    SpecialTokens {
        bos: named(&proto.bos_piece, Kind::Control),
        eos: named(&proto.eos_piece, Kind::Control),
        pad: named(&proto.pad_piece, Kind::Control),
        unk: named(&proto.unk_piece, Kind::Unknown),
    }
}
