"""Models as llama.cpp's own converter writes them, for `engine/tests/gguf.rs`.

    python benches/gguf_goldens.py --llama-cpp SOURCES MODELS OUT [--whole | --wide]

SOURCES is a source tree of llama.cpp (the source distribution of llama-cpp-python holds one, under `vendor`), MODELS a
folder of model folders (`engine/tests/goldens/models`).

Every case of OUT is a configuration of half the sizes and the file that the converter makes of it.
Weights are drawn by a formula that the test knows, too, so they need not be kept beside the file.

Two other kinds of cases are too much to keep, and are run with CHANDLER_GOLDENS. With --whole they are the models
themselves with their golden logits, as f16 and Q8_0; with --wide models of a width that K-quants need, for
`gguf_logits.py --quantize`.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy  # noqa: E402
import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

# Sizes that are halved; counts of heads, layers and experts stay.
SIZES = {
    "hidden_size", "n_embd", "intermediate_size", "ffn_hidden_size", "vocab_size", "padded_vocab_size", "head_dim",
    "kv_channels", "moe_intermediate_size", "shared_expert_intermediate_size", "q_lora_rank", "kv_lora_rank",
    "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
}
# By size what it is in a wide model, where it is not four times as much: rows of K-quants have whole blocks of 256.
WIDE = {36: 256, 40: 256, 56: 256, 72: 512, 112: 256, 160: 256, 224: 512}
# Models where these are other sizes, too; the inner layer of Phi-2 is four times as wide as the outer one.
WIDE_OF = {"gemma2": {40: 160}, "gemma3-text": {40: 160}, "gemma3-linear": {40: 160}, "phi": {112: 1024}}
# Tensors whose first dimension is such a count.
COUNTED = re.compile(r"(mlp|moe)\.gate\.(weight|e_score)|e_score_correction_bias|wpe\.weight|shared_expert_gate")
# By case, what a file does not say: there the test takes what llama.cpp takes it to be. Of DeepSeek-V2 it scores groups
# of experts as those of V3, and of LongRoPE it knows by the size of its cache which divisors hold.
FIXED = {
    "bloom": {"seq_length": 64},
    "cohere": {"model_max_length": 128},
    "cohere-qknorm": {"model_max_length": 128},
    "deepseek2": {"topk_method": "greedy", "n_group": 1, "topk_group": 1},
    "gemma2": {"sliding_window": 6},
    "gemma3-text": {"sliding_window_pattern": 6},
    "llama3-rope": {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                     "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
    "mistral": {"sliding_window": None},
    "mixtral": {"router_aux_loss_coef": 0.001},
    "phi3-longrope": {"original_max_position_embeddings": 512, "max_position_embeddings": 2048,
                      "rope_scaling": {"type": "longrope", "long_factor": [1.0, 1.5, 2.0, 3.0],
                                       "short_factor": [1.0, 1.0625, 1.125, 1.25]}},
    "starcoder2": {"sliding_window": None},
}
# Those of them whose golden logits depend on it.
SETTLED = {"deepseek2", "gemma2", "gemma3-text", "mistral", "phi3-longrope", "starcoder2"}
# Layers of wide models; llama.cpp knows by them of a rotation or biases of positions, of norms of queries and keys, and
# of queries without latents. The sixth of Gemma 3 has no window.
DEEP = {
    "baichuan2-7b": 32, "baichuan2-13b": 40, "cohere-qknorm": 64, "deepseek2-lite": 27, "gemma3-text": 6,
    "gemma3-linear": 6, "one-layer": 1,
}
# Wide cases that are no golden models: which of those has their tensors, what they say of themselves, and names of
# tensors that change or, without another name, go.
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 0.707, "mscale_all_dim": 0.707}
DERIVED = {
    "deepseek2-lite": ("deepseek2", {"q_lora_rank": None, "rope_scaling": YARN} | FIXED["deepseek2"],
                       {r"q_a_(proj|layernorm)": None, "q_b_proj": "q_proj"}),
    "deepseek2-yarn": ("deepseek2", {"rope_scaling": YARN} | FIXED["deepseek2"], {}),
    "deepseek3-yarn": ("deepseek3", {"rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}}, {}),
    "falcon-11b-style": ("falcon-40b-style", {"num_ln_in_parallel_attn": 1},
                         {"ln_attn": "input_layernorm", "ln_mlp": None}),
    "gemma3-linear": ("gemma3-text", {"rope_scaling": {"rope_type": "linear", "factor": 8.0}} | FIXED["gemma3-text"],
                      {}),
    "glm": ("glm4", {"architectures": ["GlmForCausalLM"], "model_type": "glm"},
            {r"post_(mlp|self_attn)_layernorm": None}),
    "gpt_neox-serial": ("gpt_neox", {"use_parallel_residual": False}, {}),
    "internlm2-dynamic": ("internlm2", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, {}),
    "minicpm": ("llama", {"architectures": ["MiniCPMForCausalLM"], "model_type": "minicpm", "scale_emb": 3,
                          "scale_depth": 1.4, "dim_model_base": 16}, {}),
    "one-layer": ("llama-gqa-tied", {}, {}),
    "phi4-mini": ("phi3-longrope", {"partial_rotary_factor": 0.75} | FIXED["phi3-longrope"], {}),
    "qwen3-yarn": ("qwen3", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                                              "original_max_position_embeddings": 32}}, {}),
}
# Positions that llama.cpp has no key for, and models that it does not read.
LEFT_OUT = {"baichuan2-13b", "falcon-rw-alibi", "hf-olmo", "llama-rope-dynamic", "qwen-ntk-logn", "yuan2"}
# Models whose file is also made with queries, keys and values in one tensor.
FUSED = {"llama-bias"}


def drawn(name, shape):
    """Multiples of 1/256 by the name's FNV-1a hash and the place: f16 holds them exactly, and one more."""
    digest = 0x811C9DC5
    for byte in name.encode():
        digest = (digest ^ byte) * 0x01000193 & 0xFFFFFFFF
    count = int(numpy.prod(shape))
    places = (numpy.arange(count, dtype=numpy.uint64) * 2654435761 + digest) & 0xFFFFFFFF
    return (((places >> 24).astype(numpy.float32) - 128) / 256).reshape(shape)


