//! Low-rank matrices beside a frozen model.

macro_rules! lora {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Lora {
            /// Rank of the low-rank matrices: higher learns more and costs more.
            lora_rank: usize = 8 => {
                label { en: "LoRA rank", zh: "LoRA 秩" }
                help { zh: "低秩矩阵的秩：越大学得越多，开销也越大。" }
                from(1.0, 8192.0) methods(LORA)
            }
            /// Scale of the update; alpha / rank multiplies it. Unset: twice the rank.
            lora_alpha: Option<usize> = None => {
                label { en: "LoRA alpha", zh: "LoRA 缩放系数" }
                help { zh: "更新量的缩放：乘以 alpha / 秩。不设则为秩的两倍。" }
                from(1.0, 1e6) methods(LORA) placeholder(words! { en: "twice the rank", zh: "秩的两倍" })
            }
            /// Share of a layer's input that is randomly dropped before the low-rank matrices.
            lora_dropout: f64 = 0.0 => {
                label { en: "LoRA dropout", zh: "LoRA 随机丢弃" }
                help { zh: "进入低秩矩阵之前随机丢弃的输入比例。" }
                half_open(0.0, 1.0) step(0.05) methods(LORA)
            }
            /// Linear layers that get low-rank matrices, by the end of their name; all = every one but the output head.
            lora_target: Vec<String> = vec!["all".to_owned()] => {
                label { en: "Target modules", zh: "目标模块" }
                help { zh: "加上低秩矩阵的线性层（按名称结尾匹配）；all 表示除输出层外全部。" }
                methods(LORA) placeholder(words! { en: "all", zh: "all" })
            }
            /// Layers that are trained in full and saved with the adapter, such as embed_tokens or lm_head.
            additional_target: Vec<String> = Vec::new() => {
                label { en: "Modules to save", zh: "额外保存的模块" }
                help { zh: "全参数训练并随适配器保存的层，如 embed_tokens、lm_head。" }
                advanced() methods(ADAPTERS) placeholder(words! { en: "none", zh: "无" })
            }
            /// Scales the update by alpha / sqrt(rank) instead of alpha / rank.
            use_rslora: bool = false => {
                label { en: "Rank-stabilised LoRA", zh: "rsLoRA" }
                help { zh: "更新量按 alpha / √秩 缩放，而不是 alpha / 秩。" }
                advanced() methods(LORA)
            }
            /// Splits weights into direction and magnitude and trains a magnitude for each output beside the matrices (DoRA).
            use_dora: bool = false => {
                label { en: "DoRA", zh: "DoRA" }
                help { zh: "将权重分解为方向与幅度，除低秩矩阵外还训练每个输出的幅度（DoRA）。" }
                advanced() methods(LORA)
            }
            /// Begins the matrices with the principal part of the weights instead of with 0, and trains beside the rest (PiSSA).
            pissa_init: bool = false => {
                label { en: "PiSSA", zh: "PiSSA" }
                help { zh: "以权重的主成分（而非 0）初始化低秩矩阵，冻结的是剩余部分（PiSSA）。" }
                advanced() methods(LORA)
            }
            /// Iterations that find the principal part; -1 computes it exactly, which takes long for wide models.
            pissa_iter: i64 = 16 => {
                label { en: "PiSSA iterations", zh: "PiSSA 迭代次数" }
                help { zh: "求主成分的迭代次数；-1 表示精确分解，宽模型上耗时较长。" }
                from(-1.0, 1e3) step(1.0) advanced() methods(LORA)
            }
            /// Also writes the result as a usual adapter of twice the rank, for the model as it was (pissa_converted).
            pissa_convert: bool = false => {
                label { en: "Convert PiSSA", zh: "转换 PiSSA" }
                help { zh: "另存一个秩加倍的普通适配器，可直接用于原模型（pissa_converted）。" }
                advanced() methods(LORA)
            }
            /// How many times the learning rate B moves by, the matrix that starts at 0 (LoRA+); 16 is common. Unset: as A.
            loraplus_lr_ratio: Option<f64> = None => {
                label { en: "LoRA+ ratio", zh: "LoRA+ 比例" }
                help { zh: "矩阵 B（从 0 开始）的学习率倍数（LoRA+）；常用 16。不设则与 A 相同。" }
                above(0.0, 1e4) step(1.0) advanced() methods(LORA) placeholder(words! { en: "as A", zh: "与 A 相同" })
            }
            /// Merges the given adapters into the model and trains a new one, instead of training the last one on.
            create_new_adapter: bool = false => {
                label { en: "New adapter", zh: "新建适配器" }
                help { zh: "将给定的适配器合并进模型并训练新的适配器，而不是继续训练最后一个。" }
                advanced() methods(ADAPTERS)
            }
        } }
    };
}
