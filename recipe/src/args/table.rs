//! The table itself.
//!
//! An entry reads: the English help as the field's documentation, `key: type = default`, then the
//! label in both languages and the help in Chinese, and what else the form and the reader should know.
//! Adding an argument is one entry here, its key out of [`super::unsupported`], and one use in the
//! engine.

use super::field::{Field, Typed};
use super::tokens::HubTokens;
use super::{
    Argument, FinetuningType, Group, Kind, LrScheduler, MixStrategy, Optim, Range, RopeScaling, Settings,
    Stage, Steps, Strategy, Tier, ToolFormat,
};
use crate::text::Text;

/// The part of an [`Argument`] that its entry states; the rest follows from key, type and group.
struct Entry {
    label: Text,
    help_zh: &'static str,
    is_path: bool,
    range: Option<Range>,
    step: Option<f64>,
    stages: &'static [Stage],
    methods: &'static [FinetuningType],
    tier: Tier,
    placeholder: Option<Text>,
    synonyms: &'static [&'static str],
    refused: &'static [&'static str],
}

/// Starts an entry: label in both languages, help in Chinese.
const fn entry(label: &'static str, label_zh: &'static str, help_zh: &'static str) -> Entry {
    Entry {
        label: Text::new(label, label_zh),
        help_zh,
        is_path: false,
        range: None,
        step: None,
        stages: &[],
        methods: &[],
        tier: Tier::Common,
        placeholder: None,
        synonyms: &[],
        refused: &[],
    }
}

const LORA: &[FinetuningType] = &[FinetuningType::Lora];
const FULL: &[FinetuningType] = &[FinetuningType::Full];
const SFT: &[Stage] = &[Stage::Sft];

/// Steps of a run, and whatever is given in them, at most; far above what anybody waits for.
const STEPS: f64 = 1e12;
/// Rows that are taken, at most.
const ROWS: f64 = 1e9;

impl Entry {
    const fn path(mut self) -> Entry {
        self.is_path = true;
        self
    }

    const fn essential(mut self) -> Entry {
        self.tier = Tier::Essential;
        self
    }

    const fn advanced(mut self) -> Entry {
        self.tier = Tier::Advanced;
        self
    }

    const fn range(mut self, min: f64, max: f64, min_allowed: bool, max_allowed: bool) -> Entry {
        self.range = Some(Range {
            min: if min.is_finite() { Some(min) } else { None },
            max: if max.is_finite() { Some(max) } else { None },
            min_allowed,
            max_allowed,
        });
        self
    }

    const fn from(self, min: f64, max: f64) -> Entry {
        self.range(min, max, true, true)
    }

    /// Above `min`, up to `max`.
    const fn above(self, min: f64, max: f64) -> Entry {
        self.range(min, max, false, true)
    }

    /// From `min`, below `max`.
    const fn half_open(self, min: f64, max: f64) -> Entry {
        self.range(min, max, true, false)
    }

    const fn step(mut self, step: f64) -> Entry {
        self.step = Some(step);
        self
    }

    const fn methods(mut self, methods: &'static [FinetuningType]) -> Entry {
        self.methods = methods;
        self
    }

    const fn stages(mut self, stages: &'static [Stage]) -> Entry {
        self.stages = stages;
        self
    }

    const fn placeholder(mut self, en: &'static str, zh: &'static str) -> Entry {
        self.placeholder = Some(Text::new(en, zh));
        self
    }

    const fn synonyms(mut self, synonyms: &'static [&'static str]) -> Entry {
        self.synonyms = synonyms;
        self
    }

    const fn refused(mut self, values: &'static [&'static str]) -> Entry {
        self.refused = values;
        self
    }

    /// Completes the entry. `help` is the field's documentation, with the blank that rustdoc keeps.
    const fn finish<T: Typed>(self, key: &'static str, group: Group, help: &'static str) -> Argument {
        Argument {
            key,
            group,
            kind: if self.is_path { Kind::Path } else { T::KIND },
            optional: T::OPTIONAL,
            range: self.range,
            step: self.step,
            label: self.label,
            help: Text::new(help.trim_ascii(), self.help_zh),
            stages: self.stages,
            methods: self.methods,
            tier: self.tier,
            placeholder: self.placeholder,
            synonyms: self.synonyms,
            refused: self.refused,
        }
    }
}

