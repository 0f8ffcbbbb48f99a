//! ERNIE, of Baidu.

use super::super::Template;
use super::super::draft::template;

pub(super) fn templates() -> Vec<Template> {
    vec![
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
    ]
}
