//! Models made to be small: SmolLM, Phi, Granite, Falcon, OLMo, LFM.

use super::super::draft::{BOS, Draft, EOS, template};
use super::super::{Template, ToolFormat};
use super::{TOOL_TURN, chatml};

pub(super) fn templates() -> Vec<Template> {
    vec![
        chatml("smollm").stop(["<|im_end|>"]).build(),
        chatml("smollm2")
            .default_system("You are a helpful AI assistant named SmolLM, trained by Hugging Face.")
            .stop(["<|im_end|>"])
            .build(),
        phi().build(),
        phi().renamed("phi_small").build(),
        template("phi4", "<|im_start|>user<|im_sep|>{{content}}<|im_end|><|im_start|>assistant<|im_sep|>")
            .system("<|im_start|>system<|im_sep|>{{content}}<|im_end|>")
            .assistant("{{content}}<|im_end|>")
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        template("phi4_mini", "<|user|>{{content}}<|end|><|assistant|>")
            .system("<|system|>{{content}}<|end|>")
            .assistant("{{content}}<|end|>")
            .raw_tools("<|tool|>{{content}}<|/tool|>")
            .stop(["<|end|>"])
            .replace_eos()
            .build(),
        template("granite3", "<|start_of_role|>user<|end_of_role|>{{content}}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>")
            .system("<|start_of_role|>system<|end_of_role|>{{content}}<|end_of_text|>\n")
            .assistant("{{content}}<|end_of_text|>\n")
            .build(),
        template("granite3_vision", "<|user|>\n{{content}}\n<|assistant|>\n")
            .system("<|system|>\n{{content}}\n")
            .default_system("A chat between a curious user and an artificial intelligence assistant. The \
                 assistant gives helpful, detailed, and polite answers to the user's questions.")
            .build(),
        template("granite4", "<|start_of_role|>user<|end_of_role|>{{content}}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>")
            .system("<|start_of_role|>system<|end_of_role|>{{content}}<|end_of_text|>\n")
            .assistant("{{content}}<|end_of_text|>\n")
            .observation("<|start_of_role|>tool<|end_of_role|>{{content}}<|end_of_text|>\n<|start_of_role|>assistant\n")
            .default_system("You are Granite, developed by IBM. You are a helpful AI assistant.")
            .stop(["<|end_of_text|>"])
            .build(),
        template("falcon", "User: {{content}}\nFalcon:")
            .assistant("{{content}}\n")
            .efficient_eos()
            .build(),
        chatml("falcon_h1")
            .prefix([BOS])
            .observation(TOOL_TURN)
            .stop(["<|im_end|>", "<|end_of_text|>"])
            .build(),
        template("olmo", "<|user|>\n{{content}}<|assistant|>\n").prefix([EOS]).build(),
        chatml("lfm2")
            .observation("<|im_start|>tool\n<|tool_response_start|>{{content}}<|tool_response_end|><|im_end|>\n<|im_start|>assistant\n")
            .tools(ToolFormat::Lfm2)
            .default_system("You are a helpful AI assistant.")
            .stop(["<|im_end|>"])
            .tool_call_words("<|tool_call_start|>", "<|tool_call_end|>")
            .replace_eos()
            .build(),
        chatml("lfm2_vl")
            .observation("<|im_start|>tool\n<|tool_response_start|>{{content}}<|tool_response_end|><|im_end|>\n<|im_start|>assistant\n")
            .tools(ToolFormat::Lfm2)
            .default_system("You are a helpful multimodal assistant by Liquid AI.")
            .stop(["<|im_end|>"])
            .tool_call_words("<|tool_call_start|>", "<|tool_call_end|>")
            .replace_eos()
            .build(),
    ]
}

fn phi() -> Draft {
    template("phi", "<|user|>\n{{content}}<|end|>\n<|assistant|>\n")
        .system("<|system|>\n{{content}}<|end|>\n")
        .assistant("{{content}}<|end|>\n")
        .stop(["<|end|>"])
        .replace_eos()
}
