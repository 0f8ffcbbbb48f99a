//! Training on answers that are compared.

macro_rules! preference {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Preference {
            /// Pull towards the reference: the larger, the less the model may leave it. For ORPO and SimPO, the weight of the
            /// comparison.
            pref_beta: f64 = 0.1 => {
                label { en: "Beta", zh: "β" }
                help { zh: "向参考模型的牵引：越大，模型越不能偏离参考模型。对 ORPO 与 SimPO 为比较项的权重。" }
                above(0.0, 1e3) step(0.05) stages(PREFERENCES) synonyms(&["dpo_beta", "orpo_beta"])
            }
            /// The loss of preferences.
            pref_loss: PrefLoss = PrefLoss::Sigmoid => {
                label { en: "Preference loss", zh: "偏好损失" }
                help { zh: "偏好训练的损失函数。" }
                advanced() stages(DPO) synonyms(&["dpo_loss"])
            }
            /// Share of the preferences that are taken to be the wrong way round.
            dpo_label_smoothing: f64 = 0.0 => {
                label { en: "Label smoothing", zh: "标签平滑" }
                help { zh: "视为颠倒的偏好所占的比例。" }
                half_open(0.0, 0.5) step(0.05) advanced() stages(DPO)
            }
            /// Share of the chosen answer's own loss that is added; 0 = none.
            pref_ftx: f64 = 0.0 => {
                label { en: "Supervised share", zh: "监督损失占比" }
                help { zh: "另加的被选回答自身损失的占比；0 为不加。" }
                from(0.0, 1e3) step(0.1) advanced() stages(PREFERENCES) synonyms(&["dpo_ftx"])
            }
            /// How much an answer counts that was found good.
            kto_chosen_weight: f64 = 1.0 => {
                label { en: "Weight of good answers", zh: "期望回答的权重" }
                help { zh: "被评为好的回答在损失中的权重。" }
                from(0.0, 1e3) step(0.1) stages(KTO)
            }
            /// How much an answer counts that was found bad.
            kto_rejected_weight: f64 = 1.0 => {
                label { en: "Weight of bad answers", zh: "不期望回答的权重" }
                help { zh: "被评为差的回答在损失中的权重。" }
                from(0.0, 1e3) step(0.1) stages(KTO)
            }
            /// Margin that SimPO asks for between the chosen and the rejected answer.
            simpo_gamma: f64 = 0.5 => {
                label { en: "SimPO margin", zh: "SimPO 间隔" }
                help { zh: "SimPO 要求被选与被拒回答之间的间隔。" }
                from(0.0, 1e3) step(0.1) advanced() stages(DPO)
            }
            /// How much counts of what the longer answer has beyond the shorter one's length. Unset: all of it.
            ld_alpha: Option<f64> = None => {
                label { en: "Length discount", zh: "长度折扣" }
                help { zh: "较长回答超出较短回答长度的部分所计的比例。不设则全计。" }
                from(0.0, 1.0) step(0.1) advanced() stages(PAIRS) placeholder(words! { en: "all", zh: "全计" })
            }
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
                advanced() stages(COMPARED) placeholder(words! { en: "none", zh: "无" })
            }
        } }
    };
}
