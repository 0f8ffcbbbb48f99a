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
        glm4().build(),
        template("glm4_moe", "<|user|>\n{{content}}<|assistant|>")
            .prefix("[gMASK]<sop>")
            .system("<|system|>\n{{content}}")
            .assistant("\n{{content}}")
            .function("{{content}}")
            .observation("<|observation|>\n{{content}}<|assistant|>")
            .tools(ToolFormat::Glm4Moe)
            .stop(["<|user|>", "<|observation|>"])
            .efficient_eos()
            .reasoning()
            .build(),
        template("glm4v", "<|user|>\n{{content}}<|assistant|>")
            .prefix("[gMASK]<sop>")
            .system("<|system|>\n{{content}}")
            .assistant("\n{{content}}")
            .function("{{content}}")
            .observation("<|observation|>\n{{content}}<|assistant|>")
            .tools(ToolFormat::Glm4)
            .stop(["<|user|>", "<|observation|>", "</answer>"])
            .efficient_eos()
            .reasoning()
            .build(),
        template("glm4_5v", "<|user|>\n{{content}}<|assistant|>")
            .prefix("[gMASK]<sop>")
            .system("<|system|>\n{{content}}")
            .assistant("\n{{content}}")
            .function("{{content}}")
            .observation("<|observation|>\n{{content}}<|assistant|>")
            .tools(ToolFormat::Glm4Moe)
            .stop(["<|user|>", "<|observation|>", "</answer>"])
            .efficient_eos()
            .reasoning()
            .build(),
        glm4().renamed("glm_ocr").build(),
        template("glm4_7", "<|user|>\n{{content}}<|assistant|>")
            .prefix("[gMASK]<sop>")
            .system("<|system|>\n{{content}}")
            .assistant("\n{{content}}")
            .function("{{content}}")
            .observation("<|observation|>\n{{content}}<|assistant|>")
            .tools(ToolFormat::Glm4Moe)
            .stop(["<|user|>", "<|observation|>"])
            .thought("<think>", "</think>")
            .efficient_eos()
            .closed_thought()
            .build(),
        template("glmz1", "<|user|>\n{{content}}<|assistant|>")
            .prefix("[gMASK]<sop>")
            .system("<|system|>\n{{content}}")
            .assistant("\n{{content}}")
            .function("{{content}}")
            .observation("<|observation|>\n{{content}}<|assistant|>")
            .tools(ToolFormat::Glm4)
            .stop(["<|user|>", "<|observation|>"])
            .efficient_eos()
            .reasoning()
            .build(),
        template("aeva", "<|user|>\n{{content}}<|assistant|>")
            .prefix("[gMASK]<sop>")
            .system("<|system|>\n{{content}}")
            .assistant("\n{{content}}")
            .function("{{content}}")
            .observation("<|observation|>\n{{content}}<|assistant|>")
            .tools(ToolFormat::Glm4Moe)
            .default_system(
                "You are an AI assistant named Aeva created by Zongzhi Lou. Your answer should be \
                 friendly, unbiased, faithful, informative and detailed.",
            )
            .stop(["<|user|>", "<|observation|>"])
            .thought("<think>", "</think>")
            .efficient_eos()
            .closed_thought()
            .build(),
    ]
}

fn glm4() -> Draft {
    template("glm4", "<|user|>\n{{content}}<|assistant|>")
        .prefix("[gMASK]<sop>")
        .system("<|system|>\n{{content}}")
        .assistant("\n{{content}}")
        .function("{{content}}")
        .observation("<|observation|>\n{{content}}<|assistant|>")
        .tools(ToolFormat::Glm4)
        .stop(["<|user|>", "<|observation|>"])
        .efficient_eos()
}
