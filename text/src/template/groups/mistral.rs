//! Mistral, and others that spell turns `[INST]`.

use super::super::draft::{BOS, Draft, EOS, template, text};
use super::super::{Template, ToolFormat};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("mistral", "[INST] {{content}}[/INST]")
            .prefix([BOS])
            .system("{{content}}\n\n")
            .assistant([text(" {{content}}"), EOS])
            .function([text("[TOOL_CALLS] {{content}}"), EOS])
            .observation("[TOOL_RESULTS] {\"content\": {{content}}}[/TOOL_RESULTS]")
            .tools(ToolFormat::Mistral)
            .system_in_user()
            .build(),
        template("mistral_small", "[INST]{{content}}[/INST]")
            .prefix([BOS])
            .system("[SYSTEM_PROMPT]{{content}}[/SYSTEM_PROMPT]")
            .function([text("[TOOL_CALLS]{{content}}"), EOS])
            .observation("[TOOL_RESULTS]{\"content\": {{content}}}[/TOOL_RESULTS]")
            .tools(ToolFormat::Mistral)
            .build(),
        ministral().build(),
        ministral().renamed("ministral3").build(),
        ministral().renamed("pixtral").build(),
    ]
}

fn ministral() -> Draft {
    template("ministral", "[INST]{{content}}[/INST]")
        .prefix([BOS])
        .system("{{content}}\n\n")
        .function([text("[TOOL_CALLS]{{content}}"), EOS])
        .observation("[TOOL_RESULTS]{\"content\": {{content}}}[/TOOL_RESULTS]")
        .tools(ToolFormat::Mistral)
        .system_in_user()
}
