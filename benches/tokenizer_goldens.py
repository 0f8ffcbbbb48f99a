"""Writes engine/tests/goldens/tokenizers/folders.json and patterns.json: what transformers and tokenizers make of
small tokenizer folders and of patterns. Needs transformers 5.6 with tokenizers 0.22.

A folder is one of a few bases with files of its own beside it. Kept are its tokens and roles as AutoTokenizer has
them, and texts with their ids and both decodings. A pattern stands in a Replace normalizer and in a Split
pre-tokenizer; kept is what becomes of texts.
"""

import json
import os
import pathlib
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers  # noqa: E402
from tokenizers.models import BPE  # noqa: E402
from tokenizers.trainers import BpeTrainer  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDENS = ROOT / "engine/tests/goldens/tokenizers"
ROLES = ["bos", "eos", "pad", "unk", "sep", "cls", "mask"]
END = "<|endoftext|>"


# ------------------------------------------------------------------------------------------------ Folders


def byte_level(normalizer=None):
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                         special_tokens=[END, "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator([(ROOT / "docs/ARCHITECTURE.md").read_text()], trainer)
    return json.loads(tokenizer.to_str())


def bases():
    plain = byte_level()
    # Text is changed before normalized tokens are looked for.
    lower = byte_level(normalizers.Lowercase())
    # Words of the vocabulary, tokens that are not special, and ids with a hole.
    holes = json.loads(json.dumps(plain))
    holes["added_tokens"] += [added(310, "<tool>", special=False), added(305, "<|user|>"), added(320, "Ġthe", special=False)]
    # Blanks are written as sentencepiece writes them.
    blanks = json.loads(json.dumps(plain))
    blanks["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    blanks["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return {"plain": plain, "lower": lower, "holes": holes, "blanks": blanks}


def added(number, content, **flags):
    names = ["single_word", "lstrip", "rstrip", "normalized"]
    return {"id": number, "content": content, **{name: flags.get(name, False) for name in names}, "special": flags.get("special", True)}


def token(content, **flags):
    return {"content": content, **flags}


def typed(content, **flags):
    return {"__type": "AddedToken", "content": content, **flags}


def cases():
    """(name, base, files)."""
    fast = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config = lambda **values: {"tokenizer_config.json": {**fast, **values}}
    both = lambda values, more: {"tokenizer_config.json": {**fast, **values}, "special_tokens_map.json": more}
    yield "nothing", "plain", {}
    yield "class alone", "plain", config()
    # Each role in each form: new, in the vocabulary, there already.
    for role in ROLES:
        yield f"{role} new", "plain", config(**{f"{role}_token": f"[{role}]"})
        yield f"{role} typed", "plain", config(**{f"{role}_token": typed(f"[{role}]", lstrip=True, normalized=True)})
        yield f"{role} in map", "plain", both({}, {f"{role}_token": f"[{role}]"})
        yield f"{role} object in map", "plain", both({}, {f"{role}_token": token(f"[{role}]", rstrip=True, normalized=False)})
    yield "roles known", "plain", config(bos_token="<s>", eos_token="</s>", pad_token=END, unk_token=END)
    yield "role is a word", "plain", config(pad_token="Ġthe", mask_token="in")
    yield "role null", "plain", config(bos_token=None, eos_token="</s>", pad_token=None)
    yield "two roles one token", "plain", config(bos_token="[x]", eos_token="[x]", pad_token="[pad]")
    yield "all roles", "plain", config(mask_token="[mask]", cls_token="[cls]", pad_token="[pad]", sep_token="[sep]",
                                       unk_token="[unk]", eos_token="[eos]", bos_token="[bos]")
    yield "typed without flags", "plain", config(eos_token=typed("[eos]"), pad_token=typed("[pad]", special=True))
    yield "map over config", "plain", both({"eos_token": "[one]", "pad_token": "[pad]"}, {"eos_token": "[two]", "unk_token": None})
    # Lists of tokens, and tokens by name.
    yield "additional", "plain", config(additional_special_tokens=["[a]", "[b]", "<s>", "Ġthe"])
    yield "additional typed", "plain", config(additional_special_tokens=[typed("[a]", single_word=True), typed("[b]", special=True), "[c]"])
    yield "additional null", "plain", config(additional_special_tokens=None, pad_token="[pad]")
    yield "additional in map", "plain", both({}, {"additional_special_tokens": ["[a]", "[b]"]})
    yield "additional in both", "plain", both({"additional_special_tokens": ["[a]"]}, {"additional_special_tokens": ["[b]"]})
    yield "extra list", "plain", config(extra_special_tokens=["[a]", "[b]"])
    yield "extra and additional", "plain", config(extra_special_tokens=["[a]"], additional_special_tokens=["[b]"])
    yield "extra in both", "plain", both({"extra_special_tokens": ["[a]", "[b]"]},
                                         {"extra_special_tokens": ["[b]", token("[c]", lstrip=True), "[d]"]})
    yield "extra by name", "plain", config(extra_special_tokens={"image_token": "<image>", "boi": "<boi>"}, eos_token="[eos]")
    yield "extra by name in map", "plain", both({}, {"extra_special_tokens": {"image_token": "<image>"}})
    yield "token of the model", "plain", config(image_token="<image>", audio_token=typed("<audio>", rstrip=True), pad_token="[pad]",
                                                add_bos_token=True, additional_special_tokens=["[a]"])
    yield "token of the model in map", "plain", both({"pad_token": "[pad]"}, {"image_token": "<image>", "audio_token": token("<audio>")})
    # Tokens by id.
    decoder = lambda **values: config(added_tokens_decoder={
        "300": token("<|user|>", special=True), "301": token("<tool>"), "302": token("<x>", lstrip=True, rstrip=True, special=True, normalized=False)}, **values)
    yield "decoder", "plain", decoder()
    yield "decoder and roles", "plain", decoder(eos_token="<|user|>", pad_token="<tool>", sep_token="[sep]", additional_special_tokens=["<x>", "[a]"])
    yield "decoder hides the map", "plain", {**decoder(), "special_tokens_map.json": {"eos_token": "[eos]", "additional_special_tokens": ["[a]"]},
                                             "added_tokens.json": {"[b]": 303}}
    yield "decoder with holes", "plain", config(added_tokens_decoder={
        "700": token("<c>", special=True), "310": token("<b>"), "1000": token("<d>"), "9": token("<a>", special=True)})
    yield "decoder and known", "plain", config(added_tokens_decoder={
        "0": token(END, lstrip=True, special=True), "1": token("<s>", special=True, single_word=True), "2": token("</s>", rstrip=True), "280": token("Ġthe")})
    yield "decoder empty", "plain", both({"added_tokens_decoder": {}}, {"eos_token": "[eos]"})
    yield "decoder over holes", "holes", config(added_tokens_decoder={"310": token("<tool>", special=True), "330": token("<new>")}, pad_token="<new>")
    yield "role of a known token", "holes", config(eos_token="<tool>", additional_special_tokens=["Ġthe"])
    yield "role of a known token beside a decoder", "holes", config(eos_token="<tool>", added_tokens_decoder={"400": token("<new>")})
    yield "holes", "holes", config()
    yield "added tokens", "plain", {**config(eos_token="[eos]", additional_special_tokens=["[a]"]),
                                    "added_tokens.json": {"[eos]": 301, "[b]": 300, "[a]": 305}}
    yield "added tokens in map", "plain", {**both({}, {"eos_token": "[eos]", "additional_special_tokens": ["[a]"]}),
                                           "added_tokens.json": {"[a]": 303, "[eos]": 300, "word": 302}}
    yield "added tokens over known", "plain", {**config(), "added_tokens.json": {"[one]": 1, "<s>": 300, "[b]": 301}}
    # Where one place disagrees with another.
    yield "one token in two forms", "lower", config(bos_token="ing", eos_token="in", unk_token=typed("ing", lstrip=True, normalized=False))
    yield "known in another form", "blanks", config(added_tokens_decoder={"297": token("<s>", normalized=True), "225": token(END, single_word=True)},
                                                    pad_token=typed("<s>", rstrip=True))
    yield "by name in both", "lower", both({"additional_special_tokens": ["[c]"], "extra_special_tokens": {"image_token": "[A B]", "boi": "word"}},
                                           {"sep_token": token("[a]"), "image_token": "two words"})
    yield "list and names", "blanks", both({"additional_special_tokens": ["[a]", typed("<image>")]}, {"extra_special_tokens": {"image_token": END, "boi": "in"}})
    yield "two lists in map", "plain", both({}, {"additional_special_tokens": ["[a]"], "extra_special_tokens": []})
    yield "added tokens between known", "holes", {**config(), "added_tokens.json": {"Ġthe": 306, "[a]": 305, "[b]": 301, "[c]": 400}}
    yield "added tokens and objects", "plain", {**config(bos_token=typed("[a]", rstrip=True, special=True), additional_special_tokens=[typed("[b]")]),
                                                "added_tokens.json": {"[a]": 308, "[b]": 300}}
    # Flags.
    flags = {"added_tokens_decoder": {
        "300": token("[l]", lstrip=True, special=True), "301": token("[r]", rstrip=True), "302": token("word", single_word=True),
        "303": token("Big", normalized=True, special=True), "304": token("Raw", normalized=False), "305": token("[lr]", lstrip=True, rstrip=True, normalized=True),
        "306": token("two words")}}
    for base in ["plain", "lower", "blanks"]:
        yield f"flags {base}", base, config(**flags)
        yield f"roles {base}", base, config(eos_token="[EOS]", pad_token=typed("Pad It", normalized=True), additional_special_tokens=["[A B]"])
    # What a class knows by itself.
    for name in ["GPT2Tokenizer", "GPT2TokenizerFast", "CodeGenTokenizer", "BloomTokenizerFast", "TokenizersBackend", "NoSuchTokenizer"]:
        yield f"class {name}", "plain", {"tokenizer_config.json": {"tokenizer_class": name}}
    yield "class with null", "plain", {"tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "eos_token": None, "bos_token": "<s>"}}
    for kind in ["gpt2", "phi", "starcoder2", "llama", "falcon"]:
        yield f"model_type {kind}", "plain", {"config.json": {"model_type": kind}}
    yield "class of config.json", "plain", {"config.json": {"model_type": "llama", "tokenizer_class": "GPT2Tokenizer"}}
    # Vocabulary and merges in files of their own.
    for name in ["GPT2Tokenizer", "Qwen2Tokenizer", "Qwen2TokenizerFast", "CodeGenTokenizer", "GPTNeoXTokenizer", "CohereTokenizer", "RobertaTokenizer"]:
        yield f"files {name}", "files", {"tokenizer_config.json": {"tokenizer_class": name}}
        yield f"files {name} with more", "files", {
            "tokenizer_config.json": {"tokenizer_class": name, "eos_token": "[eos]", "pad_token": None, "add_prefix_space": True,
                                      "added_tokens_decoder": {"300": token("<|user|>", special=True), "305": token("<tool>", lstrip=True)}}}
    yield "files with bos", "files", {"tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_eos_token": True}}
    yield "files with map", "files", {"special_tokens_map.json": {"eos_token": "<|user|>", "additional_special_tokens": ["[a]"]},
                                      "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer"}, "added_tokens.json": {"<|user|>": 301, "[a]": 300}}
    for name in ["Qwen2Tokenizer", "CohereTokenizer", "GPT2Tokenizer"]:
        yield f"files {name} with a list", "files", {"tokenizer_config.json": {
            "tokenizer_class": name, "additional_special_tokens": ["<|user|>", "<tool>"], "eos_token": "<|user|>",
            "added_tokens_decoder": {"300": token("<|user|>", special=True), "305": token("<tool>", lstrip=True)}}}
    for kind in ["gpt2", "gptj", "opt", "gpt_neox", "qwen2", "qwen3_moe", "cohere", "olmo", "granite"]:
        yield f"files model_type {kind}", "files", {"config.json": {"model_type": kind}}


def texts(tokenizer):
    """What every folder is asked, with its own tokens in it."""
    named = [t.content for t in tokenizer.added_tokens_decoder.values()]
    yield "The house, and the words in it: 1234 naïve café\n\n  don't"
    yield f" in  {' in '.join(named)}  the"
    yield "".join(f"a{name}b" for name in named)


def write(folder, base, own):
    """The files of a case; transformers wants a config.json as models have it."""
    files = {"config.json": {"model_type": "llama"}, **own}
    if base is not None:
        files["tokenizer.json"] = base
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False))


