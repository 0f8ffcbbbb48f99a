"""Small whole models in each quantised layout, for `engine/tests/quant`.

    python benches/quant_goldens.py OUT

A Llama with drawn weights is quantised: by bitsandbytes itself for its layouts, by gguf for those of GGUF files, and for
GPTQ, AWQ and AQLM by rounding here, packed as the single layers of `goldens/quant` are, which their libraries packed.
Every case of OUT is a model folder or a GGUF file with `golden.safetensors`: the logits that bitsandbytes has of it in
four bits, or transformers with weights as bitsandbytes, gguf or the formulas of the layouts dequantise them.

Needs torch, transformers, bitsandbytes and gguf.
"""

import argparse
import json
import os
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import gguf  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from bitsandbytes.functional import dequantize_4bit  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM  # noqa: E402

CONFIG = LlamaConfig(
    vocab_size=40, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    initializer_range=0.2,
)
IDS = torch.tensor([[1, 5, 9, 33, 20, 12, 39, 4, 8, 31, 2, 17]])
# In the order of AWQ's nibbles: which of a word's eight outputs each holds.
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def base():
    torch.manual_seed(7)
    model = LlamaForCausalLM(CONFIG).eval().float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            # What stays dense may be stored in half precision.
            parameter.copy_(parameter.half())
    return model


def is_map(name):
    return name.endswith("proj.weight")


def logits(weights):
    model = LlamaForCausalLM(CONFIG).eval().float()
    model.load_state_dict(weights)
    with torch.no_grad():
        return model(IDS).logits


def write(folder, tensors, quantisation, weights):
    """A model folder with some tensors, and logits with what they stand for."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    config = {**CONFIG.to_dict(), "architectures": ["LlamaForCausalLM"], "quantization_config": quantisation}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({"input_ids": IDS, "logits": logits(weights).contiguous()}, folder / "golden.safetensors")


def with_bitsandbytes(out, name, settings):
    source = out / "source"
    base().save_pretrained(source)
    settings = BitsAndBytesConfig(llm_int8_skip_modules=["lm_head"], **settings)
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=settings, dtype=torch.float32)
    folder = out / name
    model.save_pretrained(folder)
    for extra in folder.glob("generation_config.json"):
        extra.unlink()
    weights = base().state_dict()
    for module, part in model.named_modules():
        packed = getattr(part, "weight", None)
        if getattr(packed, "quant_state", None) is not None:
            weights[f"{module}.weight"] = dequantize_4bit(packed.data, packed.quant_state).float()
        elif getattr(packed, "SCB", None) is not None:
            weights[f"{module}.weight"] = packed.data.float() * packed.SCB.float()[:, None] / 127
    # In evaluation the CPU's 4-bit products are in bf16.
    model.train()
    with torch.no_grad():
        found = model(IDS).logits
    wanted = logits(weights)
    print(name, "beside the library's own products:", (found - wanted).abs().max().item())
    # LLM.int8 rounds what it multiplies, too; a weight is the same without.
    wanted = wanted if settings.load_in_8bit else found
    save_file({"input_ids": IDS, "logits": wanted.contiguous()}, folder / "golden.safetensors")
    for file in source.iterdir():
        file.unlink()
    source.rmdir()


def rounded(weight, bits, group):
    """Numbers, zero points and scales of groups of inputs, as arrays [out, in] and [out, groups]."""
    out, dim = weight.shape
    parts = weight.reshape(out, dim // group, group)
    low, high = parts.min(-1).clip(max=0), parts.max(-1).clip(min=0)
    scale = ((high - low) / (2**bits - 1)).astype(numpy.float16)
    zero = numpy.rint(-low / scale.astype(numpy.float32)).clip(1, 2**bits - 1).astype(numpy.int64)
    step = scale.astype(numpy.float32).repeat(group, 1)
    numbers = numpy.rint(weight / step) + zero.repeat(group, 1)
    return numbers.clip(0, 2**bits - 1).astype(numpy.int64), zero, scale


def words(numbers, bits):
    """Packs rows of numbers down into 32-bit words, the first one lowest."""
    rows, columns = numbers.shape
    stream = (numbers[:, None, :] >> numpy.arange(bits)[None, :, None] & 1).reshape(rows * bits, columns)
    weights = (1 << numpy.arange(32, dtype=numpy.uint64))[None, :, None]
    return (stream.reshape(-1, 32, columns).astype(numpy.uint64) * weights).sum(1).astype(numpy.uint32).view(numpy.int32)


def dequantised(numbers, zero, scale, groups):
    return scale.astype(numpy.float32)[:, groups] * (numbers - zero[:, groups]).astype(numpy.float32)


def gptq(weight, bits, group):
    numbers, zero, scale = rounded(weight, bits, group)
    groups = numpy.arange(weight.shape[1]) // group
    return {
        "qweight": words(numbers.T, bits), "qzeros": words(zero - 1, bits).T, "scales": scale.T,
        "g_idx": groups.astype(numpy.int32),
    }, dequantised(numbers, zero, scale, groups)


def awq(weight, group):
    numbers, zero, scale = rounded(weight, 4, group)

    def pack(values):
        eights = values.T.reshape(values.shape[1], -1, 8)[:, :, AWQ_ORDER].astype(numpy.uint64)
        return (eights << (4 * numpy.arange(8, dtype=numpy.uint64))).sum(-1).astype(numpy.uint32).view(numpy.int32)

    groups = numpy.arange(weight.shape[1]) // group
    return {"qweight": pack(numbers), "qzeros": pack(zero), "scales": scale.T}, dequantised(numbers, zero, scale, groups)


def aqlm(weight, bits, group, seed):
    """One book of drawn vectors, of which each group takes the nearest."""
    out, dim = weight.shape
    scale = numpy.abs(weight).max(1).astype(numpy.float16)
    book = numpy.random.default_rng(seed).uniform(-1, 1, (1, 2**bits, 1, group)).astype(numpy.float16)
    parts = (weight / scale.astype(numpy.float32)[:, None]).reshape(out, dim // group, group)
    vectors = book[0, :, 0].astype(numpy.float32)
    codes = ((parts[:, :, None] - vectors) ** 2).sum(-1).argmin(-1)
    tensors = {"codes": codes[:, :, None].astype(numpy.int8 if bits <= 8 else numpy.int16), "codebooks": book,
               "scales": scale.reshape(out, 1, 1, 1)}
    return tensors, vectors[codes].reshape(out, dim) * scale.astype(numpy.float32)[:, None]


def packed_here(out, name, quantisation, pack):
    tensors, weights = {}, base().state_dict()
    for key in list(weights):
        if not is_map(key):
            tensors[key] = weights[key].half()
            continue
        parts, weight = pack(weights[key].numpy())
        weights[key] = torch.from_numpy(weight)
        for part, values in parts.items():
            tensors[key.removesuffix("weight") + part] = torch.from_numpy(numpy.ascontiguousarray(values))
        if name == "gptq":
            # As some quantisers do for a map that has none.
            tensors[key.removesuffix("weight") + "bias"] = torch.zeros(len(weight)).half()
    write(out / name, tensors, quantisation, weights)


def llama_cpp_order(weight, heads):
    """Rotated pairs become neighbours, as llama.cpp keeps queries and keys."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


