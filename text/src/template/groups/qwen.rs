//! Qwen and its relatives.

use super::super::draft::{Draft, template};
use super::super::{Template, ToolFormat};
use super::{TOOL_RESPONSE, chatml};

pub(super) fn templates() -> Vec<Template> {
    vec![
        chatml("qwen")
            .observation(TOOL_RESPONSE)
            .tools(ToolFormat::Qwen)
            .default_system("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        qwen3().build(),
        qwen3_nothink().build(),
        chatml("qwen2_audio")
            .default_system("You are a helpful assistant.")
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        qwen2_omni().build(),
        qwen3().renamed("qwen3_omni").build(),
        qwen3_nothink().renamed("qwen3_omni_nothink").build(),
        qwen2_omni().renamed("qwen2_vl").build(),
        qwen3().renamed("qwen3_vl").build(),
        qwen3_nothink().renamed("qwen3_vl_nothink").build(),
        qwen3_5().build(),
        chatml("qwen3_5_nothink")
            .observation(TOOL_RESPONSE)
            .tools(ToolFormat::Qwen35)
            .stop(["<|im_end|>"])
            .replace_eos()
            .build(),
        qwen3_5().renamed("qwen3_6").build(),
        qwen3().renamed("keye_vl").build(),
        chatml("mimo")
            .observation(TOOL_RESPONSE)
            .tools(ToolFormat::Qwen)
            .default_system("You are a helpful assistant.")
            .stop(["<|im_end|>"])
            .replace_eos()
            .reasoning()
            .build(),
        chatml("mimo_v2")
            .observation(TOOL_RESPONSE)
            .tools(ToolFormat::Qwen)
            .default_system("You are MiMo, a helpful AI assistant engineered by Xiaomi.")
            .stop(["<|im_end|>"])
            .thought("<think>", "</think>")
            .replace_eos()
            .reasoning()
            .build(),
        chatml("mimo_vl")
            .observation(TOOL_RESPONSE)
            .tools(ToolFormat::Qwen)
            .default_system("You are MiMo, an AI assistant developed by Xiaomi.")
            .stop(["<|im_end|>"])
            .replace_eos()
            .reasoning()
            .build(),
        template("dots_ocr", "<|user|>{{content}}<|endofuser|><|assistant|>")
            .system("<|system|>{{content}}<|endofsystem|>\n")
            .assistant("{{content}}<|endofassistant|>")
            .stop(["<|endofassistant|>"])
            .efficient_eos()
            .build(),
    ]
}

fn qwen3() -> Draft {
    chatml("qwen3")
        .observation(TOOL_RESPONSE)
        .tools(ToolFormat::Qwen)
        .stop(["<|im_end|>"])
        .replace_eos()
        .reasoning()
}

fn qwen3_nothink() -> Draft {
    chatml("qwen3_nothink")
        .observation(TOOL_RESPONSE)
        .tools(ToolFormat::Qwen)
        .stop(["<|im_end|>"])
        .replace_eos()
}

fn qwen2_omni() -> Draft {
    chatml("qwen2_omni")
        .observation(TOOL_RESPONSE)
        .tools(ToolFormat::Qwen)
        .default_system("You are a helpful assistant.")
        .stop(["<|im_end|>"])
        .replace_eos()
}

fn qwen3_5() -> Draft {
    chatml("qwen3_5")
        .observation(TOOL_RESPONSE)
        .tools(ToolFormat::Qwen35)
        .stop(["<|im_end|>"])
        .replace_eos()
        .reasoning()
}
