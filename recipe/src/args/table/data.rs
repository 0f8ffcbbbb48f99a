//! What is trained on, and how it is encoded.

macro_rules! data {
    ([$next:ident $($later:ident)*] $($earlier:tt)*) => {
        $next! { [$($later)*] $($earlier)* Data {
            /// Names of datasets, from dataset_info.json.
            dataset: Vec<String> = Vec::new() => {
                label { en: "Datasets", zh: "数据集" }
                help { zh: "数据集名称，取自 dataset_info.json。" }
                essential()
            }
            /// Folder that holds dataset_info.json; REMOTE:owner/name if it is in a repository on the Hugging Face hub; ONLINE if datasets are named as on a hub (owner/name).
            dataset_dir: String = "data".to_owned() => {
                label { en: "Data folder", zh: "数据文件夹" }
                help { zh: "存放 dataset_info.json 的文件夹；若该文件在 Hugging Face 仓库中，填 REMOTE:owner/name；填 ONLINE 时数据集按站点上的名称（owner/name）读取。" }
                path() advanced()
            }
            /// Split of datasets on a hub, for entries that name none; with rows, as in train[:1000].
            split: String = "train".to_owned() => {
                label { en: "Split", zh: "数据划分" }
                help { zh: "站点上数据集的划分（split），用于未指明的条目；可带行范围，如 train[:1000]。" }
                advanced()
            }
            /// How a conversation is written as the model's prompt. Must be the one the model was trained with. Unset: the model's own chat template.
            template: Option<String> = None => {
                label { en: "Template", zh: "对话模板" }
                help { zh: "将对话写成模型提示词的格式，须与模型训练时所用的一致。不设则用模型自带的对话模板。" }
                essential() placeholder(words! { en: "the model's own", zh: "模型自带" })
            }
            /// Longest example in tokens; what is longer is cut.
            cutoff_len: usize = 2048 => {
                label { en: "Cutoff length", zh: "截断长度" }
                help { zh: "每条样本的最大词元数，超出部分被截断。" }
                from(1.0, 16_777_216.0)
            }
            /// Takes at most so many rows of each dataset.
            max_samples: Option<usize> = None => {
                label { en: "Max samples", zh: "最大样本数" }
                help { zh: "每个数据集最多取多少行。" }
                from(1.0, ROWS) placeholder(words! { en: "all rows", zh: "全部" })
            }
            /// How several datasets become one.
            mix_strategy: MixStrategy = MixStrategy::Concat => {
                label { en: "Mixing strategy", zh: "混合方式" }
                help { zh: "多个数据集的合并方式。" }
                advanced()
            }
            /// Shares at which interleaving draws from the datasets, with commas between them. Unset: in turns.
            interleave_probs: Vec<String> = Vec::new() => {
                label { en: "Mixing ratios", zh: "混合比例" }
                help { zh: "交错时从各数据集抽取的比例，以逗号分隔。不设则轮流抽取。" }
                advanced() placeholder(words! { en: "uniform", zh: "均匀" })
            }
            /// Reads data while training goes on, for data that are too large to be encoded beforehand. Needs max_steps.
            streaming: bool = false => {
                label { en: "Streaming", zh: "流式读取" }
                help { zh: "边训练边读取数据，用于无法预先编码的大数据；须设置 max_steps。" }
                advanced()
            }
            /// Rows that streaming shuffles among themselves.
            buffer_size: usize = 16384 => {
                label { en: "Shuffle buffer", zh: "打乱缓冲区" }
                help { zh: "流式读取时在多少行之间打乱顺序。" }
                from(1.0, ROWS) advanced()
            }
            /// Folder for the encoded data: read if it holds some, else written.
            tokenized_path: Option<String> = None => {
                label { en: "Tokenized dataset path", zh: "已分词数据集路径" }
                help { zh: "存放已编码数据的文件夹：其中已有则读取，否则写入。" }
                path() advanced() placeholder(words! { en: "none", zh: "无" })
            }
            /// Encodes data again that an earlier run has encoded.
            overwrite_cache: bool = false => {
                label { en: "Overwrite cache", zh: "覆盖缓存" }
                help { zh: "重新编码先前已编码过的数据。" }
                advanced()
            }
            /// Joins examples into sequences of the full cutoff length. Unset: on for pre-training, off otherwise.
            packing: Option<bool> = None => {
                label { en: "Packing", zh: "样本打包" }
                help { zh: "将样本拼成截断长度的序列。不设时：预训练开启，其余关闭。" }
                advanced() stages(PACKED) placeholder(words! { en: "auto", zh: "自动" })
            }
            /// Packs without letting the examples of a sequence see each other.
            neat_packing: bool = false => {
                label { en: "Neat packing", zh: "无污染打包" }
                help { zh: "打包时各样本互不可见。" }
                advanced() stages(SFT)
            }
            /// Examples that are packed among themselves: packing fills sequences from so many at a time.
            preprocessing_batch_size: usize = 1000 => {
                label { en: "Packing batch", zh: "打包批量" }
                help { zh: "每次取多少条样本相互打包。" }
                from(1.0, 1e6) advanced()
            }
            /// Counts the loss on prompts too, not on answers alone.
            train_on_prompt: bool = false => {
                label { en: "Train on prompts", zh: "训练提示词" }
                help { zh: "损失也计入提示词，而不只是回答。" }
                advanced() stages(SFT)
            }
            /// Counts the loss on the last answer of a conversation alone.
            mask_history: bool = false => {
                label { en: "Mask history", zh: "屏蔽历史" }
                help { zh: "只对对话的最后一个回答计算损失。" }
                advanced() stages(SFT)
            }
            /// System prompt for conversations that have none. Unset: the template's own.
            default_system: Option<String> = None => {
                label { en: "System prompt", zh: "系统提示词" }
                help { zh: "用于没有系统提示词的对话。不设则用模板自带的。" }
                advanced() stages(SFT) placeholder(words! { en: "the template's own", zh: "模板自带" })
            }
            /// How tools and calls of tools are written. Unset: as the template does.
            tool_format: Option<ToolFormat> = None => {
                label { en: "Tool format", zh: "工具格式" }
                help { zh: "工具说明与工具调用的写法。不设则用模板自带的。" }
                advanced() stages(SFT) placeholder(words! { en: "the template's own", zh: "模板自带" })
            }
            /// For models that think: true trains an empty thought before answers that have none, false puts it into the prompt.
            enable_thinking: Option<bool> = Some(true) => {
                label { en: "Thinking", zh: "思考模式" }
                help { zh: "用于推理模型：true 时无思考的回答前训练一段空思考，false 时空思考放入提示词。" }
                advanced() stages(SFT)
            }
            /// For models that think: keeps the thoughts of earlier answers, which mask_history leaves out otherwise.
            preserve_thinking: bool = false => {
                label { en: "Keep thoughts", zh: "保留思考" }
                help { zh: "用于推理模型：保留先前回答中的思考，否则 mask_history 会将其略去。" }
                advanced() stages(SFT)
            }
        } }
    };
}
