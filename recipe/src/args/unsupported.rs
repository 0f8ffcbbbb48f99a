//! Keys that LLaMA-Factory (or the Hugging Face trainer below it) knows and Chandler does not support yet.
//!
//! A key at its default asks for nothing and is taken, and one of a feature that is not turned on is without effect;
//! any other value is refused by name.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::problem::Problem;
use crate::raw::Raw;
use crate::scalar::real_number;

/// A key that is known, with its default; no default = unset.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported {
    /// The key in LLaMA-Factory's YAML.
    pub key: &'static str,
    /// The value that asks for nothing, as text.
    pub default: Option<&'static str>,
    /// What the key belongs to.
    pub feature: &'static str,
    /// The key that turns that on; none if this one does so itself.
    pub switch: Option<&'static str>,
    /// Whether one refusal is enough for all keys of the feature.
    pub is_whole: bool,
}

/// Keys that belong together.
struct Feature {
    name: &'static str,
    /// The key without which the others ask for nothing; none if each asks for itself.
    switch: Option<&'static str>,
    is_whole: bool,
    keys: &'static [&'static str],
}

/// Each key asks for itself.
const fn always(name: &'static str, keys: &'static [&'static str]) -> Feature {
    Feature { name, switch: None, is_whole: false, keys }
}

/// Each key asks for the whole of it.
const fn whole(name: &'static str, keys: &'static [&'static str]) -> Feature {
    Feature { name, switch: None, is_whole: true, keys }
}

/// The first key turns the feature on.
const fn switched(name: &'static str, keys: &'static [&'static str]) -> Feature {
    Feature { name, switch: Some(keys[0]), is_whole: true, keys }
}

/// An argument turns the feature on, by a value that is not supported either.
const fn of(argument: &'static str, name: &'static str, keys: &'static [&'static str]) -> Feature {
    Feature { name, switch: Some(argument), is_whole: true, keys }
}

/// Features and their keys, each `key` or `key=default`.
#[rustfmt::skip]
static FEATURES: &[Feature] = &[
    always("special tokens as text", &["split_special_tokens=false"]),
    always("adapters in subfolders", &["adapter_folder"]),
    switched("uploading to the Hub", &[
        "push_to_hub=false", "hub_private_repo", "hub_model_id", "hub_strategy=every_save", "hub_always_push=false",
        "hub_revision", "push_to_hub_model_id", "push_to_hub_organization",
    ]),
    switched("quantisation", &[
        "quantization_bit", "quantization_method=bnb", "quantization_type=nf4", "double_quantization=true",
        "quantization_device_map",
    ]),
    always("precision by parts", &["infer_dtype=auto"]),
    switched("export", &[
        "export_dir", "export_size=5", "export_device=cpu", "export_quantization_bit", "export_quantization_dataset",
        "export_quantization_nsamples=128", "export_quantization_maxlen=1024", "export_legacy_format=false",
        "export_hub_model_id",
    ]),
    whole("images, video and audio", &[
        "image_max_pixels=589824", "image_min_pixels=1024", "image_resolution", "image_do_pan_and_scan=false",
        "crop_to_patches=false", "video_max_pixels=65536", "video_min_pixels=256", "video_resolution", "video_fps=2.0",
        "video_maxlen=128", "use_audio_in_video=false", "audio_sampling_rate=16000", "media_dir", "visual_inputs=false",
        "train_mm_proj_only=false", "freeze_vision_tower=true", "freeze_multi_modal_projector=true",
        "freeze_language_model=false",
    ]),
    switched("KTransformers", &[
        "use_kt=false", "kt_weight_path", "kt_expert_checkpoint_path", "kt_use_lora_experts", "kt_lora_expert_num",
        "kt_lora_expert_intermediate_size",
    ]),
    always("cutting by shares", &["reserved_label_len=1"]),
    of("stage", "preference training", &[
        "pref_bco_weight=0.0", "ref_model_quantization_bit",
    ]),
    of("stage", "PPO", &["reward_model_quantization_bit"]),
    switched("SwanLab", &[
        "use_swanlab=false", "swanlab_project=llamafactory", "swanlab_workspace", "swanlab_run_name",
        "swanlab_mode=cloud", "swanlab_api_key", "swanlab_logdir", "swanlab_lark_webhook_url", "swanlab_lark_secret",
    ]),
    always("Megatron", &["use_mca=false"]),
    switched("HyperParallel", &["use_hyper_parallel=false", "hyper_parallel_args"]),
    always("optimizer settings", &["adafactor=false"]),
    always("evaluation settings", &[
        "include_for_metrics=[]", "include_inputs_for_metrics=false", "label_names",
    ]),
    always("batch sizes for all devices together", &["per_gpu_train_batch_size", "per_gpu_eval_batch_size"]),
    always("loading options", &[
        "enable_jit_checkpoint=false",
    ]),
    always("prediction", &[
        "generation_max_length", "generation_config",
    ]),
    switched("PyTorch's profiler", &[
        "enable_torch_profiler=false", "profiler_output_dir", "profiler_wait_steps=1", "profiler_warmup_steps=1",
        "profiler_active_steps=1", "profiler_repeat=1", "profiler_record_shapes=true", "profiler_profile_memory=true",
        "profiler_with_stack=true", "profile_modules",
    ]),
    always("benchmarks", &["task", "task_dir=evaluation", "batch_size=4", "lang=en", "n_shot=5", "save_dir", "download_mode"]),
];

/// Every key that is known and not supported.
pub fn all() -> impl Iterator<Item = Unsupported> {
    FEATURES.iter().flat_map(|feature| {
        let switch = feature.switch.map(|switch| parted(switch).0);
        feature.keys.iter().map(move |entry| {
            let (key, default) = parted(entry);
            Unsupported { key, default, feature: feature.name, switch, is_whole: feature.is_whole }
        })
    })
}

/// Key and default of an entry.
fn parted(entry: &'static str) -> (&'static str, Option<&'static str>) {
    entry.split_once('=').map_or((entry, None), |(key, default)| (key, Some(default)))
}

/// The known key of this name.
pub fn find(key: &str) -> Option<Unsupported> {
    static KNOWN: LazyLock<HashMap<&str, Unsupported>> =
        LazyLock::new(|| all().map(|known| (known.key, known)).collect());
    KNOWN.get(key).copied()
}

/// The problem of giving this key, if it is known.
pub(crate) fn problem(key: &str) -> Option<Problem> {
    find(key).map(|known| known.refusal())
}

impl Unsupported {
    /// Takes the key at its default, which asks for nothing.
    pub(crate) fn check(&self, value: &Raw) -> Result<(), Problem> {
        let given = match value {
            Raw::Null => return Ok(()),
            value => value.to_string(),
        };
        let is_default = self.default.is_some_and(|default| {
            let numbers = (real_number(default), real_number(&given));
            given.eq_ignore_ascii_case(default) || matches!(numbers, (Some(a), Some(b)) if a == b)
        });
        if is_default { Ok(()) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> Problem {
        let Unsupported { key, feature, .. } = self;
        Problem::of(
            *key,
            sentence! {
                en: "`{key}` ({feature}) is known from LLaMA-Factory but not supported by Chandler yet; remove it",
                zh: "`{key}`（{feature}）是 LLaMA-Factory 的参数，Chandler 尚不支持；请删除",
            },
        )
    }
}