def tensors_of(folder):
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name) for name in file.keys() if not name.endswith("inv_freq")}


def settled(config, name):
    """The configuration of a case with what a file does not say as llama.cpp takes it to be."""
    config = config | FIXED.get(name, {})
    if "query_pre_attn_scalar" in config:
        config["query_pre_attn_scalar"] = config["head_dim"]
    if "long_factor" in (scaling := config.get("rope_scaling") or {}):
        rotated = config["hidden_size"] // config["num_attention_heads"] * config.get("partial_rotary_factor", 1)
        pairs = numpy.linspace(0, 1, int(rotated) // 2)
        for key in ["short_factor", "long_factor"]:
            places = numpy.linspace(0, 1, len(scaling[key]))
            scaling[key] = numpy.interp(pairs, places, scaling[key]).tolist()
    return config


def resized(folder, out, change, layers=None):
    """A model folder of other sizes, and with so many layers, like the second from there on."""
    base, said, renamed = DERIVED.get(folder.name, (folder.name, {}, {}))
    folder = folder.parent / base
    config = json.loads((folder / "config.json").read_text()) | said
    config = {key: change(value) if key in SIZES and value else value for key, value in config.items()}
    config = settled(config, folder.name)

    def shape(name, old):
        counted = COUNTED.search(name) or (len(old) == 2 and name.endswith("_norm.weight"))
        return [size if counted and axis == 0 else change(size) for axis, size in enumerate(old)]

    shapes = {name: shape(name, list(tensor.shape)) for name, tensor in tensors_of(folder).items()}
    for pattern, name in renamed.items():
        kept = {old: shape for old, shape in shapes.items() if name or not re.search(pattern, old)}
        shapes = {re.sub(pattern, name or "", old): shape for old, shape in kept.items()}
    # Queries may have come from latents.
    queries = {name: shape[0] for name, shape in shapes.items() if name.endswith("q_proj.weight")}
    shapes |= {name: [rows, config["hidden_size"]] for name, rows in queries.items()}
    if layers:
        config["num_hidden_layers"] = layers
        blocks = {name: shape for name, shape in shapes.items() if ".layers." in name}
        shapes = {name: shape for name, shape in shapes.items() if ".layers." not in name}
        for layer in range(layers):
            like = f".layers.{min(layer, 1)}."
            block = {name: shape for name, shape in blocks.items() if like in name}
            shapes |= {name.replace(like, f".layers.{layer}."): shape for name, shape in block.items()}
    weights = {name: drawn(name, shape) for name, shape in shapes.items()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(weights, out / "model.safetensors")


def settled_golden(folder, golden, out):
    """A golden case whose configuration is settled, with logits of transformers."""
    from transformers import AutoModelForCausalLM

    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settled(config, folder.name)))
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    with safe_open(golden, "pt") as file, torch.inference_mode():
        ids = file.get_tensor("input_ids")[:1]
        save_file({"input_ids": ids.numpy(), "logits": model(ids).logits.numpy()}, out)


