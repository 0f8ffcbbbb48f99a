"""Makes golden cases of training from LLaMA-Factory's own runs, where those cannot be repeated as they are.

    python benches/training_golden.py CASE OUT

CASE is a folder with a LLaMA-Factory config and what it names; OUT becomes a case as the training
tests read it. TRL's value head drops a tenth of its input at random, which no other program can repeat number by number:
that is off. LLaMA-Factory 0.9.5 does not tell TRL 0.24 which `pref_loss` is asked for, so that it trains `sigmoid`
whatever the recipe says: here it does.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import yaml
from llamafactory.train.dpo.trainer import CustomDPOTrainer
from llamafactory.train.rm.trainer import PairwiseTrainer
from llamafactory.train.tuner import run_exp
from safetensors.torch import load_file


def without_dropout(compute_loss):
    def computed(self, model, *arguments, **named):
        model.v_head.dropout = torch.nn.Identity()
        return compute_loss(self, model, *arguments, **named)

    return computed


def with_its_loss(dpo_loss):
    def computed(self, *log_probabilities):
        return dpo_loss(self, *log_probabilities, loss_type=self.loss_type)

    return computed


def statistics(tensor):
    values = tensor.double().flatten()
    return {
        "shape": list(tensor.shape),
        "mean": values.mean().item(),
        "std": values.std(correction=0).item(),
        "abs_sum": values.abs().sum().item(),
        "first": values[:6].tolist(),
    }


def main():
    case, out = Path(sys.argv[1]), Path(sys.argv[2])
    config = yaml.safe_load((case / "config.yaml").read_text())
    output = Path(config["output_dir"])
    PairwiseTrainer.compute_loss = without_dropout(PairwiseTrainer.compute_loss)
    CustomDPOTrainer.dpo_loss = with_its_loss(CustomDPOTrainer.dpo_loss)
    run_exp(config)
    out.mkdir(parents=True)
    shutil.copy(case / "config.yaml", out)
    if (case / "init_adapter").exists():
        shutil.copytree(case / "init_adapter", out / "init_adapter")
    history = json.loads((output / "trainer_state.json").read_text())["log_history"]
    rows = [{key: row[key] for key in row if key != "epoch"} for row in history if "loss" in row]
    last = {"step": history[-1]["step"], "train_loss": history[-1]["train_loss"]}
    (out / "expected.jsonl").write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in [*rows, last]))
    weights = {
        f"{file.name}:{name}": statistics(tensor)
        for file in sorted(output.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    (out / "final_weights.json").write_text(json.dumps(weights, indent=1) + "\n")


main()
