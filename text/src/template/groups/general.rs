//! Plain formats that belong to no model.

use super::super::Template;
use super::super::draft::{EOS, template, text};
use super::{TOOL_TURN, chatml};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("default", [text("Human: {{content}}"), EOS, text("\nAssistant:")])
            .system([text("System: {{content}}"), EOS, text("\n")])
            .assistant([text("{{content}}"), EOS, text("\n")])
            .replace_jinja()
            .build(),
        template("empty", "{{content}}").assistant("{{content}}").build(),
        template("alpaca", "### Instruction:\n{{content}}\n\n### Response:\n")
            .assistant([text("{{content}}"), EOS, text("\n\n")])
            .default_system(
                "Below is an instruction that describes a task. Write a response that appropriately \
                 completes the request.\n\n",
            )
            .replace_jinja()
            .build(),
        template("vicuna", "USER: {{content}} ASSISTANT:")
            .default_system(
                "A chat between a curious user and an artificial intelligence assistant. The \
                 assistant gives helpful, detailed, and polite answers to the user's questions.",
            )
            .replace_jinja()
            .build(),
        template("fewshot", "{{content}}")
            .assistant("{{content}}\n\n")
            .efficient_eos()
            .replace_jinja()
            .build(),
        chatml("chatml")
            .observation(TOOL_TURN)
            .stop(["<|im_end|>", "<|im_start|>"])
            .replace_eos()
            .replace_jinja()
            .build(),
        chatml("chatml_de")
            .observation(TOOL_TURN)
            .default_system("Du bist ein freundlicher und hilfsbereiter KI-Assistent.")
            .stop(["<|im_end|>", "<|im_start|>"])
            .replace_eos()
            .replace_jinja()
            .build(),
    ]
}