def vocabulary(base):
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in base["model"]["merges"]]
    return {"vocab.json": base["model"]["vocab"], "merges.txt": "\n".join(["#version: 0.2", *merges, ""])}


def resaved(tokenizer):
    """The same of what transformers writes of it and reads again, with the config.json that a model brings along."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        write(pathlib.Path(folder), None, {})
        return answers(AutoTokenizer.from_pretrained(folder))


def answers(tokenizer):
    decoder = tokenizer.added_tokens_decoder
    flags = ["special", "lstrip", "rstrip", "single_word", "normalized"]
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)
    return {
        "length": len(tokenizer),
        "added": {str(i): [t.content, *[flag for flag in flags if getattr(t, flag)]] for i, t in sorted(decoder.items())},
        "roles": {role: getattr(tokenizer, f"{role}_token") for role in ["bos", "eos", "pad", "unk"]},
        "around": tokenizer.encode("in", add_special_tokens=True),
        "texts": [{"text": text, "ids": encode(text),
                   "decoded": tokenizer.decode(encode(text)), "plain": tokenizer.decode(encode(text), skip_special_tokens=True)}
                  for text in texts(tokenizer)],
    }


def folders():
    made = bases()
    files = vocabulary(made["plain"])
    rows = []
    for name, base, own in cases():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            write(folder, made.get(base), {**own, **(files if base == "files" else {})})
            tokenizer = AutoTokenizer.from_pretrained(folder)
            row = {"name": name, "base": base, "files": own, **answers(tokenizer)}
            again = resaved(tokenizer)
            rows.append(row if row == {**row, **again} else {**row, "again": again})
    return {"bases": {**made, "files": files}, "cases": rows}


# ------------------------------------------------------------------------------------------------ Patterns

PATTERNS = [
    # Lines.
    "^ab| ?[a-z]+$|[a-z]+|\\s+", "^", "$", "^.", ".$", "^$", "\\A.", ".\\z", ".\\Z", "\\n$", "(?m)a.b", "a.b", "(?s)a.b", "(?-m)a.b", "(?m:.)+", "\\G[a-z]", "[^a]+",
    # Classes.
    "\\d+", "\\D+", "\\w+", "\\W+", "\\s+", "\\S+", "\\h+", "\\H+", "[[:alpha:]]+", "[[:^alpha:]]+", "[[:digit:]]", "[[:punct:]]+", "[[:space:]]+", "[[:upper:]]",
    "[[:word:]]+", "[[:xdigit:]]+", "[[:cntrl:]]", "[[:graph:]]+", "[[:print:]]+", "[[:blank:]]+", "[[:alnum:]]+", "[[:ascii:]]+", "[[:lower:]]+",
    "[a-z&&[^aeiou]]+", "[a-c[x-z]]+", "[^a-c[x-z]]+", "[\\w&&\\D]+", "[a-w&&[^c-g]z]+", "[]a]+", "[a\\]]+", "[\\d-]+", "[-a]+", "[a-]+", "[\\p{L}&&\\p{ASCII}]+",
    "\\p{L}+", "\\p{Lu}", "\\p{^L}+", "\\P{L}+", "\\p{Han}+", "\\p{Hiragana}+", "\\p{Katakana}+", "\\p{Latin}+", "\\p{Greek}+", "\\p{Letter}+", "\\p{N}{1,3}", "\\p{Nd}+",
    "\\p{P}+", "\\p{S}+", "\\p{Sc}", "\\p{Zs}+", "\\p{M}+", "\\p{Alpha}+", "\\p{Upper}", "\\p{Punct}+", "\\p{Space}+", "\\p{Emoji}+", "\\p{Any}", "[\\p{L}\\p{M}]+", "[^\\p{L}\\p{N}]+",
    # Characters.
    "\\x61+", "\\x{4e2d}", "\\u4e2d", "\\t", "\\e", "\\a", "\\x0a", "\\101", "\\R", "\\X", "\\N+", "\\O", "\\y", "\\Y", "(?y{w})\\y", "\\b", "\\B", "\\K", "a\\Kb", "\\/",
    # Repetition.
    "a++b?", "a*+a", "[a-z]++\\d", "a{2,3}+", "a{2}+", "a{,2}", "a{2,}", "a{0}", "a+?", "a??", "a*?b", "(?:ab)+", "a{3,1}", "x{", "a{,}", "a**", "a+*",
    "\\s++$", "\\s*+[\\r\\n]", "(?>a+)b", "(?>a|ab)c",
    # Around.
    "(?=b)", "(?<=a)b", "(?<!a)b", "(?!a)\\w", "(?<=a|bc)\\w", "(?<=\\s)\\S", "(?<!\\S)\\w+", "\\s+(?!\\S)", "(?<=^)a", "(?<=a+)b", "(?<=ab?)c",
    # Groups.
    "(a)\\1", "(?<x>a|b)\\k<x>", "(?<x>a)(?<y>b)\\g<x>", "(?:a|b)+", "(?i)AB", "(?i:ab)C", "a(?i)b|c", "(?i)straße", "(?i)ss", "(?i)ſ", "(?i)K", "(?i)İ", "(?i)σ", "(?i-m:A.)", "(?x) a b # both",
    "(?#no)a", "(a|b)?(?(1)c|d)", "(?~ab)", "(?~|a|[a-z]+)", "(?W)\\w+", "(?D)\\d+", "(?S)\\s+", "(?P)\\w+", "(?I)a", "(?L)a|ab", "(?C)(a)", "|a", "a|", "a||b", "",
    # Of models in use.
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[一-龥\\u0800-\\u4e00가-퟿]+", "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    " ?[^(\\s|[.,!?…。，、।۔،])]+", "[\\r\\n]", "\\p{N}|[^\\p{N}]+", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    # Mistakes.
    "(", "[a", "a)", "*a", "\\p{Nope}", "(?<=a*", "(?z)a", "[z-a]", "\\k<nope>", "(?<n>a",
]

TEXTS = [
    "ab ab\n ab", "line one\nLine 2\r\n\n\tthree  \n", "aab aaab aaaa abc bc xyz a.b a\nb",
    "中文、かな カタカナ ʼn ΑΣ ς straße STRASSE ſS K İ ı", "x1-2 ٣٤ ½ 0xFf _a]z $€ café e\u0301 👩‍👩‍👧 \u00a0\u2003\u200b\u0085\u2028", "Don't we'll HE'S ABC abcAbc a{2,3} x{ a||b",
]


def pipeline(normalizer, pre_tokenizer):
    """Bytes alone, so that decoding gives back what the two parts leave."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    # Every piece gets a mark in front.
    parts = [pre_tokenizer, pre_tokenizers.Metaspace("▁", "always", split=False)] if pre_tokenizer is not None else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*parts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def seen(tokenizer):
    """Each text's bytes, or nothing where tokenizers breaks off."""
    made = []
    for text in TEXTS:
        try:
            made.append(tokenizer.decode(tokenizer.encode(text).ids))
        except BaseException as e:
            if type(e).__name__ != "PanicException":
                raise
            made.append(None)
    return made


def patterns():
    rows = []
    for pattern in PATTERNS:
        try:
            regex = Regex(pattern)
        except Exception as e:
            rows.append({"pattern": pattern, "refused": str(e)})
            continue
        rows.append({"pattern": pattern, "replaced": seen(pipeline(normalizers.Replace(regex, "¦"), None)),
                     "split": seen(pipeline(None, pre_tokenizers.Split(regex, "isolated")))})
    return {"replacing": json.loads(pipeline(normalizers.Replace("x", "¦"), None).to_str()),
            "splitting": json.loads(pipeline(None, pre_tokenizers.Split("x", "isolated")).to_str()),
            "texts": TEXTS, "cases": rows}


def save(name, content):
    """One case a line."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in content["cases"])
    head = {key: value for key, value in content.items() if key != "cases"}
    head = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1]
    (GOLDENS / name).write_text(f'{head},"cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    save("patterns.json", patterns())
    save("folders.json", folders())
