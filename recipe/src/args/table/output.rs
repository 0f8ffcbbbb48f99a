//! What a run writes.

macro_rules! output {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Output {
            /// Folder for the result, its checkpoints and logs.
            output_dir: String = String::new() => {
                label { en: "Output folder", zh: "输出文件夹" }
                help { zh: "存放结果、检查点与日志的文件夹。" }
                path() essential()
            }
            /// Starts afresh in a folder that holds an earlier run, instead of going on from its newest checkpoint.
            overwrite_output_dir: bool = false => {
                label { en: "Overwrite output", zh: "覆盖输出" }
                help { zh: "文件夹中已有运行时从头开始，而不是从其最新检查点继续。" }
                advanced()
            }
            /// Goes on from this checkpoint; true = the newest in the output folder.
            resume_from_checkpoint: Option<String> = None => {
                label { en: "Resume from", zh: "从检查点继续" }
                help { zh: "从该检查点继续；true 表示输出文件夹中最新的一个。" }
                path() advanced() placeholder(words! { en: "the newest, if any", zh: "最新的一个（如有）" })
            }
            /// Steps between two logged points; below 1, a share of all steps.
            logging_steps: Steps = Steps::Count(500) => {
                label { en: "Logging steps", zh: "日志间隔" }
                help { zh: "两次记录之间的步数；小于 1 时为占总步数的比例。" }
                above(0.0, STEPS)
            }
            /// Logs the first step too.
            logging_first_step: bool = false => {
                label { en: "Log first step", zh: "记录第一步" }
                help { zh: "同时记录第一步。" }
                advanced()
            }
            /// When a checkpoint is written.
            save_strategy: Strategy = Strategy::Steps => {
                label { en: "Save", zh: "保存策略" }
                help { zh: "何时写入检查点。" }
                advanced() refused(&["best"])
            }
            /// Steps between two checkpoints; below 1, a share of all steps.
            save_steps: Steps = Steps::Count(500) => {
                label { en: "Save steps", zh: "保存间隔" }
                help { zh: "两个检查点之间的步数；小于 1 时为占总步数的比例。" }
                above(0.0, STEPS)
            }
            /// Keeps the newest so many checkpoints and deletes older ones.
            save_total_limit: Option<usize> = None => {
                label { en: "Save total limit", zh: "检查点数量上限" }
                help { zh: "只保留最新的若干个检查点，删除更早的。" }
                from(1.0, 1e6) advanced() placeholder(words! { en: "all", zh: "全部" })
            }
            /// Leaves the optimizer's state out of checkpoints: smaller, but the run cannot be resumed from them.
            save_only_model: bool = false => {
                label { en: "Save model only", zh: "仅保存模型" }
                help { zh: "检查点不含优化器状态：更小，但不能从中继续训练。" }
                advanced()
            }
            /// Draws the curve of each metric into the output folder, as PNG and as SVG.
            plot_loss: bool = false => {
                label { en: "Plot loss", zh: "绘制损失曲线" }
                help { zh: "在输出文件夹中绘制各项指标的曲线（PNG 与 SVG）。" }
                advanced()
            }
            /// Tools that get the curves beside the run's own logs: none, or tensorboard. Services on the net get nothing.
            report_to: Vec<String> = vec!["none".to_owned()] => {
                label { en: "Report to", zh: "同时记录到" }
                help { zh: "除运行自身的日志外，还将曲线写给哪些工具：none 或 tensorboard。不会发送给网络服务。" }
                advanced() placeholder(words! { en: "none", zh: "无" })
            }
            /// Folder for TensorBoard's files. Unset: `runs` in the output folder.
            logging_dir: Option<String> = None => {
                label { en: "Logging folder", zh: "日志文件夹" }
                help { zh: "TensorBoard 文件所在文件夹。不设则为输出文件夹中的 `runs`。" }
                path() advanced() placeholder(words! { en: "runs in the output folder", zh: "输出文件夹中的 runs" })
            }
        } }
    };
}
