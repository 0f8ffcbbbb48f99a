"""Models as llama.cpp's own converter writes them, for `engine/tests/gguf.rs`.

    python benches/gguf_goldens.py --llama-cpp SOURCES MODELS OUT [--whole]

SOURCES is a source tree of llama.cpp (the source distribution of llama-cpp-python holds one, under `vendor`), MODELS a
folder of model folders (`engine/tests/goldens/models`).

Every case of OUT is a configuration of half the sizes and the file that the converter makes of it.
Weights are drawn by a formula that the test knows, too, so they need not be kept beside the file.

With --whole cases are the models themselves with their golden logits, as f16 and Q8_0: too much to keep, to be run
with CHANDLER_GOLDENS.
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
# Tensors whose first dimension is such a count.
COUNTED = re.compile(r"(mlp|moe)\.gate\.(weight|e_score)|e_score_correction_bias|wpe\.weight|shared_expert_gate")
# By case, what a file does not say: there the test takes what llama.cpp takes it to be.
FIXED = {
    "bloom": {"seq_length": 64},
    "cohere": {"model_max_length": 128},
    "cohere-qknorm": {"model_max_length": 128},
    "gemma2": {"query_pre_attn_scalar": 10, "sliding_window": 6},
    "gemma3-text": {"query_pre_attn_scalar": 10, "sliding_window_pattern": 6},
    "llama3-rope": {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                     "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
    "mistral": {"sliding_window": None},
    "mixtral": {"router_aux_loss_coef": 0.001},
    "phi3-longrope": {"rope_scaling": {"type": "longrope", "long_factor": [1.0, 1.5, 2.0, 3.0],
                                       "short_factor": [1.0, 1.0625, 1.125, 1.25]}},
    "starcoder2": {"sliding_window": None},
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


def halved(folder, out):
    """A model folder of half the sizes."""
    config = json.loads((folder / "config.json").read_text())
    config = {key: value // 2 if key in SIZES and value else value for key, value in config.items()}
    config.update(FIXED.get(folder.name, {}))

    def shape(name, old):
        counted = COUNTED.search(name) or (len(old) == 2 and name.endswith("_norm.weight"))
        return [size if counted and axis == 0 else size // 2 for axis, size in enumerate(old)]

    weights = {name: drawn(name, shape(name, list(tensor.shape))) for name, tensor in tensors_of(folder).items()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(weights, out / "model.safetensors")
    return config


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
    parser.add_argument("--only")
    args = parser.parse_args()
    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    for folder in sorted(path.parent for path in args.models.glob("*/config.json")):
        if folder.name in LEFT_OUT or args.only and not re.search(args.only, folder.name):
            continue
        out = args.out / folder.name
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch) / folder.name
            try:
                if args.whole:
                    shutil.copytree(folder, model)
                    out.mkdir(parents=True, exist_ok=True)
                    convert(model, out / "f16.gguf", "f16")
                    convert(model, out / "q8_0.gguf", "q8_0")
                    shutil.copy(folder / "golden.safetensors", out)
                else:
                    halved(folder, model)
                    out.mkdir(parents=True, exist_ok=True)
                    convert(model, out / "model.gguf", "f16")
                    if folder.name in FUSED:
                        convert(model, out / "fused.gguf", "f16", fuse_qkv=True)
                shutil.copy(model / "config.json", out)
                print("wrote", out)
            except Exception as error:
                shutil.rmtree(out, ignore_errors=True)
                print(f"left out {folder.name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
