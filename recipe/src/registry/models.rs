//! Models of the Llama architecture that have a name: where they come from, and the template they speak.

/// A kind of model: those of one maker that share a template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub name: &'static str,
    /// Template of its chat models; none if it has no chat models.
    pub template: Option<&'static str>,
    /// Name, and repository on the Hugging Face hub.
    pub models: &'static [(&'static str, &'static str)],
}

const fn family(
    name: &'static str,
    template: Option<&'static str>,
    models: &'static [(&'static str, &'static str)],
) -> Family {
    Family { name, template, models }
}

#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    family("SmolLM2", Some("smollm2"), &[
        ("SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"),
        ("SmolLM2-360M", "HuggingFaceTB/SmolLM2-360M"),
        ("SmolLM2-1.7B", "HuggingFaceTB/SmolLM2-1.7B"),
        ("SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("SmolLM2-360M-Instruct", "HuggingFaceTB/SmolLM2-360M-Instruct"),
        ("SmolLM2-1.7B-Instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct"),
    ]),
    family("SmolLM", Some("smollm"), &[
        ("SmolLM-135M", "HuggingFaceTB/SmolLM-135M"),
        ("SmolLM-360M", "HuggingFaceTB/SmolLM-360M"),
        ("SmolLM-1.7B", "HuggingFaceTB/SmolLM-1.7B"),
        ("SmolLM-135M-Instruct", "HuggingFaceTB/SmolLM-135M-Instruct"),
        ("SmolLM-360M-Instruct", "HuggingFaceTB/SmolLM-360M-Instruct"),
        ("SmolLM-1.7B-Instruct", "HuggingFaceTB/SmolLM-1.7B-Instruct"),
    ]),
    family("LLaMA", None, &[
        ("Llama-7B", "huggyllama/llama-7b"),
        ("Llama-13B", "huggyllama/llama-13b"),
        ("Llama-30B", "huggyllama/llama-30b"),
        ("Llama-65B", "huggyllama/llama-65b"),
    ]),
    family("LLaMA 2", Some("llama2"), &[
        ("Llama-2-7B", "meta-llama/Llama-2-7b-hf"),
        ("Llama-2-13B", "meta-llama/Llama-2-13b-hf"),
        ("Llama-2-70B", "meta-llama/Llama-2-70b-hf"),
        ("Llama-2-7B-Chat", "meta-llama/Llama-2-7b-chat-hf"),
        ("Llama-2-13B-Chat", "meta-llama/Llama-2-13b-chat-hf"),
        ("Llama-2-70B-Chat", "meta-llama/Llama-2-70b-chat-hf"),
    ]),
    family("LLaMA 3", Some("llama3"), &[
        ("Llama-3-8B", "meta-llama/Meta-Llama-3-8B"),
        ("Llama-3-70B", "meta-llama/Meta-Llama-3-70B"),
        ("Llama-3-8B-Instruct", "meta-llama/Meta-Llama-3-8B-Instruct"),
        ("Llama-3-70B-Instruct", "meta-llama/Meta-Llama-3-70B-Instruct"),
        ("Llama-3-8B-Chinese-Chat", "shenzhi-wang/Llama3-8B-Chinese-Chat"),
        ("Llama-3-70B-Chinese-Chat", "shenzhi-wang/Llama3-70B-Chinese-Chat"),
        ("Llama-3.1-8B", "meta-llama/Meta-Llama-3.1-8B"),
        ("Llama-3.1-70B", "meta-llama/Meta-Llama-3.1-70B"),
        ("Llama-3.1-405B", "meta-llama/Meta-Llama-3.1-405B"),
        ("Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
        ("Llama-3.1-70B-Instruct", "meta-llama/Meta-Llama-3.1-70B-Instruct"),
        ("Llama-3.1-405B-Instruct", "meta-llama/Meta-Llama-3.1-405B-Instruct"),
        ("Llama-3.1-8B-Chinese-Chat", "shenzhi-wang/Llama3.1-8B-Chinese-Chat"),
        ("Llama-3.1-70B-Chinese-Chat", "shenzhi-wang/Llama3.1-70B-Chinese-Chat"),
        ("Llama-3.2-1B", "meta-llama/Llama-3.2-1B"),
        ("Llama-3.2-3B", "meta-llama/Llama-3.2-3B"),
        ("Llama-3.2-1B-Instruct", "meta-llama/Llama-3.2-1B-Instruct"),
        ("Llama-3.2-3B-Instruct", "meta-llama/Llama-3.2-3B-Instruct"),
        ("Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("MobileLLM-R1-140M-Base", "facebook/MobileLLM-R1-140M-base"),
        ("MobileLLM-R1-360M-Base", "facebook/MobileLLM-R1-360M-base"),
        ("MobileLLM-R1-950M-Base", "facebook/MobileLLM-R1-950M-base"),
        ("MobileLLM-R1-140M-Instruct", "facebook/MobileLLM-R1-140M"),
        ("MobileLLM-R1-360M-Instruct", "facebook/MobileLLM-R1-360M"),
        ("MobileLLM-R1-950M-Instruct", "facebook/MobileLLM-R1-950M"),
    ]),
    family("DeepSeek LLM", Some("deepseek"), &[
        ("DeepSeek-LLM-7B-Base", "deepseek-ai/deepseek-llm-7b-base"),
        ("DeepSeek-LLM-67B-Base", "deepseek-ai/deepseek-llm-67b-base"),
        ("DeepSeek-LLM-7B-Chat", "deepseek-ai/deepseek-llm-7b-chat"),
        ("DeepSeek-LLM-67B-Chat", "deepseek-ai/deepseek-llm-67b-chat"),
        ("DeepSeek-Math-7B-Base", "deepseek-ai/deepseek-math-7b-base"),
        ("DeepSeek-Math-7B-Instruct", "deepseek-ai/deepseek-math-7b-instruct"),
    ]),
    family("DeepSeek Coder", Some("deepseekcoder"), &[
        ("DeepSeek-Coder-6.7B-Base", "deepseek-ai/deepseek-coder-6.7b-base"),
        ("DeepSeek-Coder-7B-Base", "deepseek-ai/deepseek-coder-7b-base-v1.5"),
        ("DeepSeek-Coder-33B-Base", "deepseek-ai/deepseek-coder-33b-base"),
        ("DeepSeek-Coder-6.7B-Instruct", "deepseek-ai/deepseek-coder-6.7b-instruct"),
        ("DeepSeek-Coder-7B-Instruct", "deepseek-ai/deepseek-coder-7b-instruct-v1.5"),
        ("DeepSeek-Coder-33B-Instruct", "deepseek-ai/deepseek-coder-33b-instruct"),
    ]),
    family("DeepSeek R1 distilled", Some("deepseekr1"), &[
        ("DeepSeek-R1-8B-Distill", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"),
        ("DeepSeek-R1-70B-Distill", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B"),
    ]),
    family("Yi", Some("yi"), &[
        ("Yi-6B", "01-ai/Yi-6B"),
        ("Yi-9B", "01-ai/Yi-9B"),
        ("Yi-34B", "01-ai/Yi-34B"),
        ("Yi-6B-Chat", "01-ai/Yi-6B-Chat"),
        ("Yi-34B-Chat", "01-ai/Yi-34B-Chat"),
        ("Yi-1.5-6B", "01-ai/Yi-1.5-6B"),
        ("Yi-1.5-9B", "01-ai/Yi-1.5-9B"),
        ("Yi-1.5-34B", "01-ai/Yi-1.5-34B"),
        ("Yi-1.5-6B-Chat", "01-ai/Yi-1.5-6B-Chat"),
        ("Yi-1.5-9B-Chat", "01-ai/Yi-1.5-9B-Chat"),
        ("Yi-1.5-34B-Chat", "01-ai/Yi-1.5-34B-Chat"),
        ("Yi-Coder-1.5B", "01-ai/Yi-Coder-1.5B"),
        ("Yi-Coder-9B", "01-ai/Yi-Coder-9B"),
        ("Yi-Coder-1.5B-Chat", "01-ai/Yi-Coder-1.5B-Chat"),
        ("Yi-Coder-9B-Chat", "01-ai/Yi-Coder-9B-Chat"),
    ]),
    family("Chinese LLaMA 2", Some("llama2_zh"), &[
        ("Chinese-Llama-2-1.3B", "hfl/chinese-llama-2-1.3b"),
        ("Chinese-Llama-2-7B", "hfl/chinese-llama-2-7b"),
        ("Chinese-Llama-2-13B", "hfl/chinese-llama-2-13b"),
        ("Chinese-Alpaca-2-1.3B-Chat", "hfl/chinese-alpaca-2-1.3b"),
        ("Chinese-Alpaca-2-7B-Chat", "hfl/chinese-alpaca-2-7b"),
        ("Chinese-Alpaca-2-13B-Chat", "hfl/chinese-alpaca-2-13b"),
    ]),
    family("OpenChat 3.6", Some("openchat-3.6"), &[
        ("OpenChat3.6-8B-Chat", "openchat/openchat-3.6-8b-20240522"),
    ]),
    family("OpenCoder", Some("opencoder"), &[
        ("OpenCoder-1.5B-Base", "infly/OpenCoder-1.5B-Base"),
        ("OpenCoder-8B-Base", "infly/OpenCoder-8B-Base"),
        ("OpenCoder-1.5B-Instruct", "infly/OpenCoder-1.5B-Instruct"),
        ("OpenCoder-8B-Instruct", "infly/OpenCoder-8B-Instruct"),
    ]),
    family("Seed-Coder", Some("seed_coder"), &[
        ("Seed-Coder-8B-Base", "ByteDance-Seed/Seed-Coder-8B-Base"),
        ("Seed-Coder-8B-Instruct", "ByteDance-Seed/Seed-Coder-8B-Instruct"),
        ("Seed-Coder-8B-Thinking", "ByteDance-Seed/Seed-Coder-8B-Reasoning-bf16"),
    ]),
    family("SOLAR", Some("solar"), &[
        ("SOLAR-10.7B-v1.0", "upstage/SOLAR-10.7B-v1.0"),
        ("SOLAR-10.7B-Instruct-v1.0", "upstage/SOLAR-10.7B-Instruct-v1.0"),
    ]),
    family("Vicuna", Some("vicuna"), &[
        ("Vicuna-v1.5-7B-Chat", "lmsys/vicuna-7b-v1.5"),
        ("Vicuna-v1.5-13B-Chat", "lmsys/vicuna-13b-v1.5"),
    ]),
    family("XuanYuan", Some("xuanyuan"), &[
        ("XuanYuan-6B", "Duxiaoman-DI/XuanYuan-6B"),
        ("XuanYuan-70B", "Duxiaoman-DI/XuanYuan-70B"),
        ("XuanYuan2-70B", "Duxiaoman-DI/XuanYuan2-70B"),
        ("XuanYuan-6B-Chat", "Duxiaoman-DI/XuanYuan-6B-Chat"),
        ("XuanYuan-70B-Chat", "Duxiaoman-DI/XuanYuan-70B-Chat"),
        ("XuanYuan2-70B-Chat", "Duxiaoman-DI/XuanYuan2-70B-Chat"),
    ]),
];
