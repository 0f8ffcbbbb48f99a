"""llama.cpp's own logits, for `engine/tests/gguf`.

    python benches/gguf_logits.py FOLDER [--quantize q4_k_m,q5_k_m,q6_k] [--only PATTERN]

FOLDER holds cases that `gguf_goldens.py` made. With --quantize llama.cpp's quantiser first makes those kinds of every
case's f16.gguf. Beside every X.gguf, X.safetensors gets tokens and llama.cpp's logits of them.

The logits are those of the file's weights widened to f32, with keys and values kept as f32: of another file llama.cpp
rounds the inputs of every product to the type of the weights. How much that moves its own logits is printed, as what
the type of a file leaves uncertain.

Needs the packages gguf and llama-cpp-python, which is llama.cpp itself. Its GELU is a table of f16, which moves logits
by up to a hundredth of their size; those that are kept are of a build without it (`GGML_GELU_FP16` of
`ggml-cpu/vec.h`, left undefined).
"""

import argparse
import ctypes
import re
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy
from safetensors.numpy import save_file

TOKENS = 12
# `GGML_LOG_LEVEL_ERROR`.
ERROR = 4


def overrides(file):
    """What llama.cpp asks for and a file may leave open: the number of tokens, of the first Qwen the kind of norm."""
    reader = gguf.GGUFReader(file)
    architecture = reader.fields["general.architecture"].contents()
    rows = next(tensor.shape[1] for tensor in reader.tensors if tensor.name == "token_embd.weight")
    found = (llama_cpp.llama_model_kv_override * 3)()
    found[0].tag, found[0].key = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT, f"{architecture}.vocab_size".encode()
    found[0].value.val_i64 = int(rows)
    if eps := reader.fields.get("qwen.attention.layer_norm_epsilon"):
        found[1].tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_FLOAT
        found[1].key = b"qwen.attention.layer_norm_rms_epsilon"
        found[1].value.val_f64 = eps.contents()
    return found


def quantize(source, target, kind):
    types = "ALL" if kind == "f32" else "MOSTLY"
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_{types}_{kind.upper()}")
    params.nthread, params.allow_requantize = 1, True
    params.kv_overrides = overrides(source)
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)) != 0:
        raise RuntimeError(f"{source} could not be written as {kind}")


def logits(file):
    """Tokens and the logits of a file after each of them."""
    params = llama_cpp.llama_model_default_params()
    params.kv_overrides = overrides(file)
    model = llama_cpp.llama_model_load_from_file(str(file).encode(), params)
    if not model:
        raise RuntimeError(f"{file} could not be loaded")
    vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = 64, 1, 1
    params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, params)
    ids = numpy.random.default_rng(1).integers(0, vocab, TOKENS)
    batch = llama_cpp.llama_batch_init(TOKENS, 0, 1)
    batch.n_tokens = TOKENS
    for place, token in enumerate(ids):
        batch.token[place], batch.pos[place], batch.logits[place] = int(token), place, True
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
    if llama_cpp.llama_decode(context, batch) != 0:
        raise RuntimeError(f"{file} could not be run")
    found = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (TOKENS, vocab)).copy()
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return ids, found


def head_norms(file):
    """The rows of Baichuan 2's head count as if they were of length one, which llama.cpp leaves out. It rotates only in
    models of 32 layers."""
    reader = gguf.GGUFReader(file)
    if reader.fields["general.architecture"].contents() != "baichuan":
        return 1
    if reader.fields["baichuan.block_count"].contents() not in [32, 40]:
        raise RuntimeError("not Baichuan 7B or 13B by its layers")
    head = next(tensor for tensor in reader.tensors if tensor.name == "output.weight")
    return numpy.linalg.norm(head.data, axis=1)


def run(case, kinds):
    for kind in filter(None, kinds.split(",")):
        quantize(case / "f16.gguf", case / f"{kind}.gguf", kind)
    for file in sorted(case.glob("*.gguf")):
        with tempfile.TemporaryDirectory() as scratch:
            wide = Path(scratch) / "f32.gguf"
            quantize(file, wide, "f32")
            ids, found = logits(wide)
            own = numpy.abs(logits(file)[1] - found).max()
            found = found / head_norms(wide)
        save_file({"input_ids": ids[None], "logits": found[None]}, file.with_suffix(".safetensors"))
        print(f"{case.name}/{file.stem}: of size {found.std():.2f}, llama.cpp itself {own:.1e} off", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quantize", default="")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    said = llama_cpp.llama_log_callback(lambda level, text, _: level == ERROR and print(text.decode().strip()))
    llama_cpp.llama_log_set(said, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    for case in sorted(path.parent for path in args.folder.glob("*/config.json")):
        if not re.search(args.only, case.name):
            continue
        try:
            run(case, args.quantize)
        except RuntimeError as error:
            print(f"{case.name}: {error}")


if __name__ == "__main__":
    main()
