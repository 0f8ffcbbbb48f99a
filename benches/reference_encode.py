"""One process of the encoding benchmark's other side: LLaMA-Factory's own preparation of a data set, in one process.

Takes the same arguments as `engine/examples/encode.rs`, does the same work, prints the same line of JSON:
{"rows": ..., "seconds": ..., "tokens": ..., "peak_mb": ...}. `cargo xtask bench encode` runs both in turn.
"""

import argparse
import json
import os
import resource
import tempfile
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISABLE_VERSION_CHECK"] = "1"
CACHE = tempfile.TemporaryDirectory()
os.environ["HF_DATASETS_CACHE"] = CACHE.name

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer  # noqa: E402
from llamafactory.hparams import get_train_args  # noqa: E402
from llamafactory.model import load_tokenizer  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser()
    for name in ["data", "dataset", "tokenizer", "template"]:
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def main():
    args = arguments()
    model_args, data_args, training_args, _, _ = get_train_args({
        "model_name_or_path": args.tokenizer, "stage": "sft", "do_train": True, "finetuning_type": "lora",
        "dataset_dir": args.data, "dataset": args.dataset, "template": args.template, "cutoff_len": 1024,
        "overwrite_cache": True, "output_dir": CACHE.name, "report_to": "none", "use_cpu": True,
    })
    tokenizer_module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(tokenizer_module["tokenizer"], data_args)
    begin = time.perf_counter()
    module = get_dataset(template, model_args, data_args, training_args, stage="sft", **tokenizer_module)
    seconds = time.perf_counter() - begin
    rows = module["train_dataset"]
    tokens = sum(len(ids) for ids in rows["input_ids"])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"rows": len(rows), "seconds": seconds, "tokens": tokens, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
