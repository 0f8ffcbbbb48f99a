"""Short stories from the patterns in texts/stories.txt."""

import templates

PLACES = (
    "the harbour", "the market", "the old bridge", "the boatyard", "the mill", "the lighthouse",
    "the bakery", "the beach", "the school", "the clock tower", "the ropewalk", "the library",
)
ANIMALS = (
    "kitten puppy lamb frog duck hen rabbit mouse crab goat gull crow hedgehog seal fox pony"
).split()
THINGS = (
    "lantern kite compass book cup spoon basket bucket hat scarf key bell drum flute spyglass box "
    "blanket brush mirror map"
).split()
COLOURS = "red blue green yellow white black brown grey pink purple golden".split()
FOODS = ("apple cake", "warm bread", "cheese", "potato pie", "honey bread", "plum cake", "soup with bread")
LAMPS = ("lantern", "candle", "lamp", "small lamp")
ASKING = (
    "Tell me a story about {topic}.", "Tell me the story of {topic}.", "Can you tell me a story about {topic}?",
    "I would like a story about {topic}.", "A story about {topic}, please.",
)
ASKING_ANY = (
    "Tell me a story.", "Tell me a short story.", "Can you tell me a story?", "I want to hear a story.",
    "A story, please.", "Do you know a story?", "Write a short story.", "Tell me a story before I sleep.",
)


def skeletons():
    """Every story as (topics, list of sentence alternatives)."""
    found = []
    for line in templates.lines_of("stories"):
        if line.startswith("@"):
            found.append(([topic.strip() for topic in line[1:].split(";")], []))
        elif line.strip():
            found[-1][1].append(templates.options(line))
    return found


def told(rng, skeleton, people):
    """One telling: (request, story)."""
    topics, lines = skeleton
    hero, other = rng.sample(people, 2)
    place, place2 = rng.sample(PLACES, 2)
    row = {
        "p": hero["first"], "he": hero["he"], "him": hero["him"], "his": hero["his"],
        "q": other["first"], "qhe": other["he"], "qhim": other["him"], "qhis": other["his"],
        "place": place, "place2": place2, "animal": rng.choice(ANIMALS), "thing": rng.choice(THINGS),
        "colour": rng.choice(COLOURS), "food": rng.choice(FOODS), "lamp": rng.choice(LAMPS),
    }
    story = " ".join(templates.fill(rng.choice(line), row, rng) for line in lines)
    draw = rng.random()
    if draw < 0.4:
        request = rng.choice(ASKING_ANY)
    elif draw < 0.8:
        request = rng.choice(ASKING).format(topic=templates.fill(rng.choice(topics), row))
    else:
        request = rng.choice(ASKING).format(topic=rng.choice([hero["first"], "{} and {}".format(row["p"], row["q"])]))
    return request, story
