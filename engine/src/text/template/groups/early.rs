//! Templates of models from before the middle of 2024, which LLaMA-Factory 0.7.0 has and later versions dropped. Between
//! an answer and the next question stands a separator, which belongs to the question.

use super::super::draft::{BOS, EOS, template, text, token};
use super::super::{Template, ToolFormat};
use super::{TOOL_TURN, chatml};

pub(super) fn templates() -> Vec<Template> {
    vec![
        template("aquila", "Human: {{content}}###Assistant:")
            .separator("###")
            .default_system(
                "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, \
                 detailed, and polite answers to the human's questions.",
            )
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
        .default_system(
            "You are ChatGLM3, a large language model trained by Zhipu.AI. Follow the user's instructions carefully. \
             Respond using markdown.",
        )
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
        template(
            "yayi",
            [token("<|Human|>"), text(":\n{{content}}\n\n"), token("<|YaYi|>"), text(":")],
        )
        .system([token("<|System|>"), text(":\n{{content}}\n\n")])
        .separator("\n\n")
        .default_system(
            "You are a helpful, respectful and honest assistant named YaYi developed by Beijing Wenge Technology \
             Co.,Ltd. Always answer as helpfully as possible, while being safe.  Your answers should not include any \
             harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses \
             are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually \
             coherent, explain why instead of answering something not correct. If you don't know the answer to a \
             question, please don't share false information.",
        )
        .stop(["<|End|>"])
        .build(),
        template("ziya", "<human>:{{content}}\n<bot>:").separator("\n").build(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::{Dialogue, Message, Piece, Role, Template};

    /// What the pieces of a conversation of two questions say, turn by turn.
    fn turns(name: &str) -> Vec<(String, String)> {
        let messages = ["Q", "A", "R", "B"]
            .into_iter()
            .enumerate()
            .map(|(place, content)| {
                Message::new(if place % 2 == 0 { Role::User } else { Role::Assistant }, content)
            })
            .collect();
        let template = Template::named(name).expect(name);
        let turns = template.turns(&Dialogue { messages, ..Dialogue::default() }, false).expect("turns");
        let written = |pieces: &[Piece]| -> String {
            let one = |piece: &Piece| match piece {
                Piece::Text(text) | Piece::Token(text) => text.clone(),
                Piece::Bos => "BOS".into(),
                Piece::Eos => "EOS".into(),
            };
            pieces.iter().map(one).collect()
        };
        turns.iter().map(|(prompt, answer)| (written(prompt), written(answer))).collect()
    }

    /// As LLaMA-Factory 0.7.0 writes them.
    #[test]
    fn separators_belong_to_the_next_question() {
        for (name, expected) in [
            ("ziya", [("<human>:Q\n<bot>:", "AEOS"), ("\n<human>:R\n<bot>:", "BEOS")]),
            (
                "chatglm2",
                [("[gMASK]sop[Round 0]\n\n问：Q\n\n答：", "A"), ("\n\n[Round 1]\n\n问：R\n\n答：", "B")],
            ),
            ("intern", [("<|User|>:Q<eoh>\n<|Bot|>:", "A"), ("<eoa>\n<|User|>:R<eoh>\n<|Bot|>:", "B")]),
            ("belle", [("BOSHuman: Q\n\nBelle: ", "AEOS"), ("\n\nHuman: R\n\nBelle: ", "BEOS")]),
            (
                "qwen1_5",
                [
                    (
                        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n",
                        "AEOS",
                    ),
                    ("\n<|im_start|>user\nR<|im_end|>\n<|im_start|>assistant\n", "BEOS"),
                ],
            ),
        ] {
            let expected: Vec<_> = expected.iter().map(|(q, a)| ((*q).to_owned(), (*a).to_owned())).collect();
            assert_eq!(turns(name), expected, "{name}");
        }
    }
}
