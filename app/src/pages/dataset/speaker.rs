//! Who says a turn: what it is called, and how it looks.

use wire::Speaker;

use crate::i18n::Words;

pub fn speaker_name(speaker: Speaker, w: &'static Words) -> &'static str {
    match speaker {
        Speaker::System => w.data_system,
        Speaker::Tools => w.data_tools,
        Speaker::User => w.data_user,
        Speaker::Assistant => w.data_assistant,
        Speaker::Call => w.data_call,
        Speaker::Result => w.data_result,
        Speaker::Chosen => w.data_chosen,
        Speaker::Rejected => w.data_rejected,
        Speaker::Wanted => w.data_wanted,
        Speaker::Unwanted => w.data_unwanted,
        Speaker::Text => w.data_text,
    }
}

/// How a turn looks, for the style sheet.
pub fn speaker_key(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::System | Speaker::Tools => "system",
        Speaker::User | Speaker::Result => "user",
        Speaker::Assistant | Speaker::Call | Speaker::Text => "assistant",
        Speaker::Chosen | Speaker::Wanted => "chosen",
        Speaker::Rejected | Speaker::Unwanted => "rejected",
    }
}
