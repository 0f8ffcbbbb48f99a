//! How answers are drawn in a chat.

macro_rules! generating {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Generating {
            /// Draws tokens at random; off = always the likeliest.
            do_sample: bool = true => {
                label { en: "Sampling", zh: "随机采样" }
                help { zh: "随机抽取词元；关闭则总取最可能的。" }
                advanced()
            }
            /// Flattens (above 1) or sharpens (below 1) the choice of tokens.
            temperature: f64 = 0.95 => {
                label { en: "Temperature", zh: "温度" }
                help { zh: "使词元的选择更平均（大于 1）或更集中（小于 1）。" }
                from(0.0, 100.0) step(0.05) advanced()
            }
            /// Draws from the likeliest tokens that together reach this probability.
            top_p: f64 = 0.7 => {
                label { en: "Top-p", zh: "Top-p" }
                help { zh: "从概率合计达到该值的最可能词元中抽取。" }
                above(0.0, 1.0) step(0.05) advanced()
            }
            /// Draws from the so many likeliest tokens; 0 = all.
            top_k: usize = 50 => {
                label { en: "Top-k", zh: "Top-k" }
                help { zh: "从最可能的若干词元中抽取；0 表示全部。" }
                from(0.0, 1e6) advanced()
            }
            /// Longest answer in tokens.
            max_new_tokens: usize = 1024 => {
                label { en: "Max new tokens", zh: "最大生成长度" }
                help { zh: "回答的最大词元数。" }
                from(1.0, 1e6) advanced()
            }
            /// Above 1, makes tokens that occurred before less likely.
            repetition_penalty: f64 = 1.0 => {
                label { en: "Repetition penalty", zh: "重复惩罚" }
                help { zh: "大于 1 时降低已出现词元的概率。" }
                above(0.0, 100.0) step(0.05) advanced()
            }
        } }
    };
}
