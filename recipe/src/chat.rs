//! What is said to a model, and how its answer is drawn.

use serde::{Deserialize, Serialize};

use crate::Recipe;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text, without the template's words.
    pub content: String,
}

/// How the tokens of an answer are chosen. Names and defaults are LLaMA-Factory's generating arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Off: always the likeliest token.
    pub do_sample: bool,
    /// What the logits are divided by before a token is drawn; 0 takes the likeliest.
    pub temperature: f64,
    /// Keep the likeliest tokens that together reach this probability.
    pub top_p: f64,
    /// Keep the so many likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Tokens of an answer, at most.
    pub max_new_tokens: usize,
    /// Above 1, tokens that occurred before become less likely (Keskar et al. 2019).
    pub repetition_penalty: f64,
    /// None draws a seed from the clock.
    pub seed: Option<u64>,
}

/// Those of the argument table. They are numbers here, so that the page of a chat needs no recipe.
impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            do_sample: true,
            temperature: 0.95,
            top_p: 0.7,
            top_k: 50,
            max_new_tokens: 1024,
            repetition_penalty: 1.0,
            seed: None,
        }
    }
}

impl Recipe {
    /// How answers are drawn; a recipe's seed is its training's, and not theirs.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            do_sample: self.do_sample,
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_new_tokens: self.max_new_tokens,
            repetition_penalty: self.repetition_penalty,
            seed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_table() {
        assert_eq!(Sampling::default(), Recipe::default().sampling());
    }
}
