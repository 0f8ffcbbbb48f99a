//! DeepSeek.

use super::super::Template;
use super::super::draft::{BOS, template};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("deepseek", "User: {{content}}\n\nAssistant:")
            .prefix([BOS])
            .system("{{content}}\n\n")
            .build(),
        template("deepseek3", "<｜User｜>{{content}}<｜Assistant｜>").prefix([BOS]).build(),
        template("deepseekr1", "<｜User｜>{{content}}<｜Assistant｜>").prefix([BOS]).reasoning().build(),
        template("deepseekcoder", "### Instruction:\n{{content}}\n### Response:")
            .prefix([BOS])
            .assistant("\n{{content}}\n<|EOT|>\n")
            .default_system(
                "You are an AI programming assistant, utilizing the DeepSeek Coder model, developed \
                 by DeepSeek Company, and you only answer questions related to computer science. For \
                 politically sensitive questions, security and privacy issues, and other \
                 non-computer science questions, you will refuse to answer.\n",
            )
            .build(),
    ]
}
