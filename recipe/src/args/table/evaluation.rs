//! On what, when and by which measure a model is evaluated.

macro_rules! evaluation {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Evaluation {
            /// Evaluates after training; without `do_train`, evaluates alone.
            do_eval: bool = false => {
                label { en: "Evaluate", zh: "评估" }
                help { zh: "训练后进行评估；不设 `do_train` 时只评估。" }
                advanced()
            }
            /// Answers the evaluation data and writes what came of it: texts with their scores, or those of a reward model.
            do_predict: bool = false => {
                label { en: "Predict", zh: "预测" }
                help { zh: "回答评估数据并写出结果：文本及其得分；奖励模型则写出评分。" }
                advanced() stages(PREDICTED)
            }
            /// Evaluates by the texts that the model writes: BLEU and ROUGE against the answers of the data, not the loss.
            predict_with_generate: bool = false => {
                label { en: "Predict by generating", zh: "生成式评估" }
                help { zh: "以模型生成的文本评估：与数据中的回答比较 BLEU 与 ROUGE，而非损失。" }
                advanced() stages(SFT)
            }
            /// Datasets to evaluate on, instead of a part of the training data.
            eval_dataset: Vec<String> = Vec::new() => {
                label { en: "Evaluation data", zh: "评估数据集" }
                help { zh: "用于评估的数据集，代替从训练数据中划分。" }
                placeholder(words! { en: "none", zh: "无" })
            }
            /// Evaluates each of these datasets by itself, not all of them together.
            eval_on_each_dataset: bool = false => {
                label { en: "Evaluate each by itself", zh: "分别评估" }
                help { zh: "对各评估数据集分别评估，而不合在一起。" }
                advanced()
            }
            /// Part of the training data kept for evaluation: a share below 1, or a number of rows.
            val_size: f64 = 0.0 => {
                label { en: "Validation size", zh: "验证集大小" }
                help { zh: "从训练数据中留作评估的部分：小于 1 为比例，否则为行数。" }
                from(0.0, ROWS) step(0.01)
            }
            /// When the model is evaluated during training.
            eval_strategy: Strategy = Strategy::No => {
                label { en: "Evaluate during training", zh: "评估策略" }
                help { zh: "训练中何时评估模型。" }
                synonyms(&["evaluation_strategy"])
            }
            /// Steps between two evaluations; below 1, a share of all steps. Unset: as often as logging.
            eval_steps: Option<Steps> = None => {
                label { en: "Eval steps", zh: "评估间隔" }
                help { zh: "两次评估之间的步数；小于 1 时为占总步数的比例。不设则与日志间隔相同。" }
                above(0.0, STEPS) placeholder(words! { en: "same as logging steps", zh: "同日志间隔" })
            }
            /// Steps (or epochs, where each is evaluated) before the first evaluation.
            eval_delay: f64 = 0.0 => {
                label { en: "Eval delay", zh: "评估延迟" }
                help { zh: "首次评估之前的步数（按轮评估时为轮数）。" }
                from(0.0, STEPS) advanced()
            }
            /// Evaluates before the first step, too: where training starts from.
            eval_on_start: bool = false => {
                label { en: "Evaluate at the start", zh: "开始时评估" }
                help { zh: "在第一步之前也评估：了解训练的起点。" }
                advanced()
            }
            /// Evaluations without a better one after which training ends. Unset: it goes on to its last step.
            early_stopping_steps: Option<u64> = None => {
                label { en: "Early stopping", zh: "提前停止" }
                help { zh: "连续多少次评估没有更好时结束训练。不设则训练到最后一步。" }
                from(1.0, 1e6) advanced() placeholder(words! { en: "off", zh: "关闭" })
            }
            /// Examples in one pass of evaluation.
            per_device_eval_batch_size: usize = 8 => {
                label { en: "Evaluation batch size", zh: "评估批大小" }
                help { zh: "评估时一次前向所含的样本数。" }
                from(1.0, 65_536.0) advanced()
            }
            /// Ends with the weights of the best checkpoint instead of the last ones.
            load_best_model_at_end: bool = false => {
                label { en: "Load best model at end", zh: "结束时加载最佳模型" }
                help { zh: "以评估最好的检查点的权重作为结果，而不是最后的权重。" }
                advanced()
            }
            /// What tells the best checkpoint: loss, accuracy, or that of one dataset, as NAME_loss.
            metric_for_best_model: Option<String> = None => {
                label { en: "Metric for best model", zh: "最佳模型指标" }
                help { zh: "以何指标判断最佳检查点：loss、accuracy，或某一数据集的指标，如 NAME_loss。" }
                advanced() placeholder(words! { en: "loss", zh: "loss" })
            }
            /// Whether more of the metric is better. Unset: less is, if it is a loss.
            greater_is_better: Option<bool> = None => {
                label { en: "Greater is better", zh: "越大越好" }
                help { zh: "指标是否越大越好。不设时，损失越小越好，其余越大越好。" }
                advanced() placeholder(words! { en: "unless it is a loss", zh: "损失除外" })
            }
            /// Measures how often the model's likeliest token is the right one.
            compute_accuracy: bool = false => {
                label { en: "Token accuracy", zh: "词元准确率" }
                help { zh: "评估时统计模型最可能的词元恰为正确词元的比例。" }
                advanced() stages(SFT)
            }
        } }
    };
}
