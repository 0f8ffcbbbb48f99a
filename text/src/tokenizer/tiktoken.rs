//! Tiktoken's rank files: a token's bytes in base64 and its rank a line.
//!
//! Qwen v1 ships `qwen.tiktoken`, Llama 3's original release and GLM-4's first layout a `tokenizer.model` of this kind.
//! The files hold neither the split into words nor the special tokens; both are known by family.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, Vocab};

use super::SpecialTokens;
use super::byte_level::{LLAMA3_SPLIT, QWEN_SPLIT, alphabet, bos_first, byte_level, split};
use super::files::part;
use crate::error::{Error, Result};

/// Which family's split and special tokens go with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Qwen,
    Llama3,
    /// Its special tokens are all in its configuration.
    Glm4,
}

/// Whether bytes look like a rank file: a first line of base64, a blank and zero or more digits.
pub(super) fn is_rank_file(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some((token, rank)) = std::str::from_utf8(line).ok().and_then(|line| line.trim_end().split_once(' '))
    else {
        return false;
    };
    STANDARD.decode(token).is_ok() && rank.parse::<u32>().is_ok()
}

impl Family {
    /// The family of a `tokenizer.model`, by the class that the configuration names. Llama 3's original release has no
    /// configuration.
    pub(super) fn of_class(class: &str) -> Option<Family> {
        match class {
            "" | "PreTrainedTokenizerFast" | "LlamaTokenizer" | "LlamaTokenizerFast" => Some(Family::Llama3),
            "ChatGLM4Tokenizer" => Some(Family::Glm4),
            _ => None,
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Family::Qwen => QWEN_SPLIT,
            Family::Llama3 | Family::Glm4 => LLAMA3_SPLIT,
        }
    }

    fn normalizer(self) -> Value {
        match self {
            Family::Qwen => json!({"type": "NFC"}),
            Family::Llama3 | Family::Glm4 => Value::Null,
        }
    }

    /// The special tokens, which follow the ranks.
    fn special_tokens(self) -> Vec<String> {
        match self {
            Family::Qwen => {
                let named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned);
                named.into_iter().chain((0..205).map(|i| format!("<|extra_{i}|>"))).collect()
            }
            Family::Llama3 => {
                let reserved = |i| format!("<|reserved_special_token_{i}|>");
                let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
                let mut tokens = named(&["<|begin_of_text|>", "<|end_of_text|>"]);
                tokens.extend((0..4).map(reserved));
                tokens.extend(named(&["<|start_header_id|>", "<|end_header_id|>"]));
                tokens.extend([reserved(4), "<|eot_id|>".to_owned()]);
                tokens.extend((5..251).map(reserved));
                tokens
            }
            Family::Glm4 => Vec::new(),
        }
    }

    fn roles(self) -> SpecialTokens {
        let some = |token: &str| Some(token.to_owned());
        match self {
            Family::Qwen => SpecialTokens { eos: some("<|endoftext|>"), ..SpecialTokens::default() },
            Family::Llama3 => SpecialTokens {
                bos: some("<|begin_of_text|>"),
                eos: some("<|end_of_text|>"),
                ..SpecialTokens::default()
            },
            Family::Glm4 => SpecialTokens::default(),
        }
    }
}

/// Builds the tokenizer of a rank file. `names` gives special tokens by id that a model's own configuration calls
/// otherwise.
///
/// # Errors
/// With file and line, if a line is no token with a rank.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    family: Family,
    names: &HashMap<u32, String>,
) -> Result<(tokenizers::Tokenizer, SpecialTokens)> {
    let ranks = ranks(path, bytes)?;
    let first = ranks.values().max().map_or(0, |last| last + 1);
    let special = family.special_tokens().into_iter().zip(first..);
    let special: Vec<AddedToken> =
        special.map(|(token, id)| AddedToken::from(names.get(&id).cloned().unwrap_or(token), true)).collect();
    let broken = |e: tokenizers::Error| Error::tokenizer(&path.display().to_string(), e.to_string());
    let (vocab, merges) = merges(&ranks);
    let model = BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(true).build().map_err(broken)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer
        .with_normalizer(part::<tokenizers::NormalizerWrapper>(path, family.normalizer())?)
        .map_err(broken)?;
    tokenizer.with_pre_tokenizer(part::<tokenizers::PreTokenizerWrapper>(path, split(family.pattern()))?);
    tokenizer.with_decoder(part::<tokenizers::DecoderWrapper>(path, byte_level(true))?);
    tokenizer.add_special_tokens(special).map_err(broken)?;
    let roles = family.roles();
    if let Some((token, id)) = roles.bos.as_deref().and_then(|bos| Some((bos, tokenizer.token_to_id(bos)?))) {
        let processor = part::<tokenizers::PostProcessorWrapper>(path, bos_first(token, id))?;
        tokenizer.with_post_processor(processor);
    }
    Ok((tokenizer, roles))
}

fn ranks(path: &Path, bytes: &[u8]) -> Result<HashMap<Vec<u8>, u32>> {
    let mut ranks = HashMap::new();
    let mut taken = HashMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let wrong =
            |message: String| Error::Parse { path: path.to_owned(), line: index + 1, column: 0, message };
        let parts = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' '));
        let (token, rank) =
            parts.ok_or_else(|| wrong("is not a token in base64, a blank and a rank".into()))?;
        let token = STANDARD
            .decode(token)
            .map_err(|e| wrong(format!("\"{token}\" is not a token in base64: {e}")))?;
        let rank: u32 = rank.trim().parse().map_err(|_| wrong(format!("\"{rank}\" is not a rank")))?;
        if let Some(other) = taken.insert(rank, index + 1) {
            return Err(wrong(format!("rank {rank} is taken by line {other}")));
        }
        if ranks.insert(token, rank).is_some() {
            return Err(wrong("the token has been given a rank before".into()));
        }
    }
    if let Some(byte) = (0..=u8::MAX).find(|byte| !ranks.contains_key(&[*byte][..])) {
        let message = format!("has no token for the byte 0x{byte:02X} alone; is the file whole?");
        return Err(Error::Parse { path: path.to_owned(), line: 0, column: 0, message });
    }
    Ok(ranks)
}

/// Every pair of tokens that joins into a third, best rank of the third first: tiktoken joins whatever makes a token.
fn merges(ranks: &HashMap<Vec<u8>, u32>) -> (Vocab, Vec<(String, String)>) {
    let alphabet = alphabet();
    let written = |bytes: &[u8]| bytes.iter().map(|byte| alphabet[usize::from(*byte)]).collect::<String>();
    let mut merges = Vec::new();
    for (token, rank) in ranks {
        for (left, right) in (1..token.len()).map(|at| token.split_at(at)) {
            if let (Some(a), Some(b)) = (ranks.get(left), ranks.get(right)) {
                merges.push((*rank, *a, *b, (written(left), written(right))));
            }
        }
    }
    merges.sort_unstable_by_key(|merge| (merge.0, merge.1, merge.2));
    let vocab = ranks.iter().map(|(token, rank)| (written(token), *rank)).collect();
    (vocab, merges.into_iter().map(|merge| merge.3).collect())
}
