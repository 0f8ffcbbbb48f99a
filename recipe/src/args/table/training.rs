//! How it is trained: steps, learning rate, optimizer, precision.

macro_rules! training {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Training {
            /// Highest learning rate, reached after warm-up.
            learning_rate: f64 = 5e-5 => {
                label { en: "Learning rate", zh: "学习率" }
                help { zh: "预热后达到的最高学习率。" }
                above(0.0, 100.0)
            }
            /// Passes over the training data.
            num_train_epochs: f64 = 3.0 => {
                label { en: "Epochs", zh: "训练轮数" }
                help { zh: "遍历数据的次数。" }
                above(0.0, 1e5) step(1.0)
            }
            /// Ends after so many optimizer steps, whatever the epochs say; -1 = by epochs.
            max_steps: i64 = -1 => {
                label { en: "Max steps", zh: "最大步数" }
                help { zh: "达到该优化步数即结束，不论轮数；-1 表示按轮数。" }
                from(-1.0, STEPS) advanced()
            }
            /// Examples in one forward and backward pass.
            per_device_train_batch_size: usize = 8 => {
                label { en: "Batch size", zh: "批大小" }
                help { zh: "一次前向与反向所含的样本数。" }
                from(1.0, 65_536.0)
            }
            /// Passes whose gradients are added up before one optimizer step.
            gradient_accumulation_steps: usize = 1 => {
                label { en: "Gradient accumulation", zh: "梯度累积" }
                help { zh: "累加多少次梯度后执行一次优化步。" }
                from(1.0, 1e6)
            }
            /// Takes fewer examples at a time, and more times to a step, where memory would not suffice for the batch size.
            auto_find_batch_size: bool = false => {
                label { en: "Find batch size", zh: "自动调整批大小" }
                help { zh: "内存不足以容纳该批大小时，减少每批样本并相应增加梯度累积。" }
                advanced()
            }
            /// How the learning rate goes over the steps.
            lr_scheduler_type: LrScheduler = LrScheduler::Linear => {
                label { en: "LR scheduler", zh: "学习率调度器" }
                help { zh: "学习率随步数的变化方式。" }
            }
            /// Settings of the schedule, such as {num_cycles: 3} for cosine_with_restarts.
            lr_scheduler_kwargs: Settings = Settings::default() => {
                label { en: "Scheduler kwargs", zh: "调度器参数" }
                help { zh: "学习率调度的参数，例如 cosine_with_restarts 的 {num_cycles: 3}。" }
                advanced() placeholder(words! { en: "scheduler default", zh: "调度器默认" })
            }
            /// Steps over which the learning rate rises from 0; below 1, a share of all steps.
            warmup_steps: Steps = Steps::Count(0) => {
                label { en: "Warm-up steps", zh: "预热步数" }
                help { zh: "学习率从 0 升起的步数；小于 1 时为占总步数的比例。" }
                from(0.0, STEPS)
            }
            /// The same as a share of all steps, unless steps are given.
            warmup_ratio: f64 = 0.0 => {
                label { en: "Warm-up ratio", zh: "预热比例" }
                help { zh: "同上，以占总步数的比例表示；给出步数时以步数为准。" }
                half_open(0.0, 1.0) step(0.01)
            }
            /// Gradients are scaled down to this norm; 0 = off.
            max_grad_norm: f64 = 1.0 => {
                label { en: "Max gradient norm", zh: "最大梯度范数" }
                help { zh: "梯度超过该范数时按比例缩小；0 为关闭。" }
                from(0.0, 1e12) step(0.1)
            }
            /// Weight of the loss that keeps the experts of a mixture evenly used.
            moe_aux_loss_coef: Option<f64> = None => {
                label { en: "MoE balance loss", zh: "专家均衡损失" }
                help { zh: "使混合专家模型各专家负载均衡的辅助损失的系数。" }
                from(0.0, 1e3) step(0.001) advanced() placeholder(words! { en: "off", zh: "关闭" })
            }
            /// Share of each label's probability that is spread over all tokens, so that the model is less sure of itself; 0 = none.
            label_smoothing_factor: f64 = 0.0 => {
                label { en: "Label smoothing", zh: "标签平滑" }
                help { zh: "每个标签的概率中均分给全部词元的比例，使模型不过于自信；0 为不平滑。" }
                half_open(0.0, 1.0) step(0.05) advanced() stages(PACKED)
            }
            /// Weighs each token's loss by its probability (DFT), so that what the model does not believe moves it less.
            use_dft_loss: bool = false => {
                label { en: "DFT loss", zh: "DFT 损失" }
                help { zh: "每个词元的损失按其概率加权（DFT），模型不相信的内容影响更小。" }
                advanced() stages(SFT)
            }
            /// Weighs each token's loss by how undecided the model is (EAFT), so that what contradicts a firm belief moves it less.
            use_eaft_loss: bool = false => {
                label { en: "EAFT loss", zh: "EAFT 损失" }
                help { zh: "每个词元的损失按模型的不确定程度加权（EAFT），与其确信内容相悖者影响更小。" }
                advanced() stages(SFT)
            }
            /// Power to which EAFT raises that weight; 0 = none.
            eaft_alpha: f64 = 1.0 => {
                label { en: "EAFT alpha", zh: "EAFT α" }
                help { zh: "EAFT 权重的幂次；0 为不加权。" }
                from(0.0, 100.0) step(0.1) advanced() stages(SFT)
            }
            /// Weighs each token's loss by its probability and holds the model to what it was before (ASFT); ref_model may be another.
            use_asft_loss: bool = false => {
                label { en: "ASFT loss", zh: "ASFT 损失" }
                help { zh: "每个词元的损失按其概率加权，并使模型不远离训练前的自己（ASFT）；也可用 ref_model 指定另一模型。" }
                advanced() stages(SFT)
            }
            /// Pull of ASFT towards that model.
            asft_alpha: f64 = 0.1 => {
                label { en: "ASFT alpha", zh: "ASFT α" }
                help { zh: "ASFT 向该模型牵引的力度。" }
                from(0.0, 1e3) step(0.01) advanced() stages(SFT)
            }
            /// Noise on the embeddings while training (NEFTune), which makes answers less literal; 5 is common.
            neftune_noise_alpha: Option<f64> = None => {
                label { en: "NEFTune noise", zh: "NEFTune 噪声" }
                help { zh: "训练时加在嵌入上的噪声强度（NEFTune），使回答不过于照搬；常用 5。" }
                above(0.0, 1e4) step(1.0) advanced() placeholder(words! { en: "off", zh: "关闭" })
            }
            /// Pull of the weights towards 0, apart from biases and norms.
            weight_decay: f64 = 0.0 => {
                label { en: "Weight decay", zh: "权重衰减" }
                help { zh: "使权重趋向 0 的力度（偏置与归一化层除外）。" }
                from(0.0, 100.0) step(0.01) advanced()
            }
            /// The optimizer.
            optim: Optim = Optim::AdamwTorch => {
                label { en: "Optimizer", zh: "优化器" }
                help { zh: "优化算法。" }
                advanced()
            }
            /// Makes the steps of matrices orthogonal (Muon); AdamW moves the rest.
            use_muon: bool = false => {
                label { en: "Muon", zh: "Muon" }
                help { zh: "矩阵的更新量正交化（Muon），其余参数用 AdamW。" }
                advanced()
            }
            /// Decay of AdamW's running mean of gradients.
            adam_beta1: f64 = 0.9 => {
                label { en: "Adam beta 1", zh: "Adam β₁" }
                help { zh: "AdamW 梯度滑动平均的衰减率。" }
                half_open(0.0, 1.0) step(0.01) advanced()
            }
            /// Decay of AdamW's running mean of squared gradients.
            adam_beta2: f64 = 0.999 => {
                label { en: "Adam beta 2", zh: "Adam β₂" }
                help { zh: "AdamW 梯度平方滑动平均的衰减率。" }
                half_open(0.0, 1.0) step(0.001) advanced()
            }
            /// Keeps AdamW from dividing by 0.
            adam_epsilon: f64 = 1e-8 => {
                label { en: "Adam epsilon", zh: "Adam ε" }
                help { zh: "防止 AdamW 除以 0。" }
                above(0.0, 1.0) advanced()
            }
            /// Frozen weights and arithmetic in bfloat16, trained weights in float32. Off: all in float32.
            bf16: bool = false => {
                label { en: "bfloat16", zh: "bfloat16" }
                help { zh: "冻结权重与计算用 bfloat16，被训练的权重用 float32。关闭时全部用 float32。" }
            }
            /// Runs as bf16 does: bfloat16 reaches as far as float32, so that nothing overflows and no loss has to be scaled.
            fp16: bool = false => {
                label { en: "float16", zh: "float16" }
                help { zh: "按 bf16 运行：bfloat16 的数值范围与 float32 相同，不会溢出，也无需缩放损失。" }
                advanced()
            }
            /// Runs as bf16 does: there is no arithmetic of eight bits here.
            fp8: bool = false => {
                label { en: "float8", zh: "float8" }
                help { zh: "按 bf16 运行：此处没有 8 位浮点计算。" }
                advanced()
            }
            /// As bf16, with the matrices that full and freeze tuning train and the optimizer's state in bfloat16, too, rounded at random so that small steps count; these take half the memory.
            pure_bf16: bool = false => {
                label { en: "Pure bfloat16", zh: "纯 bfloat16" }
                help { zh: "同 bf16，且全参数与冻结微调所训练的矩阵及优化器状态也用 bfloat16（随机舍入，小步更新不会丢失），这些所占内存减半。" }
                advanced()
            }
            /// Keeps every layer's activations instead of computing them again: faster, more memory.
            disable_gradient_checkpointing: bool = false => {
                label { en: "No gradient checkpointing", zh: "关闭梯度检查点" }
                help { zh: "保留每层激活值而不重新计算：更快，但更占内存。" }
                advanced()
            }
            /// Goes through the data in file order.
            disable_shuffling: bool = false => {
                label { en: "No shuffling", zh: "不打乱顺序" }
                help { zh: "按文件顺序遍历数据。" }
                advanced()
            }
            /// The order of examples. Those of like length together make a step's batches alike in time and memory.
            train_sampling_strategy: DataOrder = DataOrder::Random => {
                label { en: "Sampling", zh: "采样方式" }
                help { zh: "样本的顺序。长度相近者分在一组，可使各批的耗时与内存相近。" }
                advanced()
            }
            /// The same as train_sampling_strategy: group_by_length.
            group_by_length: bool = false => {
                label { en: "Group by length", zh: "按长度分组" }
                help { zh: "等同于 train_sampling_strategy: group_by_length。" }
                advanced()
            }
            /// Leaves out an epoch's last batch where it is not full.
            dataloader_drop_last: bool = false => {
                label { en: "Drop last batch", zh: "丢弃末尾批次" }
                help { zh: "每轮最后一批不满时将其舍去。" }
                advanced()
            }
            /// What a loss does that is infinite or no number: stop ends the run, skip leaves out the step.
            nonfinite_loss: NonFinite = NonFinite::Stop => {
                label { en: "On NaN loss", zh: "损失为 NaN 时" }
                help { zh: "损失为无穷或 NaN 时：stop 结束运行，skip 跳过该步。" }
                advanced()
            }
            /// Seed of everything random: the same seed gives the same run.
            seed: u64 = 42 => {
                label { en: "Seed", zh: "随机种子" }
                help { zh: "一切随机性的种子：种子相同，运行结果相同。" }
                advanced()
            }
            /// Seed of the data's order. Unset: the seed.
            data_seed: Option<u64> = None => {
                label { en: "Data seed", zh: "数据随机种子" }
                help { zh: "数据顺序的种子。不设则同随机种子。" }
                advanced() placeholder(words! { en: "the seed", zh: "同随机种子" })
            }
        } }
    };
}