GGUF_MAPS = {
    "self_attn.q_proj": ("attn_q", "Q4_0"), "self_attn.k_proj": ("attn_k", "Q5_0"), "self_attn.v_proj": ("attn_v", "Q8_0"),
    "self_attn.o_proj": ("attn_output", "Q4_1"), "mlp.gate_proj": ("ffn_gate", "Q5_1"), "mlp.up_proj": ("ffn_up", "Q4_0"),
    "mlp.down_proj": ("ffn_down", "Q8_0"),
}


def gguf_file(out):
    folder = out / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    weights = base().state_dict()
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    writer.add_block_count(CONFIG.num_hidden_layers)
    writer.add_context_length(CONFIG.max_position_embeddings)
    writer.add_embedding_length(CONFIG.hidden_size)
    writer.add_feed_forward_length(CONFIG.intermediate_size)
    writer.add_head_count(CONFIG.num_attention_heads)
    writer.add_head_count_kv(CONFIG.num_key_value_heads)
    writer.add_layer_norm_rms_eps(CONFIG.rms_norm_eps)
    writer.add_rope_freq_base(CONFIG.rope_parameters["rope_theta"])
    writer.add_vocab_size(CONFIG.vocab_size)

    def add(stored, name, kind, order=lambda weight: weight):
        kind = gguf.GGMLQuantizationType[kind]
        # Rows are quantised by themselves: their order does not matter.
        blocks = gguf.quants.quantize(weights[name].numpy(), kind)
        weights[name] = torch.from_numpy(gguf.quants.dequantize(blocks, kind).copy())
        writer.add_tensor(stored, numpy.ascontiguousarray(order(blocks)), raw_dtype=kind)

    add("token_embd.weight", "model.embed_tokens.weight", "Q8_0")
    add("output.weight", "lm_head.weight", "Q8_0")
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"].numpy())
    for layer in range(CONFIG.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        for norm, stored in [("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")]:
            writer.add_tensor(f"blk.{layer}.{stored}.weight", weights[f"{prefix}{norm}.weight"].numpy())
        for module, (stored, kind) in GGUF_MAPS.items():
            heads = {"attn_q": CONFIG.num_attention_heads, "attn_k": CONFIG.num_key_value_heads}.get(stored)
            order = (lambda blocks, heads=heads: llama_cpp_order(blocks, heads)) if heads else (lambda blocks: blocks)
            add(f"blk.{layer}.{stored}.weight", f"{prefix}{module}.weight", kind, order)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({"input_ids": IDS, "logits": logits(weights).contiguous()}, folder / "golden.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    four = {"load_in_4bit": True, "bnb_4bit_compute_dtype": torch.float32}
    with_bitsandbytes(out, "nf4", {**four, "bnb_4bit_quant_type": "nf4"})
    with_bitsandbytes(out, "nf4-nested", {**four, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True})
    with_bitsandbytes(out, "fp4", {**four, "bnb_4bit_quant_type": "fp4"})
    with_bitsandbytes(out, "int8", {"load_in_8bit": True})
    packed_here(out, "gptq", {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": False},
                lambda weight: gptq(weight, 4, 32))
    packed_here(out, "gptq-3bit", {"quant_method": "gptq", "bits": 3, "group_size": 32, "desc_act": False, "sym": False},
                lambda weight: gptq(weight, 3, 32))
    packed_here(out, "awq", {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True},
                lambda weight: awq(weight, 32))
    packed_here(out, "aqlm", {"quant_method": "aqlm", "num_codebooks": 1, "nbits_per_codebook": 4, "in_group_size": 8,
                              "out_group_size": 1}, lambda weight: aqlm(weight, 4, 8, 3))
    gguf_file(out)
    for case in sorted(out.iterdir()):
        print(case.name, sum(file.stat().st_size for file in case.iterdir()) // 1024, "kB",
              load_file(case / "golden.safetensors")["logits"].std().item())


if __name__ == "__main__":
    main()
