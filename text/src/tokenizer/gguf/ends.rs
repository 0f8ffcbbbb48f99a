//! Tokens that end a generation, collected as llama.cpp does (`special_eog_ids` in its `src/llama-vocab.cpp`): the ids
//! that the file gives a role, and tokens that are known by their text.

use std::collections::BTreeSet;

use super::GgufTokenizer;

/// Ends of a text or of a turn.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Roles whose token ends a text, with the texts that such a token has where the file does not name it. The last three
/// belong to code completion: padding, the next repository, the next file.
const ROLES: &[(&str, &[&str])] = &[
    ("eos", &[]),
    ("eot", &[]),
    ("eom", &[]),
    ("fim_pad", &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
    ("fim_rep", &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]),
    ("fim_sep", &["<|file_sep|>"]),
];

/// An end where the file marks it as a control token; otherwise it is text that is struck through no more (Gemma).
const STROKE: &str = "</s>";

/// In vocabularies with the ends of one of these groups it closes a message, but not the turn: OpenAI's harmony format
/// and Solar Open.
const MESSAGE: &str = "<|end|>";
const TURNS: &[[&str; 2]] = &[
    ["<|return|>", "<|call|>"],
    ["<|return|>", "<|calls|>"],
    ["<|flush|>", "<|call|>"],
    ["<|flush|>", "<|calls|>"],
];

impl GgufTokenizer<'_> {
    /// Tokens that end a generation, by id.
    pub fn end_ids(&self) -> Vec<u32> {
        let find = |text: &str| self.tokens.iter().position(|token| *token == text).map(|id| id as u32);
        let mut ends: BTreeSet<u32> = ENDS.iter().filter_map(|text| find(text)).collect();
        for (role, texts) in ROLES {
            ends.extend(self.id(role).or_else(|| texts.iter().find_map(|text| find(text))));
        }
        ends.extend(find(STROKE).filter(|id| self.kind(*id) == super::CONTROL));
        let is_end = |text: &str| find(text).is_some_and(|id| ends.contains(&id));
        if TURNS.iter().any(|group| group.iter().all(|text| is_end(text))) {
            ends.retain(|id| self.tokens[*id as usize] != MESSAGE);
        }
        ends.into_iter().collect()
    }
}
