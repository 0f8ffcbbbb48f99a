//! What a run says of itself, in the language of the page. Workers write English, into files that outlive the page;
//! what they write is known, so it is found here by its form.

use recipe::Lang;

/// Sentences with `{}` for each value, and the same in Chinese; of two that fit the first counts.
const SAID: &[(&str, &str)] = &[
    // Setting out
    ("training on {}", "训练设备：{}"),
    ("the vocabulary has grown to {} rows", "词表已扩展到 {} 行"),
    ("{} are trained, too", "{} 也参与训练"),
    ("Dataset \"{}\": 1 row.", "数据集“{}”：1 行。"),
    ("Dataset \"{}\": 1 row, {} left out.", "数据集“{}”：1 行，略去 {} 行。"),
    ("Dataset \"{}\": {} rows, {} left out.", "数据集“{}”：{} 行，略去 {} 行。"),
    ("Dataset \"{}\": {} rows; {}.", "数据集“{}”：{} 行；{}。"),
    ("Dataset \"{}\": {} rows.", "数据集“{}”：{} 行。"),
    ("Dataset \"{}\": encoded before, read from {}.", "数据集“{}”：先前已编码，读取自 {}。"),
    (
        "Dataset \"{}\": num_samples has no effect on streamed data.",
        "数据集“{}”：num_samples 对流式数据无效。",
    ),
    ("Dataset \"{}\": {}.", "数据集“{}”：{}。"),
    ("First example:\n{}", "第一个样本：\n{}"),
    ("The answer that the data give:\n{}", "数据给出的回答：\n{}"),
    ("What counts in its loss:\n{}", "其中计入损失的部分：\n{}"),
    (
        "{} examples are longer than {} tokens and were left out of packing.",
        "{} 个样本超过 {} 个词元，未参与打包。",
    ),
    (
        "The tokenized dataset is read from {}; other settings of data have no effect.",
        "已分词数据集读取自 {}；其他数据设置无效。",
    ),
    ("trainable params: {} || all params: {} || trainable%: {}", "可训练参数：{}，全部参数：{}，占比：{}%"),
    // Going on
    ("Going on from {} after step {}.", "从 {} 继续，自第 {} 步之后。"),
    ("Passing over a checkpoint that cannot be gone on from: {}", "跳过一个无法继续的检查点：{}"),
    (
        "Starting from step 0: an earlier run in {} ended before its first checkpoint.",
        "从第 0 步开始：{} 中先前的运行在首个检查点之前就已结束。",
    ),
    (
        "Starting from step 0: no checkpoint in {} can be gone on from.",
        "从第 0 步开始：{} 中没有可继续的检查点。",
    ),
    (
        "Starting afresh, as overwrite_output_dir is true: the checkpoints in {} go with the first step; \
         resume_from_checkpoint=true goes on from {} instead.",
        "因 overwrite_output_dir 为 true 而重新开始：{} 中的检查点将在第一步后删除；设 resume_from_checkpoint=true 可从 {} 继续。",
    ),
    (
        "{} is gone on with, so that the reference is the model without it; to be held to what it has learnt, set `create_new_adapter: true`, or name it in `ref_model_adapters` beside `ref_model`",
        "将继续训练 {}，参考模型因而是不含它的模型；若应以其所学为参考，请设 `create_new_adapter: true`，或在 `ref_model` 之外以 `ref_model_adapters` 指定它",
    ),
    (
        "{} is far above what models are tuned with (1e-6 to 1e-2): training will diverge",
        "{} 远高于常用范围（1e-6 至 1e-2）：训练会发散",
    ),
    // On the way
    ("An answer that scored {}: {}", "得分 {} 的回答：{}"),
    ("After step {} the learning rate is {}.", "第 {} 步之后，学习率为 {}。"),
    ("The loss of step {} is {}: the step is skipped.", "第 {} 步的损失为 {}：已跳过该步。"),
    ("The gradient norm of step {} is {}: the step is skipped.", "第 {} 步的梯度范数为 {}：已跳过该步。"),
    (
        "auto_find_batch_size has no effect: what a graphics card needs is not estimated",
        "auto_find_batch_size 无效：未估算显卡所需的内存",
    ),
    (
        "memory suffices for {} examples at a time: a step takes {} batches of them",
        "内存每次可容纳 {} 个样本：每步含 {} 批",
    ),
    ("From step {} on BAdam trains {}.", "自第 {} 步起，BAdam 训练 {}。"),
    (
        "Training ends after step {}: {} evaluations without a better one.",
        "训练在第 {} 步后结束：{} 次评估没有更好的结果。",
    ),
    // The end
    ("The best weights are those of {} ({} {}).", "最佳权重来自 {}（{} {}）。"),
    ("{} was the best but is gone: the last weights stay.", "{} 最佳但已不在：保留最后的权重。"),
    (
        "the loss of step {} is {}: training has diverged; try a lower learning_rate",
        "第 {} 步的损失为 {}：训练已发散；请降低 learning_rate",
    ),
    (
        "the gradient norm of step {} is {}: training has diverged; try a lower learning_rate",
        "第 {} 步的梯度范数为 {}：训练已发散；请降低 learning_rate",
    ),
    ("the engine broke: {}", "引擎出错：{}"),
    ("asked to stop after the current step", "已请求在当前步后停止"),
    ("cancelled", "已取消"),
    ("cancelled: steps after the last checkpoint are lost", "已取消：上一个检查点之后的步骤已丢失"),
    ("stopped after step {}, with a checkpoint", "在第 {} 步后停止，已保存检查点"),
    ("stopped before training began", "在训练开始前停止"),
    ("stopped before training went on", "在继续训练前停止"),
    (
        "its worker stood still and was ended: steps after the last checkpoint are lost",
        "训练进程停滞，已被结束：上一个检查点之后的步骤已丢失",
    ),
    ("the server ended: {}", "服务器已关闭：{}"),
    ("resumed: the server is back", "服务器已恢复，继续训练"),
    ("goes on by itself after it was cut off, from its beginning", "中断后自动继续，从头开始"),
    ("goes on by itself after it was cut off, from step {}", "中断后自动继续，从第 {} 步开始"),
    ("cut off after step {}: the machine went down", "在第 {} 步后中断：机器已关闭"),
    (
        "cut off after step {}: the worker was gone when the server came back, as when a container or both of them are \
         killed",
        "在第 {} 步后中断：服务器恢复时训练进程已不在，例如容器或两者被终止",
    ),
    (
        "the worker was killed (signal 9): by the system for want of memory, or by someone on this machine{}",
        "训练进程被终止（信号 9）：系统因内存不足，或由本机用户终止{}",
    ),
    (
        "the worker ended with exit code {} and no account of its end{}",
        "训练进程以退出码 {} 结束，未说明原因{}",
    ),
    ("the server ends: stopping after the current step", "服务器即将关闭：当前步后停止"),
    ("cannot start a worker: {}", "无法启动训练进程：{}"),
    ("cannot {} {}: {}", "无法执行（{}）{}：{}"),
    // A notice: key, value and why.
    ("{}: {} (`max_steps` decides when training ends)", "{}：{}（训练何时结束由 `max_steps` 决定）"),
    ("{} is in {}", "{} 位于 {}"),
];

