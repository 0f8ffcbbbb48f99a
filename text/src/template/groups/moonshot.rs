//! Moonlight and Kimi, of Moonshot.

use super::super::Template;
use super::super::draft::{Draft, template};

pub(super) fn templates() -> Vec<Template> {
    vec![
        moonshot("moonlight")
            .default_system("You are a helpful assistant provided by Moonshot-AI.")
            .replace_eos()
            .build(),
        moonshot("kimi_vl")
            .default_system("You are a helpful assistant")
            .thought("◁think▷", "◁/think▷")
            .reasoning()
            .build(),
    ]
}

fn moonshot(name: &str) -> Draft {
    template(name, "<|im_user|>user<|im_middle|>{{content}}<|im_end|><|im_assistant|>assistant<|im_middle|>")
        .system("<|im_system|>system<|im_middle|>{{content}}<|im_end|>")
        .assistant("{{content}}<|im_end|>")
        .stop(["<|im_end|>"])
}
