//! Training on answers that are compared.

macro_rules! preference {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Preference {
            /// Model that the trained one is compared with. Unset: the model without its adapter, or as it was before.
            ref_model: Option<String> = None => {
                label { en: "Reference model", zh: "参考模型" }
                help { zh: "与被训练模型比较的模型。不设则为不带适配器的模型，或训练前的模型。" }
                path() advanced() stages(COMPARED) placeholder(words! { en: "the model itself", zh: "模型自身" })
            }
            /// Adapters that are merged into the reference model.
            ref_model_adapters: Vec<String> = Vec::new() => {
                label { en: "Reference adapters", zh: "参考模型适配器" }
                help { zh: "合并进参考模型的适配器。" }
                path() advanced() stages(COMPARED) placeholder(words! { en: "none", zh: "无" })
            }
        } }
    };
}
