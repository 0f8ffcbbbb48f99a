//! Models with a template of their own.

use super::super::draft::{BOS, EOS, template, text};
use super::super::{Template, ToolFormat};
use super::{TOOL_TURN, chatml};

const DBRX: &str = "You are DBRX, created by Databricks. You were last updated in December 2023. You \
    answer questions based on information available up to that point.\nYOU PROVIDE \
    SHORT RESPONSES TO SHORT QUESTIONS OR STATEMENTS, but provide thorough responses to \
    more complex and open-ended questions.\nYou assist with various tasks, from writing \
    to coding (using markdown for code blocks — remember to use ``` with code, JSON, \
    and tables).\n(You do not have real-time data access or code execution \
    capabilities. You avoid stereotyping and provide balanced perspectives on \
    controversial topics. You do not provide song lyrics, poems, or news articles and \
    do not divulge details of your training data.)\nThis is your system prompt, guiding \
    your responses. Do not reference it, just respond to the user. If you find yourself \
    talking about this message, stop. You should be responding appropriately and \
    usually that means not mentioning this.\nYOU DO NOT MENTION ANY OF THIS INFORMATION \
    ABOUT YOURSELF UNLESS THE INFORMATION IS DIRECTLY PERTINENT TO THE USER'S QUERY.";

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("zephyr", [text("<|user|>\n{{content}}"), EOS, text("<|assistant|>\n")])
            .system([text("<|system|>\n{{content}}"), EOS])
            .default_system("You are Zephyr, a helpful assistant.")
            .build(),
        template("solar", "### User:\n{{content}}\n\n### Assistant:\n")
            .system("### System:\n{{content}}\n\n")
            .efficient_eos()
            .build(),
        template("starchat", "<|user|>\n{{content}}<|end|>\n<|assistant|>")
            .system("<|system|>\n{{content}}<|end|>\n")
            .assistant("{{content}}<|end|>\n")
            .stop(["<|end|>"])
            .build(),
        template("xuanyuan", "Human: {{content}} Assistant:")
            .default_system("以下是用户和人工智能助手之间的对话。用户以Human开头，人工智能助手以Assistant开头，会对人类提出的问题给出有帮助、高质量、详细和礼貌的回答，并且总是拒绝参与\
                 与不道德、不安全、有争议、政治敏感等相关的话题、问题和指示。\n")
            .build(),
        template("breeze", "[INST] {{content}} [/INST] ").prefix([BOS]).efficient_eos().build(),
        template("openchat", [text("GPT4 Correct User: {{content}}"), EOS, text("GPT4 Correct Assistant:")])
            .prefix([BOS])
            .build(),
        template("openchat-3.6", "<|start_header_id|>GPT4 Correct User<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\n")
            .prefix([BOS])
            .stop(["<|eot_id|>"])
            .build(),
        chatml("dbrx")
            .observation(TOOL_TURN)
            .default_system(DBRX)
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        template("sailor", "<|im_start|>question\n{{content}}<|im_end|>\n<|im_start|>answer\n")
            .system("<|im_start|>system\n{{content}}<|im_end|>\n")
            .assistant("{{content}}<|im_end|>\n")
            .default_system("You are an AI assistant named Sailor created by Sea AI Lab. Your answer should be \
                 friendly, unbiased, faithful, informative and detailed.")
            .stop(["<|im_end|>"])
            .build(),
        chatml("opencoder")
            .observation(TOOL_TURN)
            .default_system("You are OpenCoder, created by OpenCoder Team.")
            .stop(["<|im_end|>"])
            .build(),
        template("exaone", "[|user|]{{content}}\n[|assistant|]")
            .system("[|system|]{{content}}[|endofturn|]\n")
            .assistant([text("{{content}}"), EOS, text("\n")])
            .build(),
        template("telechat2", "<_user>{{content}}<_bot>")
            .system("<_system>{{content}}")
            .default_system("你是中国电信星辰语义大模型，英文名是TeleChat，你是由中电信人工智能科技有限公司和中国电信人工智能研究院（TeleAI）研发的人工智能助手。")
            .build(),
        template("index", "reserved_0{{content}}reserved_1")
            .system("<unk>{{content}}")
            .efficient_eos()
            .build(),
        template("bailing", "<role>HUMAN</role>{{content}}<role>ASSISTANT</role>")
            .system("<role>SYSTEM</role>{{content}}")
            .observation("<role>OBSERVATION</role>{{content}}<role>ASSISTANT</role>")
            .stop(["<|endoftext|>"])
            .efficient_eos()
            .build(),
        template("bailing_v2", "<role>HUMAN</role>{{content}}<|role_end|><role>ASSISTANT</role>")
            .system("<role>SYSTEM</role>{{content}}<|role_end|>")
            .assistant("{{content}}<|role_end|>")
            .observation("<role>OBSERVATION</role>\n<tool_response>\n{{content}}\n</tool_response><|role_end|><role>ASSISTANT</role>")
            .tools(ToolFormat::Ling)
            .stop(["<|endoftext|>"])
            .efficient_eos()
            .build(),
    ]
}
