"""Makes the golden cases of Mixture-of-Depths: LLaMA-Factory's own training of a model with routers.

    python benches/depths_golden.py MODEL TOKENIZER          # draws the tiny model
    python benches/training_golden.py CASE OUT               # with this file on PYTHONPATH as MoD.py

(with mixture-of-depth installed without its dependencies, for LLaMA-Factory asks whether it is there).

LLaMA-Factory takes blocks with routers from a package `MoD` (mixture-of-depth 1.2), which no transformers 5 can run and
which is not the paper: it replaces a chosen token by its weight times what leaves the block, chooses one token less than
the capacity, and begins with all of them. This module stands in its place with equation (1) of Raposo et al. 2024:
x + r·f(x) for the tokens with the largest weights r of each sequence, where x + f(x) is what leaves the block.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

KEY = "mixture_of_depths"


class TokenRouter(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.weight_predictor = nn.Linear(hidden, 1)


class Routed(nn.Module):
    """A block beside its router. Sequences end in padding, which takes no part."""

    def __init__(self, block, hidden, capacity):
        super().__init__()
        self.router, self.block, self.capacity = TokenRouter(hidden), block, capacity
        self.lengths = None

    def forward(self, x, attention_mask=None, position_embeddings=None, **_):
        weights = self.router.weight_predictor(x)
        cos, sin = position_embeddings
        sequences = []
        for index, sequence in enumerate(x):
            length = int(self.lengths[index]) if self.lengths is not None else len(sequence)
            count = max(1, int(self.capacity * length))
            chosen = weights[index, :length, 0].topk(count).indices.sort().values
            rows = sequence[chosen][None]
            angles = tuple(part[index if len(part) > 1 else 0][chosen][None] for part in (cos, sin))
            mask = torch.full((1, 1, count, count), torch.finfo(x.dtype).min).triu(1)
            result = self.block(rows, attention_mask=mask, position_embeddings=angles)
            result = result[0] if isinstance(result, tuple) else result
            added = weights[index, chosen] * (result[0] - rows[0])
            sequences.append(sequence.index_add(0, chosen, added))
        return torch.stack(sequences)


def route(model, capacity):
    layers = model.model.layers
    for index in range(1, len(layers), 2):
        layers[index] = Routed(layers[index], model.config.hidden_size, capacity)

    def note(module, arguments, named):
        mask = named.get("attention_mask")
        for layer in layers[1::2]:
            layer.lengths = None if mask is None else mask.sum(-1)

    model.model.register_forward_pre_hook(note, with_kwargs=True)
    return model


class AutoMoDModelForCausalLM:
    @staticmethod
    def from_pretrained(**named):
        folder = Path(named["pretrained_model_name_or_path"])
        config = named["config"]
        model = LlamaForCausalLM(config).to(torch.float32)
        model = route(model, json.loads((folder / "config.json").read_text())[KEY]["capacity"])
        tensors = load_file(folder / "model.safetensors")
        model.load_state_dict(tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"]})
        model.tie_weights()
        return model


def draw(folder, tokenizer):
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=600, hidden_size=24, intermediate_size=40, num_hidden_layers=4, num_attention_heads=3,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=512, initializer_range=0.1, bos_token_id=1,
        eos_token_id=2, pad_token_id=3, tie_word_embeddings=True,
    )
    model = route(LlamaForCausalLM(config), 0.25)
    folder.mkdir(parents=True)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    values = config.to_dict() | {
        "architectures": ["LlamaMoDForCausalLM"], KEY: {"capacity": 0.25}, "torch_dtype": "float32",
        "rope_theta": 10000.0, "rope_scaling": None,
    }
    kept = set(json.loads((tokenizer / "config.json").read_text())) | {KEY}
    values = {key: values[key] for key in sorted(kept & set(values))}
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n")
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(tokenizer / file, folder)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
