//! Arguments that take one of a few names, but for the stage and the method.

use super::choice::choices;

choices! {
    /// How the learning rate goes over the steps.
    LrScheduler {
        Linear = "linear" { en: "Linear", zh: "线性衰减" }
        Cosine = "cosine" { en: "Cosine", zh: "余弦衰减" }
        /// Without warm-up.
        Constant = "constant" { en: "Constant", zh: "恒定" }
        ConstantWithWarmup = "constant_with_warmup" { en: "Constant with warm-up", zh: "预热后恒定" }
        CosineWithRestarts = "cosine_with_restarts" { en: "Cosine with restarts", zh: "余弦重启" }
        CosineWithMinLr = "cosine_with_min_lr" { en: "Cosine down to a minimum", zh: "余弦衰减至最小值" }
        /// A cosine down to a minimum, one step ahead.
        CosineWarmupWithMinLr = "cosine_warmup_with_min_lr" {
            en: "Cosine down to a minimum, warm-up from a rate", zh: "余弦衰减至最小值（可设预热起点）"
        }
        Polynomial = "polynomial" { en: "Polynomial", zh: "多项式衰减" }
        InverseSqrt = "inverse_sqrt" { en: "Inverse square root", zh: "平方根倒数衰减" }
        WarmupStableDecay = "warmup_stable_decay" { en: "Warm-up, stable, decay", zh: "预热—稳定—衰减" }
        /// Falls when evaluations get no better.
        ReduceLrOnPlateau = "reduce_lr_on_plateau" { en: "Falls on a plateau", zh: "停滞时衰减" }
        /// Falls when evaluations get no better, rises while they do.
        Greedy = "greedy" { en: "Greedy: falls and rises by evaluations", zh: "贪心（按评估升降）" }
    }

    /// When something (a checkpoint, an evaluation) happens during training.
    Strategy {
        // YAML 1.1 reads a bare `no` as false.
        No = "no" | "false" | "off" { en: "Never", zh: "从不" }
        Steps = "steps" { en: "Every so many steps", zh: "按步数" }
        Epoch = "epoch" { en: "Every epoch", zh: "按轮次" }
    }

    /// What the rows of new tokens start from.
    TokenInit {
        /// The mean of all rows, and noise.
        NoiseInit = "noise_init" { en: "Mean and noise", zh: "均值加噪声" }
        /// The mean of the rows of their description.
        DescInit = "desc_init" { en: "Description", zh: "说明文字" }
        DescInitWithNoise = "desc_init_w_noise" { en: "Description and noise", zh: "说明文字加噪声" }
    }

    /// In which order examples are trained on.
    DataOrder unsupported ["batch"] {
        /// Mixed anew each epoch.
        Random = "random" { en: "Random", zh: "随机" }
        /// As in the files.
        Sequential = "sequential" { en: "In file order", zh: "按文件顺序" }
        /// Those of about a length together, mixed anew each epoch.
        GroupByLength = "group_by_length" { en: "Of like length together", zh: "长度相近者分组" }
    }

    /// What becomes of a step whose loss is no number, or infinite.
    NonFinite {
        /// The run ends.
        Stop = "stop" { en: "Stop", zh: "停止" }
        /// Nothing moves in this step.
        Skip = "skip" { en: "Skip the step", zh: "跳过该步" }
    }

    /// The optimizer.
    Optim unsupported [
        "adamw_torch_4bit", "adamw_torch_8bit", "adamw_anyprecision", "stable_adamw", "grokadamw",
        "schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd",
    ] {
        /// AdamW with decoupled weight decay.
        AdamwTorch = "adamw_torch" | "adamw_torch_fused" | "adamw_hf" | "adamw_torch_xla" | "adamw_torch_npu_fused"
            | "adamw_apex_fused" | "paged_adamw_32bit" | "paged_adamw" | "adamw" { en: "AdamW", zh: "AdamW" }
        /// AdamW with its moments in 8 bits.
        Adamw8bit = "adamw_8bit" | "adamw_bnb_8bit" | "paged_adamw_8bit" { en: "AdamW, 8 bits", zh: "AdamW（8 位）" }
        /// Second moments by rows and columns alone: little memory.
        Adafactor = "adafactor" { en: "Adafactor", zh: "Adafactor" }
        /// The sign of a running mean; wants a learning rate of about a third of AdamW's.
        Lion = "lion_32bit" | "paged_lion_32bit" | "lion" { en: "Lion", zh: "Lion" }
        /// Lion with its mean in 8 bits.
        Lion8bit = "lion_8bit" | "paged_lion_8bit" { en: "Lion, 8 bits", zh: "Lion（8 位）" }
        /// Steps that shrink with the sum of squared gradients.
        Adagrad = "adagrad" { en: "Adagrad", zh: "Adagrad" }
        /// Steps divided by a running mean of the gradient's size.
        RmsProp = "rmsprop" | "rmsprop_bnb" | "rmsprop_bnb_32bit" { en: "RMSprop", zh: "RMSprop" }
        /// RMSprop with its mean in 8 bits.
        RmsProp8bit = "rmsprop_bnb_8bit" { en: "RMSprop, 8 bits", zh: "RMSprop（8 位）" }
        /// AdamW with a second, much slower mean of gradients.
        AdEmaMix = "ademamix" | "paged_ademamix_32bit" { en: "AdEMAMix", zh: "AdEMAMix" }
        /// AdEMAMix with its means in 8 bits.
        AdEmaMix8bit = "ademamix_8bit" | "paged_ademamix_8bit" { en: "AdEMAMix, 8 bits", zh: "AdEMAMix（8 位）" }
        /// Gradient descent, without momentum unless `optim_args` asks for it.
        Sgd = "sgd" { en: "SGD", zh: "SGD" }
        /// Gradient descent that frees each gradient as its parameter moves.
        Lomo = "lomo" { en: "LOMO", zh: "LOMO" }
        /// Adafactor with steps in proportion to a parameter's size, freeing each gradient as its parameter moves.
        AdaLomo = "adalomo" { en: "AdaLOMO", zh: "AdaLOMO" }
        /// AdamW of projected gradients.
        GaloreAdamw = "galore_adamw" { en: "GaLore, AdamW", zh: "GaLore（AdamW）" }
        GaloreAdamw8bit = "galore_adamw_8bit" { en: "GaLore, AdamW, 8 bits", zh: "GaLore（8 位 AdamW）" }
        GaloreAdafactor = "galore_adafactor" { en: "GaLore, Adafactor", zh: "GaLore（Adafactor）" }
        GaloreAdamwLayerwise = "galore_adamw_layerwise" { en: "GaLore, AdamW, layer-wise", zh: "GaLore（逐层 AdamW）" }
        GaloreAdamw8bitLayerwise = "galore_adamw_8bit_layerwise" {
            en: "GaLore, AdamW, 8 bits, layer-wise", zh: "GaLore（逐层 8 位 AdamW）"
        }
        GaloreAdafactorLayerwise = "galore_adafactor_layerwise" {
            en: "GaLore, Adafactor, layer-wise", zh: "GaLore（逐层 Adafactor）"
        }
        /// Gradients scaled as AdamW would, which a random projection tells.
        ApolloAdamw = "apollo_adamw" { en: "APOLLO", zh: "APOLLO" }
        ApolloAdamwLayerwise = "apollo_adamw_layerwise" { en: "APOLLO, layer-wise", zh: "APOLLO（逐层）" }
    }

    /// Which side of a gradient is projected.
    Projection {
        /// The shorter side.
        Std = "std" { en: "Shorter side", zh: "较短一侧" }
        ReverseStd = "reverse_std" { en: "Longer side", zh: "较长一侧" }
        Right = "right" { en: "Right", zh: "右侧" }
        Left = "left" { en: "Left", zh: "左侧" }
        /// Both sides.
        Full = "full" { en: "Both sides", zh: "两侧" }
    }

    /// Which side of a gradient APOLLO projects.
    ApolloSide {
        /// The shorter side.
        Std = "std" { en: "Shorter side", zh: "较短一侧" }
        Right = "right" { en: "Right", zh: "右侧" }
        Left = "left" { en: "Left", zh: "左侧" }
    }

    /// What APOLLO projects by.
    ApolloProjection {
        Random = "random" { en: "Random draws", zh: "随机" }
        Svd = "svd" { en: "Singular vectors", zh: "奇异向量" }
    }

    /// What has a scale of its own in APOLLO.
    ApolloScale {
        Channel = "channel" { en: "Each channel", zh: "每个通道" }
        Tensor = "tensor" { en: "Each matrix", zh: "每个矩阵" }
    }

    /// What BAdam takes turns with.
    BadamMode {
        Layer = "layer" { en: "Layer by layer", zh: "逐层" }
        /// A share of each parameter.
        Ratio = "ratio" { en: "A share of each parameter", zh: "按比例" }
    }

    /// In which order BAdam goes through the layers.
    BadamSwitch {
        Ascending = "ascending" { en: "First to last", zh: "从前到后" }
        Descending = "descending" { en: "Last to first", zh: "从后到前" }
        Random = "random" { en: "At random", zh: "随机" }
        /// Only the first one trains.
        Fixed = "fixed" { en: "Always the same", zh: "固定" }
    }

    /// How the share of a parameter lies in it that BAdam trains.
    BadamMask {
        Adjacent = "adjacent" { en: "Next to each other", zh: "相邻" }
        Scatter = "scatter" { en: "Scattered", zh: "分散" }
    }

    /// What preferences are learnt by.
    PrefLoss {
        /// DPO's own.
        Sigmoid = "sigmoid" { en: "Sigmoid (DPO)", zh: "Sigmoid（DPO）" }
        /// No more than a margin is asked for.
        Hinge = "hinge" { en: "Hinge", zh: "Hinge" }
        /// A margin is aimed at, of means over tokens.
        Ipo = "ipo" { en: "IPO", zh: "IPO" }
        /// KTO's loss on pairs.
        KtoPair = "kto_pair" { en: "KTO on pairs", zh: "成对 KTO" }
        /// The odds ratio, beside the loss of the chosen answer; without a reference.
        Orpo = "orpo" { en: "ORPO", zh: "ORPO" }
        /// A margin of means over tokens, without a reference.
        Simpo = "simpo" { en: "SimPO", zh: "SimPO" }
    }

    /// What scores a model's answers beside rules.
    RewardModelType {
        /// An adapter with a value head, on the model that is trained.
        Lora = "lora" { en: "Adapter on the same model", zh: "同一模型上的适配器" }
        /// A model of its own with a value head.
        Full = "full" { en: "A model of its own", zh: "独立模型" }
        /// A server, at the address that `reward_model` gives.
        Api = "api" { en: "A server", zh: "服务器" }
    }

    /// How a token's distance from the reference is measured for its penalty.
    KlPenalty {
        /// The difference of log-probabilities.
        Kl = "kl" { en: "Difference", zh: "差值" }
        /// Its size.
        Abs = "abs" { en: "Absolute difference", zh: "绝对差值" }
        /// Half its square.
        Mse = "mse" { en: "Squared difference", zh: "平方差值" }
    }

    /// By what GRPO's loss is divided.
    GrpoLoss {
        /// By all tokens of the update.
        Dapo = "dapo" { en: "Tokens of the update (DAPO)", zh: "本次更新的词元数（DAPO）" }
        /// Each answer by its own tokens.
        Grpo = "grpo" { en: "Tokens of each answer (GRPO)", zh: "各回答的词元数（GRPO）" }
        /// By the tokens of each batch.
        Bnpo = "bnpo" { en: "Tokens of the batch (BNPO)", zh: "批次的词元数（BNPO）" }
        /// By the longest answer there may be.
        DrGrpo = "dr_grpo" { en: "Longest possible answer (Dr. GRPO)", zh: "最长回答（Dr. GRPO）" }
    }

    /// Of what a ratio of probabilities is taken.
    ImportanceSampling {
        Token = "token" { en: "Each token", zh: "逐词元" }
        Sequence = "sequence" { en: "The whole answer (GSPO)", zh: "整个回答（GSPO）" }
    }

    /// By which deviation advantages are divided.
    ScaleRewards {
        /// Of the answers to the same prompt.
        Group = "group" | "true" { en: "Of the group", zh: "组内" }
        /// Of all answers.
        Batch = "batch" { en: "Of all answers", zh: "全部回答" }
        /// By none.
        None = "none" | "false" { en: "By none", zh: "不缩放" }
    }

    /// How several datasets become one.
    MixStrategy {
        /// One after the other.
        Concat = "concat" { en: "Concatenate", zh: "拼接" }
        /// In turns, until one is used up.
        InterleaveUnder = "interleave_under" { en: "Interleave, end with the first", zh: "交错（最短者用尽即止）" }
        /// In turns, until each was used up once; shorter ones start again.
        InterleaveOver = "interleave_over" { en: "Interleave, repeat the shorter", zh: "交错（较短者重复）" }
        /// In turns, until all are used up.
        InterleaveOnce = "interleave_once" { en: "Interleave, each row once", zh: "交错（每行一次）" }
    }

    /// A family of models' way to write tools and calls of tools.
    ToolFormat {
        Default = "default" { en: "Action and input as text", zh: "文本形式的 Action" }
        Gemma4 = "gemma4" { en: "Gemma 4", zh: "Gemma 4" }
        Glm4 = "glm4" { en: "GLM-4", zh: "GLM-4" }
        Glm4Moe = "glm4_moe" { en: "GLM-4.5", zh: "GLM-4.5" }
        Lfm2 = "lfm2" { en: "LFM2", zh: "LFM2" }
        Ling = "ling" { en: "Ling", zh: "Ling" }
        Llama3 = "llama3" { en: "Llama 3", zh: "Llama 3" }
        Minimax1 = "minimax1" { en: "MiniMax-M1", zh: "MiniMax-M1" }
        Minimax2 = "minimax2" { en: "MiniMax-M2", zh: "MiniMax-M2" }
        Mistral = "mistral" { en: "Mistral", zh: "Mistral" }
        Qwen = "qwen" { en: "Qwen", zh: "Qwen" }
        Qwen35 = "qwen3_5" { en: "Qwen 3.5", zh: "Qwen 3.5" }
        SeedOss = "seed_oss" { en: "Seed-OSS", zh: "Seed-OSS" }
    }

    /// Where the routers of Mixture-of-Depths come from.
    MixtureOfDepths {
        Convert = "convert" { en: "Convert a model", zh: "转换模型" }
        Load = "load" { en: "A converted model", zh: "已转换的模型" }
    }

    /// How rotary positions are stretched beyond the trained context length.
    RopeScaling {
        Linear = "linear" { en: "Linear", zh: "线性" }
        Dynamic = "dynamic" { en: "Dynamic NTK", zh: "动态 NTK" }
        Yarn = "yarn" { en: "YaRN", zh: "YaRN" }
        Llama3 = "llama3" { en: "Llama 3", zh: "Llama 3" }
    }
}
