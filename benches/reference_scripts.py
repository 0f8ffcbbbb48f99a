"""The flags of LLaMA-Factory's shipped recipes, one line a recipe, as its shell scripts write them.

Takes a folder of YAML recipes and prints `name --key value …` for each; `recipe/tests/llamafactory/scripts.txt` holds
what it prints for the scripts of version 0.7.0, which shipped no YAML. `recipe/tests/command_line.rs` reads the lines.
"""

import pathlib
import shlex
import sys

import yaml


def words(key, value):
    if value is True:
        return [f"--{key}"]
    if isinstance(value, list):
        return [f"--{key}", *map(str, value)]
    return [f"--{key}", "null" if value is None else str(value)]


for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    # Numbers stay as they were typed.
    recipe = yaml.load(path.read_text(), yaml.BaseLoader)
    typed = {key: {"true": True, "false": "False"}.get(str(value), value) for key, value in recipe.items()}
    print(path.stem, shlex.join(word for key, value in typed.items() for word in words(key, value)))
