//! What of a sentencepiece model matters for using it, checked.

use prost::Message;

use super::schema;
pub(super) use super::schema::{Algorithm, Kind};

#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: Kind,
}

/// Bytes of the longest piece that is read: every place of a text is compared with it.
const LONGEST: usize = 1024;

/// A model's vocabulary and settings.
#[derive(Clone, Debug)]
pub(super) struct ModelProto {
    pub pieces: Vec<Piece>,
    pub algorithm: Algorithm,
    pub byte_fallback: bool,
    pub unk_piece: String,
    pub bos_piece: String,
    pub eos_piece: String,
    pub pad_piece: String,
    /// Compiled replacement rules.
    pub charsmap: Vec<u8>,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
    whitespace_as_suffix: bool,
    denormalizes: bool,
}

/// What is wrong with a file, with the place in it.
type Result<T> = std::result::Result<T, String>;

impl ModelProto {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// With the byte at which they are no such file any more, or the piece that is none.
    pub(super) fn parse(bytes: &[u8]) -> Result<ModelProto> {
        let (mut file, mut rest) = (schema::ModelProto::default(), bytes);
        let read = file.merge(&mut rest);
        read.map_err(|error| format!("byte {}: {error}; is the file whole?", bytes.len() - rest.len()))?;
        let (trainer, normalizer) = (file.trainer_spec, file.normalizer_spec);
        let algorithm = trainer.model_type();
        Ok(ModelProto {
            pieces: file.pieces.into_iter().enumerate().map(piece).collect::<Result<_>>()?,
            algorithm: Algorithm::try_from(algorithm)
                .map_err(|_| format!("its model type {algorithm} is unknown"))?,
            byte_fallback: trainer.byte_fallback,
            unk_piece: trainer.unk_piece().to_owned(),
            bos_piece: trainer.bos_piece().to_owned(),
            eos_piece: trainer.eos_piece().to_owned(),
            pad_piece: trainer.pad_piece().to_owned(),
            add_dummy_prefix: normalizer.add_dummy_prefix(),
            remove_extra_whitespaces: normalizer.remove_extra_whitespaces(),
            escape_whitespaces: normalizer.escape_whitespaces(),
            charsmap: normalizer.precompiled_charsmap,
            whitespace_as_suffix: trainer.treat_whitespace_as_suffix,
            denormalizes: !file.denormalizer_spec.precompiled_charsmap.is_empty(),
        })
    }

    /// Refuses what is not supported or does not fit together.
    pub(super) fn check(&self) -> Result<()> {
        if self.pieces.is_empty() {
            return Err("it has no pieces".to_owned());
        }
        if let Algorithm::Word | Algorithm::Char = self.algorithm {
            return Err(format!("its type is {:?}; Unigram and Bpe can be used", self.algorithm));
        }
        if self.whitespace_as_suffix {
            return Err(
                "it puts blanks behind words (treat_whitespace_as_suffix), which is not supported".into()
            );
        }
        if self.denormalizes {
            return Err("it has rules for decoding (denormalizer_spec), which are not supported".into());
        }
        for piece in &self.pieces {
            let shown: String = piece.text.chars().take(60).collect();
            if piece.score.is_nan() {
                return Err(format!("the score of the piece \"{shown}\" is not a number"));
            }
            if piece.text.len() > LONGEST {
                let length = piece.text.len();
                return Err(format!("the piece \"{shown}…\" has {length} bytes; at most {LONGEST} are read"));
            }
        }
        let unknown = self.pieces.iter().filter(|piece| piece.kind == Kind::Unknown).count();
        if unknown != 1 {
            return Err(format!("it has {unknown} unknown pieces instead of one"));
        }
        let bytes = self.pieces.iter().filter(|piece| piece.kind == Kind::Byte).count();
        if self.byte_fallback && bytes != 256 {
            return Err(format!("it spells unknown text in bytes, but has pieces for {bytes} of the 256"));
        }
        Ok(())
    }
}

fn piece((index, piece): (usize, schema::SentencePiece)) -> Result<Piece> {
    if piece.piece.is_empty() {
        return Err(format!("piece {index} has no text"));
    }
    let kind = piece.kind();
    let kind = Kind::try_from(kind).map_err(|_| format!("piece {index} is of the unknown type {kind}"))?;
    Ok(Piece { text: piece.piece, score: piece.score, kind })
}
