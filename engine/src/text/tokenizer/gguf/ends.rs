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
    "</s>",
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

/// A token that is none of the ends in a vocabulary that has others beside it: each group has all of its ends.
const EXCEPTIONS: &[(&str, &[&[&str]])] = &[
    // OpenAI's harmony format and Solar Open end messages with it, turns with others.
    (
        "<|end|>",
        &[
            &["<|return|>", "<|call|>"],
            &["<|return|>", "<|calls|>"],
            &["<|flush|>", "<|call|>"],
            &["<|flush|>", "<|calls|>"],
        ],
    ),
    // Gemma 4 and PLaMo have it as an ordinary token.
    ("</s>", &[&["<|tool_response>"], &["<|plamo:eos|>"]]),
];

impl GgufTokenizer<'_> {
    /// Tokens that end a generation, by id.
    pub fn end_ids(&self) -> Vec<u32> {
        let find = |text: &str| self.tokens.iter().position(|token| *token == text).map(|id| id as u32);
        let mut ends: BTreeSet<u32> = ENDS.iter().filter_map(|text| find(text)).collect();
        for (role, texts) in ROLES {
            ends.extend(self.id(role).or_else(|| texts.iter().find_map(|text| find(text))));
        }
        let is_end = |text: &str| find(text).is_some_and(|id| ends.contains(&id));
        let excepted = |(text, groups): &(&str, &[&[&str]])| {
            let excepted = groups.iter().any(|group| group.iter().all(|text| is_end(text)));
            find(text).filter(|_| excepted)
        };
        let excepted: Vec<u32> = EXCEPTIONS.iter().filter_map(excepted).collect();
        ends.into_iter().filter(|id| !excepted.contains(id)).collect()
    }
}
