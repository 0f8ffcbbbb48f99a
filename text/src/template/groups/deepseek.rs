//! DeepSeek, and others of its look.

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
        template("hunyuan", "{{content}}<|extra_0|>")
            .prefix("<|startoftext|>")
            .system("{{content}}<|extra_4|>")
            .assistant("{{content}}<|eos|>")
            .stop(["<|eos|>"])
            .build(),
        template("hunyuan_small", "<｜hy_User｜>{{content}}<｜hy_place▁holder▁no▁8｜>")
            .prefix("<｜hy_begin▁of▁sentence｜>")
            .system("{{content}}<｜hy_place▁holder▁no▁3｜>")
            .assistant("{{content}}<｜hy_place▁holder▁no▁2｜>")
            .stop(["<｜hy_place▁holder▁no▁2｜>"])
            .build(),
        template("hy3", "<｜hy_User｜>{{content}}<｜hy_Assistant｜>")
            .prefix([BOS])
            .assistant("{{content}}<｜hy_eos｜>")
            .stop(["<｜hy_eos｜>"])
            .thought("<think>", "</think>")
            .replace_eos()
            .reasoning()
            .build(),
        template("youtu", "<|User|>{{content}}<|Assistant|>")
            .prefix([BOS])
            .assistant("{{content}}<|end_of_text|>")
            .function("{{content}}")
            .observation("<tool_response>\n{{content}}\n</tool_response><|Assistant|>")
            .stop(["<|end_of_text|>"])
            .replace_eos()
            .reasoning()
            .build(),
        template(
            "youtu_vl",
            "<|begin_of_text|>user\n{{content}}<|end_of_text|>\n<|begin_of_text|>assistant\n",
        )
        .system("<|begin_of_text|>system\n{{content}}<|end_of_text|>\n")
        .assistant("{{content}}<|end_of_text|>\n")
        .default_system("You are a helpful assistant.")
        .stop(["<|end_of_text|>"])
        .build(),
        template("ernie", "<|im_start|>user\n{{content}}<|im_end|>\n\n<|im_start|>assistant\n")
            .system("<|im_start|>system\n{{content}}<|im_end|>\n\n")
            .assistant("{{content}}<|im_end|>\n\n")
            .observation("<|im_start|>tool\n{{content}}<|im_end|>\n\n<|im_start|>assistant\n")
            .default_system("<global_setting>\nthink_mode=True\n</global_setting>")
            .stop(["<|im_end|>"])
            .build(),
        template("ernie_nothink", "User: {{content}}\nAssistant: ")
            .prefix("<|begin_of_sentence|>")
            .system("{{content}}\n")
            .assistant("{{content}}<|end_of_sentence|>")
            .stop(["<|end_of_sentence|>"])
            .build(),
        template("ernie_vl", "User: {{content}}")
            .system("{{content}}\n")
            .assistant("\nAssistant: {{content}}<|end_of_sentence|>")
            .stop(["<|end_of_sentence|>"])
            .replace_eos()
            .replace_jinja()
            .reasoning()
            .build(),
        template(
            "moonlight",
            "<|im_user|>user<|im_middle|>{{content}}<|im_end|><|im_assistant|>assistant<|im_middle|>",
        )
        .system("<|im_system|>system<|im_middle|>{{content}}<|im_end|>")
        .assistant("{{content}}<|im_end|>")
        .default_system("You are a helpful assistant provided by Moonshot-AI.")
        .stop(["<|im_end|>"])
        .replace_eos()
        .build(),
        template(
            "kimi_vl",
            "<|im_user|>user<|im_middle|>{{content}}<|im_end|><|im_assistant|>assistant<|im_middle|>",
        )
        .system("<|im_system|>system<|im_middle|>{{content}}<|im_end|>")
        .assistant("{{content}}<|im_end|>")
        .default_system("You are a helpful assistant")
        .stop(["<|im_end|>"])
        .thought("◁think▷", "◁/think▷")
        .reasoning()
        .build(),
    ]
}
