//! The model and where it comes from.

macro_rules! model {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Model {
            /// Folder of a model in Hugging Face layout, a .gguf file, or a model's name on a hub (owner/name): the Hugging Face hub, or ModelScope with USE_MODELSCOPE_HUB=1.
            model_name_or_path: String = String::new() => {
                label { en: "Model", zh: "模型" }
                help { zh: "Hugging Face 格式的模型文件夹、.gguf 文件，或模型站点上的名称（owner/name）：默认 Hugging Face，设置 USE_MODELSCOPE_HUB=1 时为魔搭社区 ModelScope。" }
                path() essential()
            }
            /// Branch, tag or commit of a model that is read from a hub by its name.
            model_revision: String = "main".to_owned() => {
                label { en: "Revision", zh: "模型版本" }
                help { zh: "从模型站点按名称读取的模型的分支、标签或提交。" }
                advanced()
            }
            /// Adapter folders to start from. All but the last are merged into the model; the last one is trained on.
            adapter_name_or_path: Vec<String> = Vec::new() => {
                label { en: "Adapters", zh: "适配器" }
                help { zh: "作为起点的适配器文件夹。除最后一个外全部合并进模型，最后一个继续训练。" }
                methods(ADAPTERS) placeholder(words! { en: "none", zh: "无" })
            }
            /// Stretches rotary positions so that texts longer than the model's context can be trained on.
            rope_scaling: Option<RopeScaling> = None => {
                label { en: "RoPE scaling", zh: "RoPE 缩放" }
                help { zh: "拉伸旋转位置编码，使训练文本可以超过模型原有的上下文长度。" }
                advanced() placeholder(words! { en: "off", zh: "关闭" })
            }
            /// Each head sees a quarter of a text while training (LongLoRA), half of the heads shifted by half of one: long texts get cheaper. Of llamas alone.
            shift_attn: bool = false => {
                label { en: "Shifted sparse attention", zh: "移位稀疏注意力" }
                help { zh: "训练时每个注意力头只看文本的四分之一（LongLoRA），其中一半的头错开半组：降低长文本的开销。仅用于 llama 类模型。" }
                advanced()
            }
            /// Every second layer computes an eighth of the tokens, which a router chooses; the others pass by (Mixture-of-Depths). `convert` gives a model routers, which takes training whole; `load` expects a model that has them.
            mixture_of_depths: Option<MixtureOfDepths> = None => {
                label { en: "Mixture-of-Depths", zh: "混合深度（MoD）" }
                help { zh: "每隔一层只计算由路由器选出的八分之一词元，其余直接通过（Mixture-of-Depths）。`convert` 为模型加上路由器，需全参数训练；`load` 用于已有路由器的模型。" }
                advanced() placeholder(words! { en: "off", zh: "关闭" })
            }
            /// Grows the embeddings to the size of the tokenizer, rounded up to a multiple of 64.
            resize_vocab: bool = false => {
                label { en: "Resize vocabulary", zh: "扩展词表" }
                help { zh: "将嵌入层扩展到分词器的大小（向上取整到 64 的倍数）。" }
                advanced()
            }
            /// Tokens that the vocabulary gets, and the model rows for; words like any other.
            add_tokens: Vec<String> = Vec::new() => {
                label { en: "New tokens", zh: "新增词元" }
                help { zh: "加入词表的词元，模型为其增加词向量；与普通词语无异。" }
                advanced() placeholder(words! { en: "none", zh: "无" })
            }
            /// The same for marks, which stand for themselves wherever they are and are left out of answers.
            add_special_tokens: Vec<String> = Vec::new() => {
                label { en: "New special tokens", zh: "新增特殊词元" }
                help { zh: "同上，用于标记：无论在何处都作为整体，且不出现在回答中。" }
                advanced() placeholder(words! { en: "none", zh: "无" }) synonyms(&["new_special_tokens"])
            }
            /// YAML file of new special tokens, each with a description of what it means: {<think>: thoughts before the answer}.
            new_special_tokens_config: Option<String> = None => {
                label { en: "Described tokens", zh: "带说明的新词元" }
                help { zh: "新增特殊词元及其含义说明的 YAML 文件，例如 {<think>: 回答前的思考}。" }
                path() advanced() placeholder(words! { en: "none", zh: "无" })
            }
            /// What new tokens start from: the mean of all others with noise, or the mean of the words that describe them.
            init_special_tokens: TokenInit = TokenInit::NoiseInit => {
                label { en: "Start of new tokens", zh: "新词元的初始化" }
                help { zh: "新词元的初始值：全部词元的均值加噪声，或其说明文字的均值。" }
                advanced()
            }
            /// Starts from random weights; of the model, only config.json and the tokenizer are read.
            train_from_scratch: bool = false => {
                label { en: "From scratch", zh: "从零训练" }
                help { zh: "从随机权重开始；只读取模型的 config.json 与分词器。" }
                advanced() methods(FULL)
            }
            /// Runs on the CPU even where there is an accelerator.
            use_cpu: bool = false => {
                label { en: "Use the CPU", zh: "使用 CPU" }
                help { zh: "即使有加速卡也在 CPU 上运行。" }
                advanced() synonyms(&["no_cuda"])
            }
        } }
    };
}
