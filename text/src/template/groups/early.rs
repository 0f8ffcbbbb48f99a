//! Templates of models from before the middle of 2024, which LLaMA-Factory 0.7.0 has and later versions dropped or
//! changed. Between an answer and the next question stands a separator, which belongs to the question.

use super::super::draft::{BOS, EOS, template, text, token};
use super::super::{Template, ToolFormat};
use super::{TOOL_TURN, chatml};

const AQUILA: &str = "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, \
    detailed, and polite answers to the human's questions.";

const CHATGLM3: &str = "You are ChatGLM3, a large language model trained by Zhipu.AI. Follow the user's instructions carefully. \
    Respond using markdown.";

const INTERNLM2: &str = "You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM (书生·浦语) is a conversational \
    language model that is developed by Shanghai AI Laboratory (上海人工智能实验室). It is designed to be \
    helpful, honest, and harmless.\n- InternLM (书生·浦语) can understand and communicate fluently in the \
    language chosen by the user such as English and 中文.";

const YAYI: &str = "You are a helpful, respectful and honest assistant named YaYi developed by Beijing Wenge Technology \
    Co.,Ltd. Always answer as helpfully as possible, while being safe.  Your answers should not include any \
    harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses \
    are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually \
    coherent, explain why instead of answering something not correct. If you don't know the answer to a \
    question, please don't share false information.";

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("aquila", "Human: {{content}}###Assistant:")
            .separator("###")
            .default_system(AQUILA)
            .stop(["</s>"])
            .efficient_eos()
            .build(),
        template("atom", [BOS, text("Human: {{content}}\n"), EOS, BOS, text("Assistant:")])
            .assistant([text("{{content}}\n"), EOS])
            .function([text("{{content}}"), EOS])
            .build(),
        template("baichuan", [token("<reserved_102>"), text("{{content}}"), token("<reserved_103>")])
            .efficient_eos()
            .build(),
        template("baichuan2", "<reserved_106>{{content}}<reserved_107>").efficient_eos().build(),
        template("belle", "Human: {{content}}\n\nBelle: ").prefix([BOS]).separator("\n\n").build(),
        template("bluelm", [token("[|Human|]:"), text("{{content}}"), token("[|AI|]:")]).build(),
        template("chatglm2", "[Round {{idx}}]\n\n问：{{content}}\n\n答：")
            .prefix([token("[gMASK]"), token("sop")])
            .separator("\n\n")
            .efficient_eos()
            .build(),
        template(
            "chatglm3_system",
            [token("<|user|>"), text("\n"), text("{{content}}"), token("<|assistant|>")],
        )
        .prefix([token("[gMASK]"), token("sop")])
        .system([token("<|system|>"), text("\n"), text("{{content}}")])
        .assistant([text("\n"), text("{{content}}")])
        .function("{{content}}")
        .observation([token("<|observation|>"), text("\n"), text("{{content}}"), token("<|assistant|>")])
        .tools(ToolFormat::ChatGlm3)
        .default_system(CHATGLM3)
        .stop(["<|user|>", "<|observation|>"])
        .efficient_eos()
        .build(),
        template("codegeex2", "{{content}}").prefix([token("[gMASK]"), token("sop")]).build(),
        template("cpm", "<用户>{{content}}<AI>").prefix([BOS]).build(),
        template("intern", [text("<|User|>:{{content}}"), token("<eoh>"), text("\n<|Bot|>:")])
            .separator([token("<eoa>"), text("\n")])
            .stop(["<eoa>"])
            .efficient_eos()
            .build(),
        // InternLM2; `intern2` is what later versions made of it.
        chatml("intern2_early")
            .system([BOS, text("<|im_start|>system\n{{content}}<|im_end|>\n")])
            .assistant("{{content}}")
            .separator("\n")
            .default_system(INTERNLM2)
            .stop(["<|im_end|>"])
            .efficient_eos()
            .build(),
        template("orion", [text("Human: {{content}}\n\nAssistant: "), EOS]).prefix([BOS]).build(),
        // Qwen 1 and 1.5; `qwen` is what later versions made of it.
        chatml("qwen1_5")
            .assistant([text("{{content}}"), EOS])
            .observation(TOOL_TURN)
            .separator("\n")
            .default_system("You are a helpful assistant.")
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        template("xverse", "Human: {{content}}\n\nAssistant: ").build(),
        template("yayi", [token("<|Human|>"), text(":\n{{content}}\n\n"), token("<|YaYi|>"), text(":")])
            .system([token("<|System|>"), text(":\n{{content}}\n\n")])
            .separator("\n\n")
            .default_system(YAYI)
            .stop(["<|End|>"])
            .build(),
        template("ziya", "<human>:{{content}}\n<bot>:").separator("\n").build(),
    ]
}
