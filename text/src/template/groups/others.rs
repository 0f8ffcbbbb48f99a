//! Everything else: Cohere, InternLM, MiniCPM, MiniMax, Seed, GPT-OSS, Yuan.

use super::super::draft::{BOS, Draft, EOS, template, text, token};
use super::super::{Template, ToolFormat};
use super::{TOOL_TURN, chatml};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("cohere", "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{{content}}<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>")
            .prefix([BOS])
            .system("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{{content}}<|END_OF_TURN_TOKEN|>")
            .build(),
        chatml("cpm4").prefix([BOS]).observation(TOOL_TURN).stop(["<|im_end|>"]).build(),
        template("gpt_oss", "<|start|>user<|message|>{{content}}<|end|><|start|>assistant")
            .system("<|start|>system<|message|>{{content}}<|end|>")
            .default_system("You are ChatGPT, a large language model trained by OpenAI.")
            .thought("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>")
            .efficient_eos()
            .reasoning()
            .build(),
        chatml("intern2")
            .prefix([BOS])
            .default_system("You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM (书生·浦语) is a \
                 conversational language model that is developed by Shanghai AI Laboratory \
                 (上海人工智能实验室). It is designed to be helpful, honest, and harmless.\n- InternLM \
                 (书生·浦语) can understand and communicate fluently in the language chosen by the user \
                 such as English and 中文.")
            .stop(["<|im_end|>"])
            .build(),
        chatml("intern_vl")
            .prefix([BOS])
            .default_system("你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。")
            .stop(["<|im_end|>"])
            .build(),
        chatml("intern_s1").prefix([BOS]).stop(["<|im_end|>"]).build(),
        minicpm_v().build(),
        minicpm_v().renamed("minicpm_v_4_6").build(),
        chatml("minicpm_o")
            .default_system("You are a helpful assistant. You can accept audio and text input and output voice \
                 and text.")
            .stop(["<|im_end|>"])
            .build(),
        template("minimax1", "<beginning_of_sentence>user name=user\n{{content}}<end_of_sentence>\n<beginning_of_sentence>ai name=assistant\n")
            .system("<beginning_of_sentence>system ai_setting=assistant\n{{content}}<end_of_sentence>\n")
            .assistant("{{content}}<end_of_sentence>\n")
            .observation("<beginning_of_sentence>tool name=tools\n{{content}}<end_of_sentence>\n<beginning_of_sentence>ai name=assistant\n")
            .tools(ToolFormat::Minimax1)
            .default_system("You are a helpful assistant.")
            .stop(["<end_of_sentence>"])
            .build(),
        template("minimax2", "]~b]user\n{{content}}[e~[\n]~b]ai\n")
            .system("]~!b[]~b]system\n{{content}}[e~[\n")
            .assistant("{{content}}[e~[\n")
            .observation("]~b]tool\n<response>{{content}}</response>[e~[\n]~b]ai\n")
            .tools(ToolFormat::Minimax2)
            .default_system("You are a helpful assistant. Your name is MiniMax-M2.1 and is built by MiniMax.")
            .stop(["[e~["])
            .reasoning()
            .build(),
        template("seed_coder", [BOS, text("user\n{{content}}"), EOS, BOS, text("assistant\n")])
            .system([BOS, text("system\n{{content}}"), EOS])
            .default_system("You are an AI programming assistant, utilizing the Seed-Coder model, developed by \
                 ByteDance Seed, and you only answer questions related to computer science. For \
                 politically sensitive questions, security and privacy issues, and other \
                 non-computer science questions, you will refuse to answer.\n\n")
            .build(),
        template("seed_oss", [BOS, text("user\n{{content}}"), EOS, BOS, text("assistant\n")])
            .system([BOS, text("system\n{{content}}"), EOS])
            .function([BOS, text("\n{{content}}"), EOS])
            .tools(ToolFormat::SeedOss)
            .thought("<seed:think>", "</seed:think>")
            .reasoning()
            .build(),
        template("yuan", [text("{{content}}"), token("<sep>")])
            .assistant("{{content}}<eod>\n")
            .stop(["<eod>"])
            .build(),
    ]
}

fn minicpm_v() -> Draft {
    chatml("minicpm_v").default_system("You are a helpful assistant.").stop(["<|im_end|>"])
}
