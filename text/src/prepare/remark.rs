//! What a user should know about a template and a model that are used together.

use std::fmt;

/// Nothing of it keeps a run from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// No template was named; the model's own chat template was taken apart.
    OwnTemplate,
    /// No template was named; the model's own chat template says what counts in the loss.
    MarkedTemplate,
    /// Neither was a template named nor does the model have a chat template.
    NoTemplate,
    /// The template is for models that think before they answer.
    Thinking {
        /// Its name.
        template: String,
    },
    /// A conversation, as the template and as the model's own chat template write it.
    Disagreement {
        /// The template's name.
        template: String,
        /// As the template writes it.
        ours: String,
        /// As the model's own writes it.
        own: String,
    },
    /// Tokens of the template that the vocabulary did not have, and the model has no rows for.
    NewTokens(Vec<String>),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnTemplate => {
                f.write_str("No template is named; it is read off the tokenizer's own chat template.")
            }
            Self::MarkedTemplate => f.write_str(
                "No template is named; the tokenizer's own chat template writes the conversations, and what it marks as generated ({% generation %}) counts in the loss.",
            ),
            Self::NoTemplate => f.write_str(
                "No template is named and the model has no chat template, so texts stand without any; name the template that the model was trained with.",
            ),
            Self::Thinking { template } => write!(
                f,
                "Template \"{template}\" is for models that think; for others there may be one ending in \"_nothink\"."
            ),
            Self::Disagreement { template, ours, own } => write!(
                f,
                "Template \"{template}\" writes a conversation differently from the model's own chat template: {ours:?} instead of {own:?}."
            ),
            Self::NewTokens(tokens) => write!(
                f,
                "The vocabulary lacked {}; set resize_vocab to give the model rows for them.",
                tokens.join(", ")
            ),
        }
    }
}
