//! What is trained, and towards what.

macro_rules! method {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Method {
            /// Training objective: pt = plain text, sft = answers to instructions, rm = which of two answers is better, dpo = towards the better one, orpo = the same without a reference model, kto = answers judged one by one, ppo and grpo = its own answers, which are scored.
            stage: Stage = Stage::Sft => {
                label { en: "Stage", zh: "训练阶段" }
                help { zh: "训练内容：pt 为纯文本，sft 为指令问答，rm 为两个回答孰优，dpo 为偏向更优的回答，kto 为逐条评判的回答，ppo 与 grpo 为对自身回答的打分。" }
                essential()
            }
            /// Train.
            do_train: bool = false => {
                label { en: "Train", zh: "训练" }
                help { zh: "进行训练。" }
                advanced()
            }
            /// Which weights change: lora = small matrices beside the frozen model, oft = rotations of what its layers read, freeze = some layers, full = every weight.
            finetuning_type: FinetuningType = FinetuningType::Lora => {
                label { en: "Method", zh: "微调方法" }
                help { zh: "训练哪些权重：lora 为冻结模型旁的低秩矩阵，oft 为对各层输入的旋转，freeze 为部分层，full 为全部权重。" }
                essential()
            }
        } }
    };
}
