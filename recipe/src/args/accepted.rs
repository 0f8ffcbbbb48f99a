//! Keys of LLaMA-Factory that are taken without effect, each with the reason.
//!
//! They speak of machinery that Chandler does not have or of choices it has no need for: what is
//! trained is the same with or without them. A run that uses one says so in a notice.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::values;
use crate::problem::Problem;
use crate::raw::Raw;
use crate::suggest::offer;
use crate::text::{Sentence, Text};

/// A key without effect.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// The key in YAML.
    pub key: &'static str,
    /// The values that are taken; empty = any.
    pub only: &'static [&'static str],
    /// Why it has no effect.
    pub reason: Text,
}

/// Several keys of one reason.
struct Row {
    keys: &'static [&'static str],
    only: &'static [&'static str],
    reason: Text,
}

const ANY: &[&str] = &[];
const YES: &[&str] = &["true"];

const fn row(keys: &'static [&'static str], only: &'static [&'static str], reason: Text) -> Row {
    Row { keys, only, reason }
}

#[rustfmt::skip]
static ROWS: &[Row] = &[
    row(&["trust_remote_code"], ANY, words! {
        en: "Chandler runs no code from model folders",
        zh: "Chandler 不执行模型文件夹中的代码",
    }),
    row(&["use_fast_tokenizer", "low_cpu_mem_usage", "use_cache", "use_kv_cache"], ANY, words! {
        en: "this is always so where it matters",
        zh: "在需要之处始终如此",
    }),
    row(&["cache_dir", "resume_download"], ANY, words! {
        en: "caches are those of the hubs' own tools, set by the environment: HF_HOME, HF_HUB_CACHE, MODELSCOPE_CACHE",
        zh: "缓存与各站点自带工具共用，由环境变量设置：HF_HOME、HF_HUB_CACHE、MODELSCOPE_CACHE",
    }),
    row(&["loraplus_lr_embedding"], ANY, words! {
        en: "low-rank matrices are beside linear layers alone, not beside embeddings",
        zh: "低秩矩阵只加在线性层旁，不加在嵌入层旁",
    }),
    row(&["om_hub_token"], ANY, words! {
        en: "models and data come from the Hugging Face Hub and from ModelScope",
        zh: "模型与数据来自 Hugging Face 与魔搭社区",
    }),
    row(&["flash_attn"], &["auto", "sdpa", "disabled", "off", "fa2", "fa3"], words! {
        en: "Chandler has one attention, exact and without a score matrix in memory",
        zh: "Chandler 只有一种注意力实现：精确，且不在内存中展开分数矩阵",
    }),
    row(&[
        "use_reentrant_gc", "use_unsloth_gc", "gradient_checkpointing", "gradient_checkpointing_kwargs",
    ], ANY, words! {
        en: "checkpointing is on unless `disable_gradient_checkpointing` says otherwise",
        zh: "梯度检查点默认开启，由 `disable_gradient_checkpointing` 关闭",
    }),
    row(&[
        "use_unsloth", "enable_liger_kernel", "use_liger_kernel", "liger_kernel_config", "use_v1_kernels",
        "torch_compile", "torch_compile_backend", "torch_compile_mode", "tf32", "torch_empty_cache_steps",
        "torchdynamo", "jit_mode_eval", "use_ipex", "xpu_backend", "use_mps_device", "tpu_num_cores",
        "tpu_metrics_debug",
    ], ANY, words! {
        en: "this tunes PyTorch's speed; the result is the same",
        zh: "这是对 PyTorch 速度的调节，结果不变",
    }),
    row(&[
        "preprocessing_num_workers", "dataloader_num_workers", "dataloader_pin_memory",
        "dataloader_persistent_workers", "dataloader_prefetch_factor", "data_shared_file_system",
        "dispatch_batches", "split_batches",
    ], ANY, words! {
        en: "data is encoded on all cores by threads of one process",
        zh: "数据由同一进程的多个线程在全部核心上编码",
    }),
    row(&["ignore_pad_token_for_loss"], YES, words! {
        en: "sequences are not padded, so no padding can count in the loss",
        zh: "序列不做填充，损失中不会出现填充",
    }),
    row(&["remove_unused_columns"], ANY, words! {
        en: "columns that no format names are never read",
        zh: "格式未提及的列从不读取",
    }),
    row(&[
        "ddp_timeout", "ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers",
        "ddp_static_graph", "ddp_backend", "local_rank", "average_tokens_across_devices",
        "accelerator_config", "save_on_each_node", "log_on_each_node", "master_addr", "master_port",
        "mp_parameters",
    ], ANY, words! {
        en: "a run is one process",
        zh: "一次运行只有一个进程",
    }),
    row(&[
        "deepspeed", "fsdp", "fsdp_config", "fsdp_min_num_params", "fsdp_transformer_layer_cls_to_wrap",
        "parallelism_config",
    ], ANY, words! {
        en: "a run is one process, so nothing is spread over devices; the arithmetic is the same",
        zh: "一次运行只有一个进程，不在设备间拆分；计算结果相同",
    }),
    row(&[
        "use_ray", "ray_scope", "ray_run_name", "ray_storage_path", "ray_storage_filesystem", "ray_num_workers",
        "resources_per_worker", "placement_strategy", "ray_init_kwargs",
    ], ANY, words! {
        en: "a run is one process on this machine; Ray would spread it over others",
        zh: "一次运行是本机上的一个进程；Ray 会将其分布到其他机器",
    }),
    row(&["fp8_backend", "fp8_enable_fsdp_float8_all_gather"], ANY, words! {
        en: "`fp8` runs in bfloat16",
        zh: "`fp8` 以 bfloat16 运行",
    }),
    row(&["upcast_layernorm", "upcast_lmhead_output"], ANY, words! {
        en: "norms and logits are always computed in float32",
        zh: "归一化与 logits 始终以 float32 计算",
    }),
    row(&["fp16_opt_level", "fp16_backend", "half_precision_backend"], ANY, words! {
        en: "there is one way to compute in bfloat16, which needs no loss scaling",
        zh: "bfloat16 计算只有一种方式，无需损失缩放",
    }),
    row(&["fp16_full_eval", "bf16_full_eval"], ANY, words! {
        en: "evaluation computes as training does; `bf16: true` makes both bfloat16",
        zh: "评估与训练的精度相同；`bf16: true` 使两者均用 bfloat16",
    }),
    row(&["ignore_data_skip", "restore_callback_states_from_checkpoint"], ANY, words! {
        en: "a checkpoint holds the place in the data and all else that training goes on from",
        zh: "检查点中保存了数据位置等继续训练所需的一切",
    }),
    row(&["length_column_name", "sortish_sampler"], ANY, words! {
        en: "lengths are counted, and `train_sampling_strategy` says the order",
        zh: "长度由程序统计，顺序由 `train_sampling_strategy` 决定",
    }),
    row(&["offload_folder"], ANY, words! {
        en: "memory is the machine's own; the board estimates what a run takes before it starts",
        zh: "使用本机内存；面板会在启动前估算运行所需的内存",
    }),
    row(&["logging_strategy"], &["steps"], words! {
        en: "logging goes by `logging_steps`",
        zh: "日志按 `logging_steps` 记录",
    }),
    row(&[
        "run_name", "disable_tqdm", "log_level", "log_level_replica", "skip_memory_metrics",
        "logging_nan_inf_filter", "project", "trackio_space_id", "trackio_bucket_id",
        "trackio_static_space_id", "print_param_status", "debug",
    ], ANY, words! {
        en: "the run's folder and the board hold its log",
        zh: "日志在运行文件夹与面板中",
    }),
    row(&[
        "include_num_input_tokens_seen", "include_tokens_per_second", "include_effective_tokens_per_second",
    ], ANY, words! {
        en: "tokens are always counted",
        zh: "始终统计词元数",
    }),
    row(&["save_safetensors"], YES, words! {
        en: "weights are always saved as safetensors",
        zh: "权重始终保存为 safetensors",
    }),
    row(&["full_determinism"], ANY, words! {
        en: "the same seed always gives the same run",
        zh: "种子相同，运行结果始终相同",
    }),
    row(&[
        "prediction_loss_only", "eval_do_concat_batches", "eval_accumulation_steps", "batch_eval_metrics",
        "eval_use_gather_object", "past_index",
    ], ANY, words! {
        en: "evaluation keeps no logits",
        zh: "评估时不保留 logits",
    }),
    row(&["num_beams", "eval_num_beams", "generation_num_beams"], &["1"], words! {
        en: "answers are drawn by sampling or greedily, without beams",
        zh: "回答由采样或贪心生成，不使用束搜索",
    }),
    row(&["length_penalty"], ANY, words! {
        en: "it matters with beams alone",
        zh: "仅在束搜索时有意义",
    }),
    row(&["max_length"], ANY, words! {
        en: "`max_new_tokens` limits answers",
        zh: "回答长度由 `max_new_tokens` 限制",
    }),
    row(&["skip_special_tokens"], YES, words! {
        en: "special tokens are never part of an answer",
        zh: "特殊词元从不出现在回答中",
    }),
    row(&[
        "infer_backend", "vllm_maxlen", "vllm_gpu_util", "vllm_enforce_eager", "vllm_max_lora_rank",
        "vllm_config", "sglang_maxlen", "sglang_mem_fraction", "sglang_tp_size", "sglang_config",
        "sglang_lora_backend",
    ], ANY, words! {
        en: "Chandler has one engine, its own",
        zh: "Chandler 只有自己的一个引擎",
    }),
];

/// Every key without effect.
pub fn all() -> impl Iterator<Item = Accepted> {
    ROWS.iter()
        .flat_map(|row| row.keys.iter().map(move |&key| Accepted { key, only: row.only, reason: row.reason }))
}

/// The key without effect that has this name.
pub fn find(key: &str) -> Option<Accepted> {
    static KNOWN: LazyLock<HashMap<&str, Accepted>> =
        LazyLock::new(|| all().map(|accepted| (accepted.key, accepted)).collect());
    KNOWN.get(key).copied()
}

impl Accepted {
    /// Refuses a value that would have to have an effect.
    pub(crate) fn check(&self, value: &Raw) -> Result<(), Problem> {
        let given = value.to_string();
        let taken = self.only.is_empty()
            || *value == Raw::Null
            || self.only.iter().any(|only| given.eq_ignore_ascii_case(only));
        if taken {
            return values::check(self.key, value);
        }
        let key = self.key;
        let reason = Sentence::from(self.reason) + offer(&given, self.only.iter().copied());
        Err(Problem::of(
            key,
            sentence! {
                [reason]
                en: "`{key}: {given}` is not supported: {reason}",
                zh: "不支持 `{key}: {given}`：{reason}",
            },
        ))
    }
}
