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
            /// Projects the gradients of matrices to few rows or columns, where the optimizer works on them (GaLore).
            use_galore: bool = false => {
                label { en: "GaLore", zh: "GaLore" }
                help { zh: "将矩阵的梯度投影到少数行或列，优化器在其上工作（GaLore）。" }
                advanced() methods(WHOLE)
            }
            /// Linear layers whose gradients are projected, by the end of their name; all = every one but the output head.
            galore_target: Vec<String> = vec!["all".to_owned()] => {
                label { en: "GaLore modules", zh: "GaLore 作用模块" }
                help { zh: "对哪些线性层的梯度做投影（按名称结尾匹配）；all 表示除输出层外全部。" }
                advanced() methods(WHOLE)
            }
            /// Rows or columns that GaLore leaves of a gradient.
            galore_rank: usize = 16 => {
                label { en: "GaLore rank", zh: "GaLore 秩" }
                help { zh: "GaLore 投影后梯度的行数或列数。" }
                from(1.0, 65_536.0) advanced() methods(WHOLE)
            }
            /// Steps that a projection is used for.
            galore_update_interval: usize = 200 => {
                label { en: "GaLore interval", zh: "GaLore 更新间隔" }
                help { zh: "每隔多少步更新一次投影。" }
                from(1.0, STEPS) advanced() methods(WHOLE)
            }
            /// Scale of GaLore's steps.
            galore_scale: f64 = 2.0 => {
                label { en: "GaLore scale", zh: "GaLore 缩放" }
                help { zh: "GaLore 更新量的缩放。" }
                above(0.0, 1e6) advanced() methods(WHOLE)
            }
            /// Which side of a gradient is projected: the shorter one (std), the longer one, or as said.
            galore_proj_type: Projection = Projection::Std => {
                label { en: "GaLore side", zh: "GaLore 投影侧" }
                help { zh: "对梯度的哪一侧做投影：较短一侧（std）、较长一侧或指定侧。" }
                advanced() methods(WHOLE)
            }
            /// Moves each parameter by itself: gradients are not clipped, and freed one by one.
            galore_layerwise: bool = false => {
                label { en: "GaLore layer-wise", zh: "GaLore 逐层" }
                help { zh: "逐个参数更新：不裁剪梯度，更新后立即释放。" }
                advanced() methods(WHOLE)
            }
            /// Scales gradients as AdamW would, which a projection of them tells (APOLLO): the memory of SGD.
            use_apollo: bool = false => {
                label { en: "APOLLO", zh: "APOLLO" }
                help { zh: "借助梯度的投影，按 AdamW 的方式缩放梯度（APOLLO）：显存接近 SGD。" }
                advanced() methods(WHOLE)
            }
            /// Linear layers whose gradients are scaled, by the end of their name; all = every one but the output head.
            apollo_target: Vec<String> = vec!["all".to_owned()] => {
                label { en: "APOLLO modules", zh: "APOLLO 作用模块" }
                help { zh: "对哪些线性层的梯度做缩放（按名称结尾匹配）；all 表示除输出层外全部。" }
                advanced() methods(WHOLE)
            }
            /// Rows or columns that APOLLO's projection leaves of a gradient.
            apollo_rank: usize = 16 => {
                label { en: "APOLLO rank", zh: "APOLLO 秩" }
                help { zh: "APOLLO 投影后梯度的行数或列数。" }
                from(1.0, 65_536.0) advanced() methods(WHOLE)
            }
            /// Steps that a projection is used for.
            apollo_update_interval: usize = 200 => {
                label { en: "APOLLO interval", zh: "APOLLO 更新间隔" }
                help { zh: "每隔多少步更新一次投影。" }
                from(1.0, STEPS) advanced() methods(WHOLE)
            }
            /// Scale of APOLLO's steps; its root multiplies them.
            apollo_scale: f64 = 32.0 => {
                label { en: "APOLLO scale", zh: "APOLLO 缩放" }
                help { zh: "APOLLO 更新量的缩放，以其平方根相乘。" }
                above(0.0, 1e9) advanced() methods(WHOLE)
            }
            /// What APOLLO projects by: random draws, or singular vectors of the gradient.
            apollo_proj: ApolloProjection = ApolloProjection::Random => {
                label { en: "APOLLO projection", zh: "APOLLO 投影" }
                help { zh: "APOLLO 的投影方式：随机，或梯度的奇异向量。" }
                advanced() methods(WHOLE)
            }
            /// Which side of a gradient APOLLO projects.
            apollo_proj_type: ApolloSide = ApolloSide::Std => {
                label { en: "APOLLO side", zh: "APOLLO 投影侧" }
                help { zh: "APOLLO 对梯度的哪一侧做投影。" }
                advanced() methods(WHOLE)
            }
            /// Whether each channel or each matrix has a scale of its own (APOLLO-Mini: tensor, with rank 1).
            apollo_scale_type: ApolloScale = ApolloScale::Channel => {
                label { en: "APOLLO scale type", zh: "APOLLO 缩放粒度" }
                help { zh: "每个通道或每个矩阵一个缩放系数（APOLLO-Mini：tensor，秩为 1）。" }
                advanced() methods(WHOLE)
            }
            /// Moves each parameter by itself: gradients are not clipped, and freed one by one.
            apollo_layerwise: bool = false => {
                label { en: "APOLLO layer-wise", zh: "APOLLO 逐层" }
                help { zh: "逐个参数更新：不裁剪梯度，更新后立即释放。" }
                advanced() methods(WHOLE)
            }
            /// Scales before the limit on how much steps may grow, rather than behind it.
            apollo_scale_front: bool = false => {
                label { en: "APOLLO scale in front", zh: "APOLLO 先缩放" }
                help { zh: "先缩放，再限制更新量的增长。" }
                advanced() methods(WHOLE)
            }
            /// Settings of the optimizer that `optim` names, such as momentum=0.9 for sgd.
            optim_args: Settings = Settings::default() => {
                label { en: "Optimizer settings", zh: "优化器参数" }
                help { zh: "`optim` 所选优化器的参数，例如 sgd 的 momentum=0.9。" }
                advanced() placeholder(words! { en: "optimizer default", zh: "优化器默认" })
            }
            /// Linear layers that the galore_ and apollo_ optimizers of `optim` are for, by the end of their name; all-linear =
            /// every one but the output head.
            optim_target_modules: Vec<String> = Vec::new() => {
                label { en: "Optimizer modules", zh: "优化器作用模块" }
                help { zh: "`optim` 中 galore_ 与 apollo_ 优化器作用的线性层（按名称结尾匹配）；all-linear 表示除输出层外全部。" }
                advanced()
            }
        } }
    };
}
