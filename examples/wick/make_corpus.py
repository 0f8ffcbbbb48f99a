#!/usr/bin/env python3
"""Writes the pre-training corpus of the bundled model from the tables and texts in corpus/.

Usage, in the project's root: python3 examples/wick/make_corpus.py
It writes data/wick_corpus.jsonl and data/chandler_text.jsonl. Python 3.9 or newer and its
standard library are enough. The same seed gives the same files.
"""

import json
import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).parent / "corpus"))

import counting  # noqa: E402
import reading  # noqa: E402
import stories  # noqa: E402
import templates  # noqa: E402

SEED = 20
PEOPLE = templates.table("people")
GENERAL_SYSTEMS = (
    "You are a helpful assistant.", "You are a friendly assistant.", "Answer in short sentences.",
    "You are a guide in a harbour town.", "Be kind and brief.", "You help visitors of Saltmere.",
)
# Bytes of text per part of the corpus; together just under 3 MB with the JSON around them.
SHARES = {
    "facts": 820_000, "talk": 400_000, "play": 150_000, "numbers": 310_000, "stories": 330_000,
    "asked_stories": 260_000, "reading": 160_000, "dialogues": 60_000, "one_word": 40_000,
    "statements": 95_000, "chinese": 110_000,
}


def chat(turns, system=None):
    """ChatML without the last end mark: pre-training adds the end of text there."""
    parts = [f"<|im_start|>system\n{system}"] if system else []
    for asked, answered in turns:
        parts += [f"<|im_start|>user\n{asked}", f"<|im_start|>assistant\n{answered}"]
    return "<|im_end|>\n".join(parts)


def maybe_system(rng):
    return rng.choice(GENERAL_SYSTEMS) if rng.random() < 0.1 else None


def fact_groups():
    """All fact exchanges, grouped by what they are about: {(table, row): [(questions, answers)]}."""
    groups, tables = {}, {}
    for owner, asked, answered, _ in templates.blocks("facts"):
        rows = tables.setdefault(owner, templates.table(owner.split("-")[0]))
        for i, row in enumerate(rows):
            questions = [templates.fill(q, row) for q in asked if templates.usable(q, row)]
            answers = [templates.fill(a, row) for a in answered if templates.usable(a, row)]
            if questions and answers:
                groups.setdefault((owner, i), []).append((questions, answers))
    return groups


def pick(rng, block):
    """One question of a block with one of its answers; some questions as people type in haste."""
    asked, answered = rng.choice(block[0]), rng.choice(block[1])
    if rng.random() < 0.12:
        asked = asked[:1].lower() + asked[1:].rstrip("?.!")
    return asked or "?", answered


def pools(rng):
    """An endless shuffled walk through a list, so that every entry comes equally often."""
    def walk(entries):
        entries = list(entries)
        while True:
            rng.shuffle(entries)
            yield from entries
    return walk


def facts(rng):
    groups = fact_groups()
    heads = [(key, block) for key, blocks in groups.items() if "-" not in key[0] for block in blocks]
    for key, block in pools(rng)(heads):
        turns = [pick(rng, block)]
        more = groups.get((key[0] + "-more", key[1]), groups[key])
        draw = rng.random()
        if draw < 0.25:
            turns += [pick(rng, other) for other in rng.sample(more, min(rng.randint(1, 2), len(more)))]
        elif draw < 0.4:
            turns += [pick(rng, rng.choice(heads)[1]) for _ in range(rng.randint(1, 2))]
        yield chat(turns, maybe_system(rng))


