//! Hunyuan and Youtu, of Tencent.

use super::super::Template;
use super::super::draft::{BOS, template};

pub(super) fn templates() -> Vec<Template> {
    vec![
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
    ]
}
