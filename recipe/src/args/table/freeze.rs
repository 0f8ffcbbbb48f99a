//! Some layers that train whole.

macro_rules! freeze {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Method {
            /// Layers that train: so many of the last ones, or below zero of the first ones.
            freeze_trainable_layers: i64 = 2 => {
                label { en: "Trainable layers", zh: "可训练层数" }
                help { zh: "训练的层数：正数为末尾若干层，负数为开头若干层。" }
                from(-1e4, 1e4) methods(FREEZE) synonyms(&["num_layer_trainable"])
            }
            /// Trains the layers that block expansion has added, freeze_trainable_layers of them, instead of the last ones (LLaMA Pro).
            use_llama_pro: bool = false => {
                label { en: "LLaMA Pro", zh: "LLaMA Pro" }
                help { zh: "训练块扩展所新增的层（共 freeze_trainable_layers 层），而非末尾若干层（LLaMA Pro）。" }
                advanced() methods(FREEZE)
            }
            /// Modules of those layers that train, such as self_attn or mlp; all = everything in them.
            freeze_trainable_modules: Vec<String> = vec!["all".to_owned()] => {
                label { en: "Trainable modules", zh: "可训练模块" }
                help { zh: "这些层中训练的模块，如 self_attn、mlp；all 表示全部。" }
                methods(FREEZE) placeholder(words! { en: "all", zh: "all" }) synonyms(&["name_module_trainable"])
            }
            /// Modules outside of layers that train besides, such as embed_tokens, norm or lm_head.
            freeze_extra_modules: Vec<String> = Vec::new() => {
                label { en: "Extra modules", zh: "附加模块" }
                help { zh: "各层之外一并训练的模块，如 embed_tokens、norm、lm_head。" }
                advanced() methods(FREEZE) placeholder(words! { en: "none", zh: "无" })
            }
        } }
    };
}
