"""One process of the training benchmark's other side: PyTorch with transformers and PEFT.

Takes the same arguments as `engine/examples/train_step.rs`, does the same work, prints the same line of
JSON: {"step_ms": [...], "peak_mb": ..., "losses": [...]}. `cargo xtask bench train` runs both in turn.
"""

import argparse
import contextlib
import json
import os
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

SHAPES = {
    "135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                 num_attention_heads=9, num_key_value_heads=3),
    "tiny": dict(vocab_size=512, hidden_size=64, intermediate_size=176, num_hidden_layers=4,
                 num_attention_heads=4, num_key_value_heads=2),
}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="135m")
    parser.add_argument("--layers", type=int, help="instead of the shape's own")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--full", action="store_true", help="train every weight instead of LoRA")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--dtype", choices=["f32", "bf16", "autocast"], default="f32")
    return parser.parse_args()


def build(args):
    torch.manual_seed(0)
    shape = SHAPES[args.shape] | ({"num_hidden_layers": args.layers} if args.layers else {})
    config = LlamaConfig(**shape, max_position_embeddings=4096, tie_word_embeddings=True,
                         rms_norm_eps=1e-5, use_cache=False)
    model = LlamaForCausalLM(config)
    if args.dtype == "bf16":
        model = model.to(torch.bfloat16)
    if not args.full:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=2 * args.rank, lora_dropout=0.0,
                                                 target_modules=LINEARS, task_type="CAUSAL_LM"))
        # What is trained stays in f32, as LLaMA-Factory keeps it.
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    if args.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
        model.enable_input_require_grads()
    return model.train()


def memory(field):
    """A field of /proc/self/status in MB."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def forget_peak():
    """Starts VmHWM anew: what building the model took for a moment is not the step's."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def main():
    args = arguments()
    model = build(args)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    ids = torch.randint(0, model.config.vocab_size, (args.batch, args.seq),
                        generator=torch.Generator().manual_seed(2))
    batch = dict(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids.clone())
    autocast = torch.autocast("cpu", dtype=torch.bfloat16) if args.dtype == "autocast" else contextlib.nullcontext()

    forget_peak()
    step_ms, losses = [], []
    for _ in range(args.steps):
        start = time.perf_counter()
        with autocast:
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step_ms.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"step_ms": step_ms, "peak_mb": memory("VmHWM"), "losses": losses}))


if __name__ == "__main__":
    main()