def convert(folder, file, kind, **options):
    """llama.cpp's `convert_hf_to_gguf.py`, without a vocabulary, which these models have none of."""
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    config = json.loads((folder / "config.json").read_text())
    rows = config.get("padded_vocab_size") or config["vocab_size"]
    tokenizer = {"model": {"vocab": {str(token): token for token in range(rows)}}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    # transformers fills in what these two converters take from the file alone.
    hparams = config if config["model_type"] in ["falcon", "gpt_neox"] else ModelBase.load_hparams(folder, False)
    base = get_model_class(get_model_architecture(hparams, ModelType.TEXT))

    class Converter(base):
        model_arch = base.model_arch

        def set_vocab(self):
            self.gguf_writer.add_tokenizer_model("none")

        def modify_tensors(self, data, name, layer):
            # Baichuan's calls itself without end on names that it has already translated.
            if config["model_type"] == "baichuan" and name.startswith(("blk.", "token_embd.", "output")):
                return [(name, data)]
            return super().modify_tensors(data, name, layer)

    kinds = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
    with torch.inference_mode():
        Converter(folder, kinds[kind], file, eager=True, hparams=hparams, **options).write()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--only")
    args = parser.parse_args()
    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    names = {path.parent.name for path in args.models.glob("*/config.json")} - LEFT_OUT
    if args.wide:
        names |= set(DEEP) | set(DERIVED)
    if not args.whole:
        names.add("minicpm")
    for folder in sorted(args.models / name for name in names):
        if args.only and not re.search(args.only, folder.name):
            continue
        out = args.out / folder.name
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch) / folder.name
            try:
                if args.whole:
                    shutil.copytree(folder, model)
                    out.mkdir(parents=True, exist_ok=True)
                    if folder.name in SETTLED:
                        settled_golden(model, folder / "golden.safetensors", out / "golden.safetensors")
                    else:
                        shutil.copy(folder / "golden.safetensors", out)
                    convert(model, out / "f16.gguf", "f16")
                    convert(model, out / "q8_0.gguf", "q8_0")
                elif args.wide:
                    sizes = WIDE | WIDE_OF.get(folder.name, {})
                    resized(folder, model, lambda size: sizes.get(size, 4 * size), DEEP.get(folder.name))
                    out.mkdir(parents=True, exist_ok=True)
                    convert(model, out / "f16.gguf", "f16")
                else:
                    resized(folder, model, lambda size: size // 2)
                    out.mkdir(parents=True, exist_ok=True)
                    # The engine reads no folders of what is known by another name, so there is none to compare with.
                    name = "f16" if folder.name in DERIVED else "model"
                    convert(model, out / f"{name}.gguf", "f16")
                    if folder.name in FUSED:
                        convert(model, out / "fused.gguf", "f16", fuse_qkv=True)
                shutil.copy(model / "config.json", out)
                print("wrote", out)
            except Exception as error:
                shutil.rmtree(out, ignore_errors=True)
                print(f"left out {folder.name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
