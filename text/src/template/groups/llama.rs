//! Llama and what was tuned from it.

use super::super::draft::{BOS, Draft, EOS, template, text};
use super::super::{Template, ToolFormat};
use super::{TOOL_RESPONSE, chatml};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("llama2", [BOS, text("[INST] {{content}} [/INST]")])
            .system("<<SYS>>\n{{content}}\n<</SYS>>\n\n")
            .system_in_user()
            .build(),
        template("llama2_zh", [BOS, text("[INST] {{content}} [/INST]")])
            .system("<<SYS>>\n{{content}}\n<</SYS>>\n\n")
            .default_system("You are a helpful assistant. 你是一个乐于助人的助手。")
            .system_in_user()
            .build(),
        llama3().build(),
        template("llama4", "<|header_start|>user<|header_end|>\n\n{{content}}<|eot|><|header_start|>assistant<|header_end|>\n\n")
            .prefix([BOS])
            .system("<|header_start|>system<|header_end|>\n\n{{content}}<|eot|>")
            .assistant("{{content}}<|eot|>")
            .observation("<|header_start|>ipython<|header_end|>\n\n{{content}}<|eot|><|header_start|>assistant<|header_end|>\n\n")
            .tools(ToolFormat::Llama3)
            .stop(["<|eot|>", "<|eom|>"])
            .replace_eos()
            .build(),
        llama3().renamed("mllama").build(),
        llava().build(),
        llava().renamed("llava_next").build(),
        llama3().renamed("llava_next_llama3").build(),
        llava_next_mistral().build(),
        chatml("llava_next_qwen")
            .observation(TOOL_RESPONSE)
            .tools(ToolFormat::Qwen)
            .default_system("You are a helpful assistant.")
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        llava().renamed("llava_next_video").build(),
        llava_next_mistral().renamed("llava_next_video_mistral").build(),
        llava_next_video_yi().build(),
        llava_next_video_yi().renamed("llava_next_yi").build(),
        llava().renamed("video_llava").build(),
        llava_next_video_yi().renamed("yi").build(),
        template("yi_vl", "### Human: {{content}}\n### Assistant:")
            .assistant("{{content}}\n")
            .default_system("This is a chat between an inquisitive human and an AI assistant. Assume the role of \
                 the AI assistant. Read all the images carefully, and respond to the human's \
                 questions with informative, helpful, detailed and polite answers. \
                 这是一个好奇的人类和一个人工智能助手之间的对话。假设你扮演这个AI助手的角色。仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、详细的和礼貌的回答。\n\n")
            .stop(["###"])
            .efficient_eos()
            .build(),
    ]
}

fn llama3() -> Draft {
    template("llama3", "<|start_header_id|>user<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
        .prefix([BOS])
        .system("<|start_header_id|>system<|end_header_id|>\n\n{{content}}<|eot_id|>")
        .assistant("{{content}}<|eot_id|>")
        .observation("<|start_header_id|>ipython<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
        .tools(ToolFormat::Llama3)
        .stop(["<|eot_id|>", "<|eom_id|>"])
        .replace_eos()
}

fn llava() -> Draft {
    template("llava", "USER: {{content}} ASSISTANT:").default_system(
        "A chat between a curious user and an artificial intelligence assistant. The \
             assistant gives helpful, detailed, and polite answers to the user's questions.",
    )
}

fn llava_next_mistral() -> Draft {
    template("llava_next_mistral", "[INST] {{content}}[/INST]")
        .prefix([BOS])
        .system("{{content}}\n\n")
        .assistant([text(" {{content}}"), EOS])
        .function([text("[TOOL_CALLS] {{content}}"), EOS])
        .observation("[TOOL_RESULTS] {\"content\": {{content}}}[/TOOL_RESULTS]")
        .tools(ToolFormat::Mistral)
        .system_in_user()
}

fn llava_next_video_yi() -> Draft {
    chatml("llava_next_video_yi").stop(["<|im_end|>"])
}
