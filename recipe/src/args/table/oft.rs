//! Rotations beside a frozen model.

macro_rules! oft {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Method {
            /// Columns of the blocks that are rotated, each by itself; 0 leaves it to oft_rank. What does not divide a layer's width is moved to the nearest number that does.
            oft_block_size: usize = 32 => {
                label { en: "OFT block size", zh: "OFT 块大小" }
                help { zh: "各自旋转的块的列数；0 表示由 oft_rank 决定。不能整除层宽时取最近的可整除值。" }
                from(0.0, 65536.0) methods(OFT)
            }
            /// Blocks of a layer, where oft_block_size is 0.
            oft_rank: usize = 0 => {
                label { en: "OFT blocks", zh: "OFT 块数" }
                help { zh: "oft_block_size 为 0 时每层的块数。" }
                from(0.0, 65536.0) advanced() methods(OFT)
            }
            /// Linear layers whose input is rotated, by the end of their name; all = every one but the output head.
            oft_target: Vec<String> = vec!["all".to_owned()] => {
                label { en: "OFT modules", zh: "OFT 作用模块" }
                help { zh: "旋转其输入的线性层（按名称结尾匹配）；all 表示除输出层外全部。" }
                methods(OFT) placeholder(words! { en: "all", zh: "all" })
            }
            /// Share of the blocks that a training step leaves as they are.
            module_dropout: f64 = 0.0 => {
                label { en: "OFT dropout", zh: "OFT 随机丢弃" }
                help { zh: "训练时保持不旋转的块的比例。" }
                half_open(0.0, 1.0) step(0.05) advanced() methods(OFT)
            }
        } }
    };
}
