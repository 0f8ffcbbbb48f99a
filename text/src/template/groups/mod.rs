//! The templates, as data.
//!
//! Each is written as the slots it fills: `template(name, user slot)`, then what differs from the defaults. Where a
//! slot is left out, the answer is the content and EOS, the system text stands as it is, tool calls look like answers,
//! and a tool's result looks like a question.

mod deepseek;
mod early;
mod ernie;
mod general;
mod glm;
mod google;
mod llama;
mod mistral;
mod moonshot;
mod others;
mod qwen;
mod single;
mod small;
mod tencent;

use super::Template;
use super::draft::{Draft, template};

/// ChatML: turns between `<|im_start|>` and `<|im_end|>`.
fn chatml(name: &str) -> Draft {
    template(name, "<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n")
        .system("<|im_start|>system\n{{content}}<|im_end|>\n")
        .assistant("{{content}}<|im_end|>\n")
}

/// A tool's result in ChatML, as a turn of the tool.
const TOOL_TURN: &str = "<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n";

/// A tool's result in ChatML, as a turn of the user.
const TOOL_RESPONSE: &str =
    "<|im_start|>user\n<tool_response>\n{{content}}\n</tool_response><|im_end|>\n<|im_start|>assistant\n";

/// Every template, in no particular order.
pub(super) fn all() -> impl Iterator<Item = Template> {
    [
        deepseek::templates(),
        early::templates(),
        ernie::templates(),
        general::templates(),
        glm::templates(),
        google::templates(),
        llama::templates(),
        mistral::templates(),
        moonshot::templates(),
        others::templates(),
        qwen::templates(),
        single::templates(),
        small::templates(),
        tencent::templates(),
    ]
    .into_iter()
    .flatten()
}
