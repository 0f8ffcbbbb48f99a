"""Reads the tables and texts of the corpus and fills their patterns."""

import pathlib
import re

HERE = pathlib.Path(__file__).parent

SLOT = re.compile(r"\{(\^?)(a:)?(\w+)\}")
CHOICE = re.compile(r"\[([^\[\]]*/[^\[\]]*)\]")
# Words whose first letter does not tell whether "a" or "an" goes before them.
AN_EXCEPTIONS = {"hour": "an", "one": "a", "useful": "a"}


def table(name):
    """Rows of `tables/NAME.txt` as dictionaries; the first line names the columns."""
    lines = (HERE / "tables" / f"{name}.txt").read_text("utf-8").splitlines()
    split = [[cell.strip() for cell in line.split("|")] for line in lines if line.strip()]
    head, rows = split[0], split[1:]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"tables/{name}.txt: {len(row)} cells, {len(head)} columns: {row}")
    return [dict(zip(head, row)) for row in rows]


def lines_of(name):
    """Lines of `texts/NAME.txt` without comments."""
    text = (HERE / "texts" / f"{name}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("# ")]


def options(text):
    """The wordings of one line, split at ` | `; ` / ` inside a wording is a line break."""
    return [part.strip().replace(" / ", "\n") for part in text.split(" | ")]


def blocks(name):
    """Question blocks of a text: (table or None, questions, answers, statements)."""
    found, current, owner = [], None, None
    for line in lines_of(name):
        if line.startswith("@"):
            owner = line[1:].strip()
        elif line.startswith("? "):
            current = (owner, options(line[2:]), [], [])
            found.append(current)
        elif line.startswith("= "):
            current[2].extend(options(line[2:]))
        elif line.startswith("~ "):
            current[3].extend(options(line[2:]))
        elif line.strip():
            raise ValueError(f"texts/{name}.txt: cannot read {line!r}")
    return found


def article(word):
    first = word.split()[0].strip('"')
    if first in AN_EXCEPTIONS:
        return f"{AN_EXCEPTIONS[first]} {word}"
    return f"{'an' if first[0].lower() in 'aeiou' else 'a'} {word}"


def capital(text):
    return text[:1].upper() + text[1:]


def slots(pattern):
    return {match.group(3) for match in SLOT.finditer(pattern)}


def fill(pattern, row, rng=None):
    """Fills the slots of a pattern from a row and picks one of each [a/b]."""

    def put(match):
        text = row[match.group(3)]
        if match.group(2):
            text = article(text)
        return capital(text) if match.group(1) else text

    text = SLOT.sub(put, pattern)
    if rng is not None:
        text = CHOICE.sub(lambda match: rng.choice(match.group(1).split("/")), text)
    return text


def usable(pattern, row):
    """Whether the row has a value (not "-") for every slot of the pattern."""
    return all(row.get(name, "-") != "-" for name in slots(pattern))