/// A sentence of a run in a language; what is not known stays as it is.
pub fn said(text: &str, lang: Lang) -> String {
    let found = match lang {
        Lang::En => None,
        Lang::Zh => SAID.iter().find_map(|(form, zh)| Some((values(form, text)?, zh))),
    };
    let Some((values, form)) = found else { return text.to_owned() };
    let mut parts = form.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (value, part) in values.iter().zip(parts) {
        filled.push_str(value);
        filled.push_str(part);
    }
    filled
}

/// The values that a sentence of this form has, if it is of this form.
fn values<'a>(form: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = form.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty().then(Vec::new) };
    let mut values = Vec::new();
    for part in between {
        let (value, after) = rest.split_once(part)?;
        values.push(value);
        rest = after;
    }
    values.push(rest.strip_suffix(last)?);
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_known_by_their_form() {
        let cases = [
            ("Dataset \"identity\": 90 rows.", "数据集“identity”：90 行。"),
            (
                "the loss of step 3 is NaN: training has diverged; try a lower learning_rate",
                "第 3 步的损失为 NaN：训练已发散；请降低 learning_rate",
            ),
            ("cancelled", "已取消"),
            ("cancelled by nobody", "cancelled by nobody"),
            ("stopped after step 12, with a checkpoint", "在第 12 步后停止，已保存检查点"),
            (
                "the worker ended with exit code 1 and no account of its end; its last words: no",
                "训练进程以退出码 1 结束，未说明原因; its last words: no",
            ),
            ("First example:\nDataset \"x\": 1 rows.", "第一个样本：\nDataset \"x\": 1 rows."),
            ("", ""),
        ];
        for (text, zh) in cases {
            assert_eq!((said(text, Lang::Zh), said(text, Lang::En)), (zh.to_owned(), text.to_owned()));
        }
    }

    #[test]
    fn both_languages_have_the_same_holes() {
        for (en, zh) in SAID {
            assert_eq!(en.matches("{}").count(), zh.matches("{}").count(), "{en}");
        }
    }
}
