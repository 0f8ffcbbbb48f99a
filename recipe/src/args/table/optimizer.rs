//! Optimizers that `optim` does not name: which are turned on by keys of their own.

macro_rules! optimizer {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Training {
            /// AdamW with one learning rate for each head, neuron or token (Adam-mini): half the optimizer's memory.
            use_adam_mini: bool = false => {
                label { en: "Adam-mini", zh: "Adam-mini" }
                help { zh: "每个注意力头、神经元或词元共用一个学习率的 AdamW（Adam-mini）：优化器显存减半。" }
                advanced()
            }
            /// Trains one layer, or one share of each parameter, at a time (BAdam).
            use_badam: bool = false => {
                label { en: "BAdam", zh: "BAdam" }
                help { zh: "每次只训练一层或每个参数的一部分（BAdam）。" }
                advanced() methods(WHOLE)
            }
            /// What BAdam takes turns with: layers, or shares of each parameter, which change every 100 steps.
            badam_mode: BadamMode = BadamMode::Layer => {
                label { en: "BAdam mode", zh: "BAdam 模式" }
                help { zh: "BAdam 轮换的对象：层，或每个参数的一部分（每 100 步更换）。" }
                advanced() methods(WHOLE)
            }
            /// The layer that BAdam begins with, counted from 0. Unset: the first one of its order.
            badam_start_block: Option<usize> = None => {
                label { en: "BAdam start block", zh: "BAdam 起始层" }
                help { zh: "BAdam 从哪一层开始（从 0 计）。不设则为其顺序中的第一层。" }
                from(0.0, 1e6) advanced() methods(WHOLE) placeholder(words! { en: "first of its order", zh: "顺序中的第一层" })
            }
            /// In which order BAdam goes through the layers.
            badam_switch_mode: BadamSwitch = BadamSwitch::Ascending => {
                label { en: "BAdam order", zh: "BAdam 顺序" }
                help { zh: "BAdam 遍历各层的顺序。" }
                advanced() methods(WHOLE)
            }
            /// Steps after which BAdam goes on to the next layer; -1 = never.
            badam_switch_interval: i64 = 50 => {
                label { en: "BAdam interval", zh: "BAdam 切换间隔" }
                help { zh: "BAdam 每隔多少步换到下一层；-1 表示不换。" }
                from(-1.0, STEPS) advanced() methods(WHOLE) synonyms(&["badam_switch_block_every"])
            }
            /// Share of each parameter that BAdam trains at a time.
            badam_update_ratio: f64 = 0.05 => {
                label { en: "BAdam share", zh: "BAdam 更新比例" }
                help { zh: "BAdam 每次训练每个参数的比例。" }
                above(1e-6, 1.0) step(0.01) advanced() methods(WHOLE)
            }
            /// How that share lies in a parameter.
            badam_mask_mode: BadamMask = BadamMask::Adjacent => {
                label { en: "BAdam mask", zh: "BAdam 掩码" }
                help { zh: "该部分在参数中的分布方式。" }
                advanced() methods(WHOLE)
            }
            /// What BAdam says of its turns: 0 nothing, 1 which layer trains, 2 and more its parameters too.
            badam_verbose: usize = 0 => {
                label { en: "BAdam verbosity", zh: "BAdam 日志" }
                help { zh: "BAdam 切换时的日志：0 无，1 训练哪一层，2 并列出其参数。" }
                from(0.0, 9.0) advanced() methods(WHOLE)
            }
        } }
    };
}