/// Makes [`Recipe`], its default, access to its fields by key, and the table of [`Argument`]s.
macro_rules! argument_table {
    ($($group:ident {$(
        $(#[doc = $help:literal])+
        $key:ident: $type:ty = $default:expr => $entry:expr;
    )+})+) => {
        /// A run as it is asked for: one field per argument.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Recipe {
            $($( $(#[doc = $help])+ pub $key: $type, )+)+
            /// Keys that are accepted without effect, as typed and in their order; see
            /// [`Recipe::notices`].
            pub without_effect: Vec<(String, String)>,
            /// Who asks the hubs, where the recipe says so.
            pub tokens: HubTokens,
        }

        impl Default for Recipe {
            fn default() -> Recipe {
                Recipe {
                    $($( $key: $default, )+)+
                    without_effect: Vec::new(),
                    tokens: HubTokens::default(),
                }
            }
        }

        impl Recipe {
            pub(crate) fn field(&self, key: &str) -> Option<&dyn Field> {
                match key {
                    $($( stringify!($key) => Some(&self.$key), )+)+
                    _ => None,
                }
            }

            pub(crate) fn field_mut(&mut self, key: &str) -> Option<&mut dyn Field> {
                match key {
                    $($( stringify!($key) => Some(&mut self.$key), )+)+
                    _ => None,
                }
            }
        }

        static ARGUMENTS: &[Argument] = &[$($(
            $entry.finish::<$type>(stringify!($key), Group::$group, concat!($($help),+)),
        )+)+];
    };
}

/// Every argument, in the order of the form and of a written YAML.
pub fn arguments() -> &'static [Argument] {
    ARGUMENTS
}

argument_table! {
    Model {
        /// Folder of a model in Hugging Face layout, a .gguf file, or a model's name on a hub (owner/name): the Hugging Face hub, or ModelScope with USE_MODELSCOPE_HUB=1.
        model_name_or_path: String = String::new()
            => entry("Model", "模型", "Hugging Face 格式的模型文件夹、.gguf 文件，或模型站点上的名称（owner/name）：默认 Hugging Face，设置 USE_MODELSCOPE_HUB=1 时为魔搭社区 ModelScope。").path().essential();
        /// Branch, tag or commit of a model that is read from a hub by its name.
        model_revision: String = "main".to_owned()
            => entry("Revision", "模型版本", "从模型站点按名称读取的模型的分支、标签或提交。").advanced();
        /// Adapter folders to start from. All but the last are merged into the model; the last one is trained on.
        adapter_name_or_path: Vec<String> = Vec::new()
            => entry("Adapters", "适配器", "作为起点的适配器文件夹。除最后一个外全部合并进模型，最后一个继续训练。")
                .methods(LORA).placeholder("none", "无");
        /// Stretches rotary positions so that texts longer than the model's context can be trained on.
        rope_scaling: Option<RopeScaling> = None
            => entry("RoPE scaling", "RoPE 缩放", "拉伸旋转位置编码，使训练文本可以超过模型原有的上下文长度。")
                .advanced().placeholder("off", "关闭");
        /// Grows the embeddings to the size of the tokenizer, rounded up to a multiple of 64.
        resize_vocab: bool = false
            => entry("Resize vocabulary", "扩展词表", "将嵌入层扩展到分词器的大小（向上取整到 64 的倍数）。").advanced();
        /// Starts from random weights; of the model, only config.json and the tokenizer are read.
        train_from_scratch: bool = false
            => entry("From scratch", "从零训练", "从随机权重开始；只读取模型的 config.json 与分词器。").advanced().methods(FULL);
        /// Runs on the CPU even where there is an accelerator.
        use_cpu: bool = false
            => entry("Use the CPU", "使用 CPU", "即使有加速卡也在 CPU 上运行。").advanced().synonyms(&["no_cuda"]);
    }

    Method {
        /// Training objective: pt = plain text, sft = answers to instructions.
        stage: Stage = Stage::Sft
            => entry("Stage", "训练阶段", "训练内容：pt 为纯文本，sft 为指令问答。")
                .essential().refused(&["rm", "ppo", "dpo", "kto", "orpo"]);
        /// Train.
        do_train: bool = false
            => entry("Train", "训练", "进行训练。").advanced();
        /// Which weights change: lora = small matrices beside the frozen model, full = every weight.
        finetuning_type: FinetuningType = FinetuningType::Lora
            => entry("Method", "微调方法", "训练哪些权重：lora 为冻结模型旁的低秩矩阵，full 为全部权重。")
                .essential().refused(&["freeze", "oft"]);
    }

    Lora {
        /// Rank of the low-rank matrices: higher learns more and costs more.
        lora_rank: usize = 8
            => entry("LoRA rank", "LoRA 秩", "低秩矩阵的秩：越大学得越多，开销也越大。").from(1.0, 8192.0).methods(LORA);
        /// Scale of the update; alpha / rank multiplies it. Unset: twice the rank.
        lora_alpha: Option<usize> = None
            => entry("LoRA alpha", "LoRA 缩放系数", "更新量的缩放：乘以 alpha / 秩。不设则为秩的两倍。")
                .from(1.0, 1e6).methods(LORA).placeholder("twice the rank", "秩的两倍");
        /// Share of a layer's input that is randomly dropped before the low-rank matrices.
        lora_dropout: f64 = 0.0
            => entry("LoRA dropout", "LoRA 随机丢弃", "进入低秩矩阵之前随机丢弃的输入比例。")
                .half_open(0.0, 1.0).step(0.05).methods(LORA);
        /// Linear layers that get low-rank matrices, by the end of their name; all = every one but the output head.
        lora_target: Vec<String> = vec!["all".to_owned()]
            => entry("Target modules", "LoRA 作用模块", "加上低秩矩阵的线性层（按名称结尾匹配）；all 表示除输出层外全部。")
                .methods(LORA).placeholder("all", "all");
        /// Layers that are trained in full and saved with the adapter, such as embed_tokens or lm_head.
        additional_target: Vec<String> = Vec::new()
            => entry("Modules to save", "附加模块", "全参数训练并随适配器保存的层，如 embed_tokens、lm_head。")
                .advanced().methods(LORA).placeholder("none", "无");
        /// Scales the update by alpha / sqrt(rank) instead of alpha / rank.
        use_rslora: bool = false
            => entry("Rank-stabilised LoRA", "rsLoRA", "更新量按 alpha / √秩 缩放，而不是 alpha / 秩。").advanced().methods(LORA);
        /// Merges the given adapters into the model and trains a new one, instead of training the last one on.
        create_new_adapter: bool = false
            => entry("New adapter", "新建适配器", "将给定的适配器合并进模型并训练新的适配器，而不是继续训练最后一个。")
                .advanced().methods(LORA);
    }

    Data {
        /// Names of datasets, from dataset_info.json.
        dataset: Vec<String> = Vec::new()
            => entry("Datasets", "数据集", "数据集名称，取自 dataset_info.json。").essential();
        /// Folder that holds dataset_info.json; REMOTE:owner/name if it is in a repository on the Hugging Face hub; ONLINE if datasets are named as on a hub (owner/name).
        dataset_dir: String = "data".to_owned()
            => entry("Data folder", "数据文件夹", "存放 dataset_info.json 的文件夹；若该文件在 Hugging Face 仓库中，填 REMOTE:owner/name；填 ONLINE 时数据集按站点上的名称（owner/name）读取。").path().advanced();
        /// How a conversation is written as the model's prompt. Must be the one the model was trained with. Unset: the model's own chat template.
        template: Option<String> = None
            => entry("Template", "对话模板", "将对话写成模型提示词的格式，须与模型训练时所用的一致。不设则用模型自带的对话模板。")
                .essential().placeholder("the model's own", "模型自带");
        /// Longest example in tokens; what is longer is cut.
        cutoff_len: usize = 2048
            => entry("Cutoff length", "截断长度", "每条样本的最大词元数，超出部分被截断。").from(1.0, 16_777_216.0);
        /// Takes at most so many rows of each dataset.
        max_samples: Option<usize> = None
            => entry("Max samples", "最大样本数", "每个数据集最多取多少行。").from(1.0, ROWS).placeholder("all rows", "全部");
        /// How several datasets become one.
        mix_strategy: MixStrategy = MixStrategy::Concat
            => entry("Mixing strategy", "混合方式", "多个数据集的合并方式。").advanced();
        /// Shares at which interleaving draws from the datasets, with commas between them. Unset: in turns.
        interleave_probs: Vec<String> = Vec::new()
            => entry("Mixing ratios", "混合比例", "交错时从各数据集抽取的比例，以逗号分隔。不设则轮流抽取。")
                .advanced().placeholder("uniform", "均匀");
        /// Reads data while training goes on, for data that are too large to be encoded beforehand. Needs max_steps.
        streaming: bool = false
            => entry("Streaming", "流式读取", "边训练边读取数据，用于无法预先编码的大数据；须设置 max_steps。").advanced();
        /// Rows that streaming shuffles among themselves.
        buffer_size: usize = 16384
            => entry("Shuffle buffer", "打乱缓冲区", "流式读取时在多少行之间打乱顺序。").from(1.0, ROWS).advanced();
        /// Folder for the encoded data: read if it holds some, else written.
        tokenized_path: Option<String> = None
            => entry("Tokenized dataset path", "已编码数据", "存放已编码数据的文件夹：其中已有则读取，否则写入。")
                .path().advanced().placeholder("none", "无");
        /// Encodes data again that an earlier run has encoded.
        overwrite_cache: bool = false
            => entry("Overwrite cache", "重新编码", "重新编码先前已编码过的数据。").advanced();
        /// Joins examples into sequences of the full cutoff length. Unset: on for pre-training, off otherwise.
        packing: Option<bool> = None
            => entry("Packing", "样本打包", "将样本拼成截断长度的序列。不设时：预训练开启，其余关闭。")
                .advanced().placeholder("auto", "自动");
        /// Packs without letting the examples of a sequence see each other.
        neat_packing: bool = false
            => entry("Neat packing", "无污染打包", "打包时各样本互不可见。").advanced().stages(SFT);
        /// Examples that are packed among themselves: packing fills sequences from so many at a time.
        preprocessing_batch_size: usize = 1000
            => entry("Packing batch", "打包批量", "每次取多少条样本相互打包。").from(1.0, 1e6).advanced();
        /// Counts the loss on prompts too, not on answers alone.
        train_on_prompt: bool = false
            => entry("Train on prompts", "训练提示词", "损失也计入提示词，而不只是回答。").advanced().stages(SFT);
        /// Counts the loss on the last answer of a conversation alone.
        mask_history: bool = false
            => entry("Mask history", "屏蔽历史", "只对对话的最后一个回答计算损失。").advanced().stages(SFT);
        /// System prompt for conversations that have none. Unset: the template's own.
        default_system: Option<String> = None
            => entry("System prompt", "系统提示词", "用于没有系统提示词的对话。不设则用模板自带的。")
                .advanced().stages(SFT).placeholder("the template's own", "模板自带");
        /// How tools and calls of tools are written. Unset: as the template does.
        tool_format: Option<ToolFormat> = None
            => entry("Tool format", "工具格式", "工具说明与工具调用的写法。不设则用模板自带的。")
                .advanced().stages(SFT).placeholder("the template's own", "模板自带");
        /// For models that think: true trains an empty thought before answers that have none, false puts it into the prompt.
        enable_thinking: Option<bool> = Some(true)
            => entry("Thinking", "思考模式", "用于推理模型：true 时无思考的回答前训练一段空思考，false 时空思考放入提示词。")
                .advanced().stages(SFT);
        /// For models that think: keeps the thoughts of earlier answers, which mask_history leaves out otherwise.
        preserve_thinking: bool = false
            => entry("Keep thoughts", "保留思考", "用于推理模型：保留先前回答中的思考，否则 mask_history 会将其略去。")
                .advanced().stages(SFT);
    }

    Training {
        /// Highest learning rate, reached after warm-up.
        learning_rate: f64 = 5e-5
            => entry("Learning rate", "学习率", "预热后达到的最高学习率。").above(0.0, 100.0);
        /// Passes over the training data.
        num_train_epochs: f64 = 3.0
            => entry("Epochs", "训练轮数", "遍历数据的次数。").above(0.0, 1e5).step(1.0);
        /// Ends after so many optimizer steps, whatever the epochs say; -1 = by epochs.
        max_steps: i64 = -1
            => entry("Max steps", "最大步数", "达到该优化步数即结束，不论轮数；-1 表示按轮数。").from(-1.0, STEPS).advanced();
        /// Examples in one forward and backward pass.
        per_device_train_batch_size: usize = 8
            => entry("Batch size", "批大小", "一次前向与反向所含的样本数。").from(1.0, 65_536.0);
        /// Passes whose gradients are added up before one optimizer step.
        gradient_accumulation_steps: usize = 1
            => entry("Gradient accumulation", "梯度累积", "累加多少次梯度后执行一次优化步。").from(1.0, 1e6);
        /// How the learning rate goes over the steps.
        lr_scheduler_type: LrScheduler = LrScheduler::Linear
            => entry("LR scheduler", "学习率调度", "学习率随步数的变化方式。").refused(&["reduce_lr_on_plateau", "greedy"]);
        /// Settings of the schedule, such as {num_cycles: 3} for cosine_with_restarts.
        lr_scheduler_kwargs: Settings = Settings::default()
            => entry("Scheduler kwargs", "调度参数", "学习率调度的参数，例如 cosine_with_restarts 的 {num_cycles: 3}。")
                .advanced().placeholder("scheduler default", "调度默认");
        /// Steps over which the learning rate rises from 0; below 1, a share of all steps.
        warmup_steps: Steps = Steps::Count(0)
            => entry("Warm-up steps", "预热步数", "学习率从 0 升起的步数；小于 1 时为占总步数的比例。").from(0.0, STEPS);
        /// The same as a share of all steps, unless steps are given.
        warmup_ratio: f64 = 0.0
            => entry("Warm-up ratio", "预热比例", "同上，以占总步数的比例表示；给出步数时以步数为准。").half_open(0.0, 1.0).step(0.01);
        /// Gradients are scaled down to this norm; 0 = off.
        max_grad_norm: f64 = 1.0
            => entry("Max gradient norm", "最大梯度范数", "梯度超过该范数时按比例缩小；0 为关闭。").from(0.0, 1e12).step(0.1);
        /// Weight of the loss that keeps the experts of a mixture evenly used.
        moe_aux_loss_coef: Option<f64> = None
            => entry("MoE balance loss", "专家均衡损失", "使混合专家模型各专家负载均衡的辅助损失的系数。")
                .from(0.0, 1e3).step(0.001).advanced().placeholder("off", "关闭");
        /// Noise on the embeddings while training (NEFTune), which makes answers less literal; 5 is common.
        neftune_noise_alpha: Option<f64> = None
            => entry("NEFTune noise", "NEFTune 噪声", "训练时加在嵌入上的噪声强度（NEFTune），使回答不过于照搬；常用 5。")
                .above(0.0, 1e4).step(1.0).advanced().placeholder("off", "关闭");
        /// Pull of the weights towards 0, apart from biases and norms.
        weight_decay: f64 = 0.0
            => entry("Weight decay", "权重衰减", "使权重趋向 0 的力度（偏置与归一化层除外）。").from(0.0, 100.0).step(0.01).advanced();
        /// The optimizer.
        optim: Optim = Optim::AdamwTorch
            => entry("Optimizer", "优化器", "优化算法。").advanced().refused(&[
                "adafactor", "sgd", "adagrad", "rmsprop", "lion_32bit", "lion_8bit", "adamw_8bit", "adamw_bnb_8bit",
                "paged_adamw_8bit", "paged_adamw_32bit", "paged_lion_8bit", "paged_lion_32bit", "ademamix", "lomo", "adalomo",
            ]);
        /// Decay of AdamW's running mean of gradients.
        adam_beta1: f64 = 0.9
            => entry("Adam beta 1", "Adam β₁", "AdamW 梯度滑动平均的衰减率。").half_open(0.0, 1.0).step(0.01).advanced();
        /// Decay of AdamW's running mean of squared gradients.
        adam_beta2: f64 = 0.999
            => entry("Adam beta 2", "Adam β₂", "AdamW 梯度平方滑动平均的衰减率。").half_open(0.0, 1.0).step(0.001).advanced();
        /// Keeps AdamW from dividing by 0.
        adam_epsilon: f64 = 1e-8
            => entry("Adam epsilon", "Adam ε", "防止 AdamW 除以 0。").above(0.0, 1.0).advanced();
        /// Frozen weights and arithmetic in bfloat16, trained weights in float32. Off: all in float32.
        bf16: bool = false
            => entry("bfloat16", "bfloat16", "冻结权重与计算用 bfloat16，被训练的权重用 float32。关闭时全部用 float32。");
        /// Runs as bf16 does: bfloat16 reaches as far as float32, so that nothing overflows and no loss has to be scaled.
        fp16: bool = false
            => entry("float16", "float16", "按 bf16 运行：bfloat16 的数值范围与 float32 相同，不会溢出，也无需缩放损失。").advanced();
        /// The same as bf16: what is trained, and the optimizer's state, stay in float32.
        pure_bf16: bool = false
            => entry("Pure bfloat16", "纯 bfloat16", "与 bf16 相同：被训练的权重与优化器状态仍为 float32。").advanced();
        /// Keeps every layer's activations instead of computing them again: faster, more memory.
        disable_gradient_checkpointing: bool = false
            => entry("No gradient checkpointing", "关闭梯度检查点", "保留每层激活值而不重新计算：更快，但更占内存。").advanced();
        /// Goes through the data in file order.
        disable_shuffling: bool = false
            => entry("No shuffling", "不打乱顺序", "按文件顺序遍历数据。").advanced();
        /// Seed of everything random: the same seed gives the same run.
        seed: u64 = 42
            => entry("Seed", "随机种子", "一切随机性的种子：种子相同，运行结果相同。").advanced();
        /// Seed of the data's order. Unset: the seed.
        data_seed: Option<u64> = None
            => entry("Data seed", "数据随机种子", "数据顺序的种子。不设则同随机种子。")
                .advanced().placeholder("the seed", "同随机种子");
    }

    Output {
        /// Folder for the result, its checkpoints and logs.
        output_dir: String = String::new()
            => entry("Output folder", "输出文件夹", "存放结果、检查点与日志的文件夹。").path().essential();
        /// Starts afresh in a folder that holds an earlier run, instead of going on from its newest checkpoint.
        overwrite_output_dir: bool = false
            => entry("Overwrite output", "覆盖输出", "文件夹中已有运行时从头开始，而不是从其最新检查点继续。").advanced();
        /// Goes on from this checkpoint; true = the newest in the output folder.
        resume_from_checkpoint: Option<String> = None
            => entry("Resume from", "从检查点继续", "从该检查点继续；true 表示输出文件夹中最新的一个。")
                .path().advanced().placeholder("the newest, if any", "最新的一个（如有）");
        /// Steps between two logged points; below 1, a share of all steps.
        logging_steps: Steps = Steps::Count(500)
            => entry("Logging steps", "日志间隔", "两次记录之间的步数；小于 1 时为占总步数的比例。").above(0.0, STEPS);
        /// Logs the first step too.
        logging_first_step: bool = false
            => entry("Log first step", "记录第一步", "同时记录第一步。").advanced();
        /// When a checkpoint is written.
        save_strategy: Strategy = Strategy::Steps
            => entry("Save", "保存策略", "何时写入检查点。").advanced().refused(&["best"]);
        /// Steps between two checkpoints; below 1, a share of all steps.
        save_steps: Steps = Steps::Count(500)
            => entry("Save steps", "保存间隔", "两个检查点之间的步数；小于 1 时为占总步数的比例。").above(0.0, STEPS);
        /// Keeps the newest so many checkpoints and deletes older ones.
        save_total_limit: Option<usize> = None
            => entry("Save total limit", "保留检查点数", "只保留最新的若干个检查点，删除更早的。")
                .from(1.0, 1e6).advanced().placeholder("all", "全部");
        /// Leaves the optimizer's state out of checkpoints: smaller, but the run cannot be resumed from them.
        save_only_model: bool = false
            => entry("Save model only", "仅保存模型", "检查点不含优化器状态：更小，但不能从中继续训练。").advanced();
        /// Draws the loss curve into the output folder.
        plot_loss: bool = false
            => entry("Plot loss", "绘制损失曲线", "在输出文件夹中绘制损失曲线。").advanced();
        /// Tools that get the curves beside the run's own logs: none, or tensorboard.
        report_to: Vec<String> = vec!["none".to_owned()]
            => entry("Report to", "同时记录到", "除运行自身的日志外，还将曲线写给哪些工具：none 或 tensorboard。")
                .advanced().placeholder("none", "无");
        /// Folder for TensorBoard's files. Unset: `runs` in the output folder.
        logging_dir: Option<String> = None
            => entry("Logging folder", "日志文件夹", "TensorBoard 文件所在文件夹。不设则为输出文件夹中的 `runs`。")
                .path().advanced().placeholder("runs in the output folder", "输出文件夹中的 runs");
    }

    Evaluation {
        /// Evaluates after training; without `do_train`, evaluates alone.
        do_eval: bool = false
            => entry("Evaluate", "评估", "训练后进行评估；不设 `do_train` 时只评估。").advanced();
        /// Datasets to evaluate on, instead of a part of the training data.
        eval_dataset: Vec<String> = Vec::new()
            => entry("Evaluation data", "评估数据集", "用于评估的数据集，代替从训练数据中划分。").placeholder("none", "无");
        /// Evaluates each of these datasets by itself, not all of them together.
        eval_on_each_dataset: bool = false
            => entry("Evaluate each by itself", "分别评估", "对各评估数据集分别评估，而不合在一起。").advanced();
        /// Part of the training data kept for evaluation: a share below 1, or a number of rows.
        val_size: f64 = 0.0
            => entry("Validation size", "验证集大小", "从训练数据中留作评估的部分：小于 1 为比例，否则为行数。").from(0.0, ROWS).step(0.01);
        /// When the model is evaluated during training.
        eval_strategy: Strategy = Strategy::No
            => entry("Evaluate during training", "评估策略", "训练中何时评估模型。")
                .synonyms(&["evaluation_strategy"]);
        /// Steps between two evaluations; below 1, a share of all steps. Unset: as often as logging.
        eval_steps: Option<Steps> = None
            => entry("Eval steps", "评估间隔", "两次评估之间的步数；小于 1 时为占总步数的比例。不设则与日志间隔相同。")
                .above(0.0, STEPS).placeholder("same as logging steps", "同日志间隔");
        /// Examples in one pass of evaluation.
        per_device_eval_batch_size: usize = 8
            => entry("Evaluation batch size", "评估批大小", "评估时一次前向所含的样本数。").from(1.0, 65_536.0).advanced();
        /// Ends with the weights of the best checkpoint instead of the last ones.
        load_best_model_at_end: bool = false
            => entry("Load best model at end", "保留最佳", "以评估最好的检查点的权重作为结果，而不是最后的权重。").advanced();
        /// What tells the best checkpoint: loss, accuracy, or that of one dataset, as NAME_loss.
        metric_for_best_model: Option<String> = None
            => entry("Metric for best model", "最佳指标", "以何指标判断最佳检查点：loss、accuracy，或某一数据集的指标，如 NAME_loss。")
                .advanced().placeholder("loss", "loss");
        /// Whether more of the metric is better. Unset: less is, if it is a loss.
        greater_is_better: Option<bool> = None
            => entry("Greater is better", "越大越好", "指标是否越大越好。不设时，损失越小越好，其余越大越好。")
                .advanced().placeholder("unless it is a loss", "损失除外");
        /// Measures how often the model's likeliest token is the right one.
        compute_accuracy: bool = false
            => entry("Token accuracy", "词元准确率", "评估时统计模型最可能的词元恰为正确词元的比例。").advanced().stages(SFT);
    }

    Generating {
        /// Draws tokens at random; off = always the likeliest.
        do_sample: bool = true
            => entry("Sampling", "随机采样", "随机抽取词元；关闭则总取最可能的。").advanced();
        /// Flattens (above 1) or sharpens (below 1) the choice of tokens.
        temperature: f64 = 0.95
            => entry("Temperature", "温度", "使词元的选择更平均（大于 1）或更集中（小于 1）。").from(0.0, 100.0).step(0.05).advanced();
        /// Draws from the likeliest tokens that together reach this probability.
        top_p: f64 = 0.7
            => entry("Top-p", "Top-p", "从概率合计达到该值的最可能词元中抽取。").range(0.0, 1.0, false, true).step(0.05).advanced();
        /// Draws from the so many likeliest tokens; 0 = all.
        top_k: usize = 50
            => entry("Top-k", "Top-k", "从最可能的若干词元中抽取；0 表示全部。").from(0.0, 1e6).advanced();
        /// Longest answer in tokens.
        max_new_tokens: usize = 1024
            => entry("Max new tokens", "最大生成长度", "回答的最大词元数。").from(1.0, 1e6).advanced();
        /// Above 1, makes tokens that occurred before less likely.
        repetition_penalty: f64 = 1.0
            => entry("Repetition penalty", "重复惩罚", "大于 1 时降低已出现词元的概率。").above(0.0, 100.0).step(0.05).advanced();
    }
}
