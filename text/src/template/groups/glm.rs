//! ChatGLM and GLM.

use super::super::draft::{Draft, template, text, token};
use super::super::{Template, ToolFormat};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("chatglm3", [token("<|user|>"), text("\n"), text("{{content}}"), token("<|assistant|>")])
            .prefix([token("[gMASK]"), token("sop")])
            .system([token("<|system|>"), text("\n"), text("{{content}}")])
            .assistant([text("\n"), text("{{content}}")])
            .function("{{content}}")
            .observation([token("<|observation|>"), text("\n"), text("{{content}}"), token("<|assistant|>")])
            .tools(ToolFormat::Glm4)
            .stop(["<|user|>", "<|observation|>"])
            .efficient_eos()
            .build(),
        glm4("glm4", ToolFormat::Glm4).build(),
        glm4("glm4_moe", ToolFormat::Glm4Moe).reasoning().build(),
        glm4("glm4v", ToolFormat::Glm4).stop(VISION_STOPS).reasoning().build(),
        glm4("glm4_5v", ToolFormat::Glm4Moe).stop(VISION_STOPS).reasoning().build(),
        glm4("glm_ocr", ToolFormat::Glm4).build(),
        glm4("glm4_7", ToolFormat::Glm4Moe).thought("<think>", "</think>").closed_thought().build(),
        glm4("glmz1", ToolFormat::Glm4).reasoning().build(),
        glm4("aeva", ToolFormat::Glm4Moe)
            .default_system(
                "You are an AI assistant named Aeva created by Zongzhi Lou. Your answer should be \
                 friendly, unbiased, faithful, informative and detailed.",
            )
            .thought("<think>", "</think>")
            .closed_thought()
            .build(),
    ]
}

const VISION_STOPS: [&str; 3] = ["<|user|>", "<|observation|>", "</answer>"];

/// GLM-4's prompt, which its successors share; they differ in how tools are told, in thoughts and in what stops them.
fn glm4(name: &str, tools: ToolFormat) -> Draft {
    template(name, "<|user|>\n{{content}}<|assistant|>")
        .prefix("[gMASK]<sop>")
        .system("<|system|>\n{{content}}")
        .assistant("\n{{content}}")
        .function("{{content}}")
        .observation("<|observation|>\n{{content}}<|assistant|>")
        .tools(tools)
        .stop(["<|user|>", "<|observation|>"])
        .efficient_eos()
}
