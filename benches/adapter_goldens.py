"""Writes the golden adapters that `engine/tests/adapters.rs` reads: tiny models, adapters of every kind as PEFT saves
them, and the logits that PEFT computes with each.

    python benches/adapter_goldens.py engine/tests/goldens/adapters

What is there already stays as it is. Needs torch, transformers 5.6 and peft 0.18.1.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, OFTConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

SIZES = {"vocab_size": 48, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
         "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
# A name of our own for each: model type, its sizes, linear layers, and those of the final norm, token table and head.
FAMILIES = {
    "llama": ("llama", {**SIZES, "num_key_value_heads": 1}, ["q_proj", "down_proj"], "norm", "embed_tokens", "lm_head"),
    "gemma2": ("gemma2", {**SIZES, "num_key_value_heads": 1, "head_dim": 8, "query_pre_attn_scalar": 8},
               ["k_proj", "up_proj"], "norm", "embed_tokens", "lm_head"),
    "gpt_neox": ("gpt_neox", SIZES, ["query_key_value", "dense"], "final_layer_norm", "embed_in", "embed_out"),
    "gpt2": ("gpt2", {"vocab_size": 48, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "bos_token_id": 1,
                      "eos_token_id": 2}, ["c_attn", "c_fc"], "ln_f", "wte", "lm_head"),
}
IDS = torch.tensor([[5, 9, 33, 2, 7, 40, 11], [1, 3, 3, 47, 20, 8, 30]])


def kinds(linears, norm, table, head):
    """Settings by the name of their folder."""
    names = "|".join(linears)
    return {
        "plain": {"target_modules": linears},
        "pattern": {"target_modules": rf".*\.[0-9]+\.(?!nothing).*({names})"},
        "layer": {"target_modules": linears, "layers_to_transform": [1]},
        "exclude": {"target_modules": linears, "exclude_modules": [linears[0]]},
        "ranks": {"target_modules": linears, "rank_pattern": {linears[0]: 3}, "alpha_pattern": {f".*{linears[1]}": 5},
                  "use_rslora": True},
        "head": {"target_modules": [*linears, head]},
        "saves_head": {"target_modules": linears, "modules_to_save": [head]},
        "saves_table": {"target_modules": linears, "modules_to_save": [table]},
        "saves_both": {"target_modules": linears, "modules_to_save": [table, head]},
        "saves_norm": {"target_modules": linears, "modules_to_save": [norm]},
        "saves_part": {"target_modules": linears, "modules_to_save": ["mlp"]},
        "dora": {"target_modules": [*linears, head], "use_dora": True},
        "pissa": {"target_modules": linears, "init_lora_weights": "pissa"},
        "oft": {"target_modules": [*linears, head], "oft_block_size": 4},
        "oft_blocks": {"target_modules": linears, "r": 3, "oft_block_size": 0},
    }


def config_of(settings):
    if "oft_block_size" in settings:
        return OFTConfig(task_type="CAUSAL_LM", **settings)
    return LoraConfig(r=2, lora_alpha=4, task_type="CAUSAL_LM", **settings)


def model_of(kind, sizes, tied):
    config = AutoConfig.for_model(kind, **sizes, tie_word_embeddings=tied)
    config.torch_dtype = torch.float32
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.2 + (1.0 if "norm" in name and "gemma" not in kind else 0.0))
    return model.eval()


def main(root):
    for family, (kind, sizes, linears, norm, table, head) in FAMILIES.items():
        for tied in (False, True):
            folder = root / f"{family}-{'tied' if tied else 'untied'}"
            if not folder.exists():
                model_of(kind, sizes, tied).save_pretrained(folder)
            (folder / "generation_config.json").unlink(missing_ok=True)
            for name, settings in kinds(linears, norm, table, head).items():
                # PEFT has no rotations of layers that are stored transposed.
                if (folder / name).exists() or family == "gpt2" and name.startswith("oft"):
                    continue
                base = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
                tuned = get_peft_model(base, config_of(settings))
                torch.manual_seed(11)
                with torch.no_grad():
                    for parameter in tuned.parameters():
                        if parameter.requires_grad:
                            parameter.add_(torch.randn(parameter.shape) * 0.2)
                tuned.save_pretrained(folder / name)
                (folder / name / "README.md").unlink(missing_ok=True)
                base = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
                read = PeftModel.from_pretrained(base, folder / name).eval()
                with torch.no_grad():
                    logits = read(IDS).logits
                config = json.loads((folder / name / "adapter_config.json").read_text())
                config["base_model_name_or_path"] = ".."
                (folder / name / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
                save_file({"input_ids": IDS, "logits": logits.contiguous()}, folder / name / "expected.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
