"""Learning rates that follow evaluations, by torch and transformers: engine/tests/goldens/text/measured_schedules.json.

    pip install torch==2.7.1 transformers==5.6.0
    python benches/schedule_goldens.py > engine/tests/goldens/text/measured_schedules.json
"""

import json
import random

import torch
from transformers import get_scheduler

CASES = [
    ("reduce_lr_on_plateau", 1e-3, {}),
    ("reduce_lr_on_plateau", 1e-3, {"patience": 1, "factor": 0.5}),
    ("reduce_lr_on_plateau", 1e-3, {"patience": 0, "cooldown": 2, "min_lr": 2e-4, "threshold_mode": "abs"}),
    ("reduce_lr_on_plateau", 1e-3, {"patience": 0, "mode": "max", "threshold": 0.1, "eps": 1e-4}),
    ("greedy", 5e-5, {}),
    ("greedy", 1e-2, {"patience": 1, "factor": 0.5, "min_lr": 1e-3, "max_lr": 0.03, "reset_start": 2}),
    ("greedy", 1e-2, {"patience": 0, "cooldown": 1, "warmup": 2, "min_lr": 1e-4, "threshold_mode": "rel"}),
    ("greedy", 1e-2, {"patience": 1, "mode": "max", "min_lr": 1e-5, "smooth": True, "window_size": 4}),
]


def main():
    cases = []
    for number, (kind, peak, settings) in enumerate(CASES):
        draws = random.Random(number)
        # Falls, then stays about where it is, then rises.
        metrics = [4.0 / (1 + 0.2 * i) for i in range(15)]
        metrics += [1.0 + draws.uniform(-0.1, 0.1) for _ in range(25)] + [1.0 + 0.1 * i for i in range(20)]
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
        scheduler = get_scheduler(kind, optimizer, 0, 100, dict(settings))
        rates = []
        for metric in metrics:
            scheduler.step(metric)
            rates.append(optimizer.param_groups[0]["lr"])
        cases.append(
            {
                "lr_scheduler_type": kind,
                "lr_scheduler_kwargs": settings,
                "learning_rate": peak,
                "metrics": metrics,
                "lr": rates,
            }
        )
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


main()
