//! What the engine remarks on a model and a template, in both languages.

use engine::text::Remark;
use recipe::{Problem, Sentence};

/// The remark at the argument that it is about.
pub fn told(remark: &Remark) -> Problem {
    let (key, zh) = match remark {
        Remark::OwnTemplate => ("template", "未指定模板；将从分词器自带的对话模板中读取。".to_owned()),
        Remark::MarkedTemplate => (
            "template",
            "未指定模板；对话由分词器自带的对话模板写出，其中标记为生成的部分（{% generation %}）计入损失。"
                .to_owned(),
        ),
        Remark::NoTemplate => (
            "template",
            "未指定模板，且模型没有自带的对话模板，文本将不加任何格式；请指定模型训练时所用的模板。"
                .to_owned(),
        ),
        Remark::Thinking { template } => {
            ("template", format!("模板“{template}”用于会思考的模型；其他模型可能有以“_nothink”结尾的模板。"))
        }
        Remark::Disagreement { template, ours, own } => (
            "template",
            format!(
                "模板“{template}”书写对话的方式与模型自带的对话模板不同：{ours:?}，而模型自带的为 {own:?}。"
            ),
        ),
        Remark::NewTokens(tokens) => (
            "resize_vocab",
            format!("词表中没有 {}；请开启 resize_vocab，使模型为其增加词向量。", tokens.join("、")),
        ),
    };
    Problem::of(key, Sentence::english(remark.to_string()).zh(zh))
}
