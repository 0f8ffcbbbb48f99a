"""Tokens and ends of generations as llama.cpp has them, for `engine/tests/gguf/tokens.rs`.

    python benches/gguf_tokens.py > engine/tests/goldens/gguf/tokens.json

Needs the packages llama-cpp-cffi (llama.cpp itself, as of April 2025), gguf, tokenizers and sentencepiece. The byte-level
vocabulary is trained without any split, so that each pre-tokenizer shows: tokens reach over every place where one splits.
"""

import json
import sys
import tempfile
from pathlib import Path

import gguf
import sentencepiece
from llama._llama_cpp_cpu import ffi, lib
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent / "engine/tests/goldens/tokenizers"
TEXTS = [
    "Hello world, it's a fine day.", "I'VE told HE'LL you we're DON'T they'd 'tis", "3 33 333 4444 55555 666666 1234567",
    "a1b22c333 v1.2.3 x=10,000.50", "  two  blanks   three    four", "tab\tand\t\ttabs\nline\n\nlines\r\n\r\nends  \n  x",
    "camelCase HTTPServer snake_case ALLCAPS mixedUP", "f(x) = {a[0] + b->c} /* note */ // end;", "#!/bin/sh && echo $HOME | grep ~",
    "中文分词测试，你好。日本語のテキスト", "Привет мир, как дела?", "café naïve Ünder", "한국어 문장입니다", "مرحبا، كيف الحال؟",
    "🦙🦙 emoji 🎉!", "what?!... really---yes", "\"quoted\" (parens) <tags> `code`", "100% of $5.00 = €4,50", "trailing blank ",
    " leading", "\n", "   ", "one\n two\n  three", "http://example.com/a/b?c=d&e=f#g", "x\u00a0y z",
]
PRE = [
    "default", "gpt-2", "phi-2", "mpt", "olmo", "jais", "smollm", "refact", "starcoder", "codeshell", "exaone", "minerva-7b",
    "command-r", "llama-bpe", "llama-v3", "falcon3", "pixtral", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4", "qwen2",
    "deepseek-r1-qwen", "megrez", "stablelm2", "bailingmoe", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon",
    "bloom", "poro-chat", "gpt3-finnish", "viking", "tekken", "gpt-4o", "llama4", "superbpe", "trillion",
]
# Vocabularies by their special tokens, with the ids that their files name.
ENDS = [
    (["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"], {"bos": 0, "eos": 1}),
    (["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"], {"eos": 2}),
    (["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"], {"eos": 1, "eot": 4}),
    (["<|system|>", "<|user|>", "<|end|>", "<|endoftext|>"], {"eos": 3}),
    (["<one>", "<two>", "<three>"], {"eos": 1, "eot": 0, "eom": 2}),
    (["<EOT>", "<REPO>", "<other>"], {"eos": 2}),
]


def load(fields):
    """A file with a vocabulary alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocabulary.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tokenizer_model(fields["model"])
        if fields.get("pre"):
            writer.add_tokenizer_pre(fields["pre"])
        writer.add_token_list(fields["tokens"])
        writer.add_token_types(fields["token_types"])
        if "scores" in fields:
            writer.add_token_scores(fields["scores"])
        if "merges" in fields:
            writer.add_token_merges(fields["merges"])
        for role, token in fields.get("ids", {}).items():
            writer.add_uint32(f"tokenizer.ggml.{role}_token_id", token)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        params = lib.llama_model_default_params()
        params.vocab_only = True
        return lib.llama_model_load_from_file(str(path).encode(), params)


def encode(model, text):
    raw = text.encode()
    ids = ffi.new("llama_token[]", 4096)
    count = lib.llama_tokenize(lib.llama_model_get_vocab(model), raw, len(raw), ids, 4096, False, True)
    return list(ids[0:count])


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return {"model": "gpt2", "tokens": tokens, "token_types": [1] * len(tokens),
            "merges": [" ".join(pair) for pair in model["merges"]]}


def sentencepiece_vocabulary():
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(ROOT / "bpe_bytes/tokenizer.model"))
    ids = range(pieces.get_piece_size())

    def kind(token):
        kinds = [(pieces.is_unknown, 2), (pieces.is_control, 3), (pieces.is_unused, 5), (pieces.is_byte, 6)]
        return next((number for test, number in kinds if test(token)), 1)

    return {"model": "llama", "tokens": [pieces.id_to_piece(token) for token in ids],
            "scores": [pieces.get_score(token) for token in ids], "token_types": [kind(token) for token in ids]}


def main():
    callback = ffi.callback("void(enum ggml_log_level, const char *, void *)", lambda *_: None)
    lib.llama_log_set(callback, ffi.NULL)
    bpe, spm = byte_level(), sentencepiece_vocabulary()
    ids = {}
    for pre in PRE:
        model = load(bpe | {"pre": pre})
        if model == ffi.NULL:
            print(f"{pre} is not known", file=sys.stderr)
            continue
        ids[pre] = [encode(model, text) for text in TEXTS]
    ends = []
    for special, roles in ENDS:
        tokens = special + bpe["tokens"]
        fields = bpe | {"pre": "gpt-2", "tokens": tokens, "ids": roles,
                        "token_types": [3] * len(special) + bpe["token_types"]}
        vocabulary = lib.llama_model_get_vocab(load(fields))
        found = [token for token in range(len(tokens)) if lib.llama_vocab_is_eog(vocabulary, token)]
        ends.append({"special": special, "ids": roles, "ends": found})
    model = load(spm)
    golden = {"texts": TEXTS, "byte_level": {"tokens": bpe["tokens"], "merges": bpe["merges"], "ids": ids},
              "sentencepiece": {**{key: spm[key] for key in ["tokens", "scores", "token_types"]},
                                "ids": [encode(model, text) for text in TEXTS]}, "ends": ends}
    print(json.dumps(golden, ensure_ascii=False))


if __name__ == "__main__":
    main()
