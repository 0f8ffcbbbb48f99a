//! Training on scores of the model's own answers.

macro_rules! reinforcement {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Reinforcement {
            /// What scores answers: the folder of a reward model's adapter or of a whole model, or a server's address.
            reward_model: Option<String> = None => {
                label { en: "Reward model", zh: "奖励模型" }
                help { zh: "为回答打分者：奖励模型适配器或完整模型的文件夹，或服务器地址。" }
                path() stages(SCORED) placeholder(words! { en: "none", zh: "无" })
            }
            /// What the reward model is.
            reward_model_type: RewardModelType = RewardModelType::Lora => {
                label { en: "Kind of reward model", zh: "奖励模型类型" }
                help { zh: "奖励模型的形式。" }
                stages(SCORED)
            }
            /// Adapters that are merged into a reward model of its own.
            reward_model_adapters: Vec<String> = Vec::new() => {
                label { en: "Reward adapters", zh: "奖励模型适配器" }
                help { zh: "合并进独立奖励模型的适配器。" }
                advanced() stages(SCORED) placeholder(words! { en: "none", zh: "无" })
            }
            /// Factor on the reward model's scores, where rules score, too.
            reward_model_weight: f64 = 1.0 => {
                label { en: "Weight of the reward model", zh: "奖励模型权重" }
                help { zh: "与规则一同打分时，奖励模型分数所乘的系数。" }
                from(0.0, 1e6) step(0.1) advanced() stages(SCORED)
            }
            /// Rules that score answers, instead of a reward model or beside it: regex (pattern), exact_match (with the
            /// answer of the data; pattern), length (min, max in tokens), format (tags); each with a weight.
            reward_rules: Rules = Rules::default() => {
                label { en: "Reward rules", zh: "奖励规则" }
                help { zh: "为回答打分的规则，可代替奖励模型或与其并用：regex（pattern）、exact_match（与数据中的回答比较；pattern）、length（min、max，以词元计）、format（tags）；各有 weight。" }
                stages(SCORED) placeholder(words! { en: "none", zh: "无" })
            }
            /// Batches of prompts that are answered before anything is learnt from them; so many updates make an epoch of
            /// PPO.
            ppo_buffer_size: usize = 1 => {
                label { en: "Buffer", zh: "经验缓冲" }
                help { zh: "学习前先回答的提示批次数；PPO 的一轮由同样次数的更新组成。" }
                from(1.0, 1e6) advanced() stages(PPO)
            }
            /// How often answers are gone through.
            ppo_epochs: usize = 4 => {
                label { en: "PPO epochs", zh: "PPO 轮数" }
                help { zh: "对同一批回答学习的轮数。" }
                from(1.0, 1e4) stages(PPO)
            }
            /// Scores are divided by the deviation of all scores so far, and shifted by their mean.
            ppo_score_norm: bool = false => {
                label { en: "Score norm", zh: "分数归一化" }
                help { zh: "分数减去迄今全部分数的均值，再除以其标准差。" }
                stages(PPO)
            }
            /// Distance from the reference, in nats an answer, that the penalty's coefficient steers for.
            ppo_target: f64 = 6.0 => {
                label { en: "KL target", zh: "KL 目标" }
                help { zh: "惩罚系数所调节的目标：每个回答与参考模型的距离（奈特）。" }
                above(0.0, 1e6) step(0.5) advanced() stages(PPO)
            }
            /// Rewards of tokens are scaled to variance 1.
            ppo_whiten_rewards: bool = false => {
                label { en: "Whiten rewards", zh: "奖励白化" }
                help { zh: "将词元奖励缩放到方差为 1。" }
                stages(PPO)
            }
            /// What a nat of distance from the reference costs at first.
            ppo_kl_coef: f64 = 0.2 => {
                label { en: "KL coefficient", zh: "KL 系数" }
                help { zh: "与参考模型每奈特距离的初始代价。" }
                from(0.0, 1e3) step(0.05) advanced() stages(PPO) synonyms(&["init_kl_coef"])
            }
            /// How the distance of a token is measured.
            ppo_kl_penalty: KlPenalty = KlPenalty::Kl => {
                label { en: "KL penalty", zh: "KL 惩罚" }
                help { zh: "词元距离的度量方式。" }
                advanced() stages(PPO) synonyms(&["kl_penalty"])
            }
            /// Answers to each prompt. A batch has so many times as many answers as prompts.
            num_generations: usize = 8 => {
                label { en: "Answers per prompt", zh: "每个提示的回答数" }
                help { zh: "对每个提示生成的回答数；一个批次的回答数为提示数乘以该值。" }
                from(2.0, 1e4) stages(GRPO)
            }
            /// Updates that are made of the same answers.
            num_iterations: usize = 1 => {
                label { en: "Iterations", zh: "迭代次数" }
                help { zh: "用同一批回答更新的次数。" }
                from(1.0, 1e4) stages(GRPO)
            }
            /// Weight of the distance from the reference; 0 = there is none.
            grpo_beta: f64 = 0.0 => {
                label { en: "Beta", zh: "β" }
                help { zh: "与参考模型距离的权重；0 表示没有参考模型。" }
                from(0.0, 1e3) step(0.01) stages(GRPO)
            }
            /// By what the loss is divided.
            grpo_loss_type: GrpoLoss = GrpoLoss::Dapo => {
                label { en: "Loss", zh: "损失" }
                help { zh: "损失所除以的量。" }
                advanced() stages(GRPO) synonyms(&["loss_type"])
            }
            /// By which deviation advantages are divided.
            scale_rewards: ScaleRewards = ScaleRewards::Group => {
                label { en: "Scale rewards", zh: "奖励缩放" }
                help { zh: "优势所除以的标准差。" }
                advanced() stages(GRPO)
            }
            /// Of what ratios of probabilities are taken.
            importance_sampling_level: ImportanceSampling = ImportanceSampling::Token => {
                label { en: "Ratio", zh: "概率比" }
                help { zh: "概率比的计算层级。" }
                advanced() stages(GRPO)
            }
            /// How far a ratio may fall below 1 before it is clipped.
            grpo_epsilon: f64 = 0.2 => {
                label { en: "Clipping below", zh: "下裁剪" }
                help { zh: "概率比低于 1 多少即被裁剪。" }
                from(0.0, 1.0) step(0.05) advanced() stages(GRPO) synonyms(&["epsilon"])
            }
            /// How far a ratio may rise above 1 before it is clipped. Unset: as far as below.
            grpo_epsilon_high: Option<f64> = None => {
                label { en: "Clipping above", zh: "上裁剪" }
                help { zh: "概率比高于 1 多少即被裁剪。不设则与下裁剪相同。" }
                from(0.0, 1e3) step(0.05) advanced() stages(GRPO) synonyms(&["epsilon_high"])
                placeholder(words! { en: "as below", zh: "同下裁剪" })
            }
            /// The largest ratio at all. Unset: there is none.
            grpo_delta: Option<f64> = None => {
                label { en: "Largest ratio", zh: "最大概率比" }
                help { zh: "概率比的上限。不设则没有。" }
                above(0.0, 1e6) step(0.5) advanced() stages(GRPO) synonyms(&["delta"])
                placeholder(words! { en: "none", zh: "无" })
            }
        } }
    };
}
