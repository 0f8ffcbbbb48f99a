//! Gemma and PaliGemma.

use super::super::draft::{BOS, Draft, template};
use super::super::{Template, ToolFormat};

pub(super) fn templates() -> Vec<Template> {
    vec![
        gemma().build(),
        template("gemma2", "<start_of_turn>user\n{{content}}<end_of_turn>\n<start_of_turn>model\n")
            .prefix([BOS])
            .system("{{content}}\n\n")
            .assistant("{{content}}<end_of_turn>\n")
            .observation("<start_of_turn>tool\n{{content}}<end_of_turn>\n<start_of_turn>model\n")
            .stop(["<eos>", "<end_of_turn>"])
            .efficient_eos()
            .system_in_user()
            .build(),
        gemma().renamed("gemma3").build(),
        gemma().renamed("gemma3n").build(),
        gemma4().build(),
        gemma4().renamed("gemma4n").build(),
        template("paligemma", "{{content}}\n").prefix([BOS]).system_in_user().build(),
        template("paligemma_chat", "<start_of_turn>user\n{{content}}<end_of_turn>\n<start_of_turn>model\n")
            .prefix([BOS])
            .assistant("{{content}}<end_of_turn>\n")
            .observation("<start_of_turn>tool\n{{content}}<end_of_turn>\n<start_of_turn>model\n")
            .stop(["<end_of_turn>"])
            .replace_eos()
            .system_in_user()
            .build(),
    ]
}

fn gemma() -> Draft {
    template("gemma", "<start_of_turn>user\n{{content}}<end_of_turn>\n<start_of_turn>model\n")
        .prefix([BOS])
        .system("{{content}}\n\n")
        .assistant("{{content}}<end_of_turn>\n")
        .observation("<start_of_turn>tool\n{{content}}<end_of_turn>\n<start_of_turn>model\n")
        .stop(["<end_of_turn>"])
        .replace_eos()
        .system_in_user()
}

fn gemma4() -> Draft {
    template("gemma4", "<|turn>user\n{{content}}<turn|>\n<|turn>model\n")
        .prefix([BOS])
        .system("<|turn>system\n<|think|>{{content}}<turn|>\n")
        .assistant("{{content}}<turn|>\n")
        .function("<|tool>{{content}}<tool|>")
        .observation("<|turn>tool\n{{content}}<turn|>\n<|turn>model\n")
        .tools(ToolFormat::Gemma4)
        .default_system("You are a helpful assistant.")
        .stop(["<turn|>"])
        .thought("<|channel>thought\n", "<channel|>")
        .replace_eos()
        .reasoning()
}