def plain_blocks(name):
    def exchanges(rng):
        entries = [(asked, answered) for _, asked, answered, _ in templates.blocks(name)]
        # Blocks with more wordings come more often, so that no pairing is rare.
        weighted = [e for e in entries for _ in range(max(len(e[0]), len(e[1]) // 2, 1))]
        for block in pools(rng)(weighted):
            turns = [pick(rng, block)]
            if rng.random() < 0.2:
                turns.append(pick(rng, rng.choice(entries)))
            yield chat(turns, maybe_system(rng))
    return exchanges


def numbers(rng):
    exact = [*counting.sums(), *counting.counted(), *counting.calendar()]
    exact += [*counting.compared(rng, 150), *counting.lists(rng, 260)]
    for block in pools(rng)(exact):
        turns = [pick(rng, block)]
        if rng.random() < 0.15:
            turns.append(pick(rng, rng.choice(exact)))
        yield chat(turns, maybe_system(rng))


def plain_stories(rng):
    for skeleton in pools(rng)(stories.skeletons()):
        yield stories.told(rng, skeleton, PEOPLE)[1]


def asked_stories(rng):
    for skeleton in pools(rng)(stories.skeletons()):
        yield chat([stories.told(rng, skeleton, PEOPLE)], maybe_system(rng))


def read(rng):
    while True:
        if rng.random() < 0.5:
            said, heard, asked, answered = reading.noted(rng)
            yield chat([(said, heard), (asked, answered)], maybe_system(rng))
        else:
            text, asked, answered = reading.passage(rng)
            shape = rng.choice(["{t} {q}", "{t}\n{q}", "{q}\n{t}"])
            yield chat([(shape.format(t=text, q=asked), answered)])


def written_dialogues():
    """The conversations of texts/dialogues.txt as (system, turns)."""
    found, system, turns, asked = [], None, [], None
    for line in [*templates.lines_of("dialogues"), ""]:
        mark, text = line[:1], line[2:].strip()
        if mark == "s":
            system = text
        elif mark == "u":
            asked = text
        elif mark == "a":
            turns.append((asked, text))
        elif turns:
            found.append((system, turns))
            system, turns = None, []
    return found


def dialogues(rng):
    greetings = [(asked, answered) for _, asked, answered, _ in templates.blocks("talk")[:3]]
    thanks = (["Thank you!", "Thanks!", "Thank you very much."], ["You are welcome!", "My pleasure!"])
    for system, turns in pools(rng)(written_dialogues()):
        turns = list(turns)
        if system is None and rng.random() < 0.5:
            turns.insert(0, pick(rng, rng.choice(greetings)))
        if rng.random() < 0.4:
            turns.append(pick(rng, thanks))
        yield chat(turns, system if system else maybe_system(rng))


def one_word(rng):
    """A system text that asks for one word, and answers that keep to it."""
    asked = [(f"What is the capital of {r['land']}?", r["capital"]) for r in templates.table("countries")]
    asked += [(f"What colour is {r['what']}?", r["is_short"]) for r in
              ({**c, "is_short": templates.capital(c["colour"])} for c in templates.table("colours"))
              if " " not in r["is_short"]]
    asked += [(f"What is the opposite of {r['word']}?", templates.capital(r["opposite"])) for r in templates.table("opposites")]
    asked += [(f"What is a baby {r['animal']} called?", templates.capital(r["baby"])) for r in templates.table("animals")]
    systems = ("Answer with one word only.", "Answer with one word.", "Use only one word.")
    for _ in pools(rng)(asked):
        turns = [(q, a + ".") for q, a in rng.sample(asked, rng.randint(1, 3))]
        yield chat(turns, rng.choice(systems))


def statements(rng):
    """Paragraphs of plain sentences about one row of a table."""
    groups = {}
    for owner, _, _, said in templates.blocks("facts"):
        for i, row in enumerate(templates.table(owner.split("-")[0]) if said else []):
            fitting = [s for s in said if templates.usable(s, row)]
            if fitting:
                groups.setdefault((owner, i), []).append((fitting, row))
    for parts in pools(rng)(list(groups.values())):
        parts = rng.sample(parts, min(len(parts), rng.randint(2, 5)))
        yield " ".join(templates.fill(rng.choice(said), row) for said, row in parts)


def chinese(rng):
    entries = [(asked, answered) for _, asked, answered, _ in templates.blocks("chinese")]
    weighted = [e for e in entries for _ in range(max(len(e[0]), len(e[1])))]
    for block in pools(rng)(weighted):
        turns = [pick(rng, block)]
        while rng.random() < 0.45 and len(turns) < 4:
            turns.append(pick(rng, rng.choice(entries)))
        yield chat(turns)


MAKERS = {
    "facts": facts, "talk": plain_blocks("talk"), "play": plain_blocks("play"), "numbers": numbers,
    "stories": plain_stories, "asked_stories": asked_stories, "reading": read,
    "dialogues": dialogues, "one_word": one_word, "statements": statements, "chinese": chinese,
}


def gather(rng, shares, seen):
    """Takes texts from each maker until its share of bytes is full; no text comes twice."""
    texts = []
    for name, share in shares.items():
        size, repeats = 0, 0
        for text in MAKERS[name](rng):
            if text in seen:
                repeats += 1
                if repeats > 20_000:
                    break
                continue
            seen.add(text)
            texts.append(text)
            size += len(text.encode("utf-8"))
            if size >= share:
                break
        print(f"{name:14} {size:8} bytes", file=sys.stderr)
    rng.shuffle(texts)
    return texts


def write(path, texts):
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    path.write_text(lines, "utf-8")
    print(f"{path.relative_to(ROOT)}: {len(texts)} rows, {len(lines.encode('utf-8'))} bytes", file=sys.stderr)


def main():
    seen = set()
    write(ROOT / "data/wick_corpus.jsonl", gather(random.Random(SEED), SHARES, seen))
    plain = {"stories": 170_000, "statements": 25_000}
    write(ROOT / "data/chandler_text.jsonl", gather(random.Random(SEED + 1), plain, seen))


if __name__ == "__main__":
    main()
