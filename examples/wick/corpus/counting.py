"""Questions about numbers, days, lists and words, with exact answers."""

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
SEASONS = "spring summer autumn winter".split()
GROUPS = {
    "animals": "cat dog goat owl frog bee horse seal crab whale rabbit donkey hen duck".split(),
    "colours": "red blue green yellow white black brown grey pink purple orange".split(),
    "fruits": "apple pear plum cherry banana lemon strawberry orange".split(),
    "vegetables": "carrot bean potato onion cabbage pea pumpkin leek".split(),
    "tools": "hammer saw needle brush broom ladder axe spade".split(),
    "birds": "gull crow owl parrot duck hen robin swan".split(),
    "fish": "herring cod salmon trout eel mackerel".split(),
    "flowers": "rose tulip daisy lily violet poppy".split(),
    "trees": "oak pine willow birch apple beech".split(),
    "things in the shop": "candles ropes lanterns soap nails string oil matches".split(),
    "people of Saltmere": "Nora Tom Ada Ben Mira Joss Lily Sam Clara Hugo Rosa Finn Ivy Max Pia".split(),
    "things on a ship": "anchor sail rope compass map lantern barrel oar".split(),
    "clothes": "coat hat scarf boot shirt sock glove".split(),
    "drinks": "water tea milk juice cocoa".split(),
}


def listed(words):
    return ", ".join(words[:-1]) + " and " + words[-1]


def sums():
    """Addition to 20, subtraction within 12, the small times table: digits and words."""
    for a in range(0, 13):
        for b in range(0, 13):
            if a + b <= 20:
                yield ask_sum(a, b, a + b, "+", "plus", "and")
            if a >= b:
                yield ask_sum(a, b, a - b, "-", "minus", "minus")
    for a in range(1, 11):
        for b in range(1, 11):
            if a * b <= 50:
                yield ask_sum(a, b, a * b, "*", "times", "times")


def ask_sum(a, b, c, sign, word, said):
    questions = [
        f"What is {a} {sign} {b}?",
        f"What is {a} {word} {b}?",
        f"How much is {a} {word} {b}?",
        f"{a} {sign} {b} = ?",
        f"{a} {sign} {b}",
        f"{a}{sign}{b}",
        f"What is {a}{sign}{b}?",
    ]
    answers = [f"{a} {word} {b} is {c}.", f"{a} {sign} {b} = {c}.", f"It is {c}."]
    if max(a, b, c) <= 20 and sign != "*":
        questions.append(f"What is {NUMBERS[a]} {said} {NUMBERS[b]}?")
        answers.append(f"{NUMBERS[a].capitalize()} {said} {NUMBERS[b]} is {NUMBERS[c]}.")
    return questions, answers


def compared(rng, count):
    for _ in range(count):
        a, b = rng.sample(range(1, 31), 2)
        high, low = max(a, b), min(a, b)
        if rng.random() < 0.5:
            yield [f"Which is bigger, {a} or {b}?", f"Which number is bigger: {a} or {b}?"], [
                f"{high} is bigger than {low}."
            ]
        else:
            yield [f"Which is smaller, {a} or {b}?", f"Which number is smaller: {a} or {b}?"], [
                f"{low} is smaller than {high}."
            ]


def counted():
    """Counting up and down in words, and the neighbours of a number."""
    for end in range(3, 21):
        yield [f"Count to {NUMBERS[end]}.", f"Count to {end}.", f"Can you count to {NUMBERS[end]}?"], [
            listed(NUMBERS[1 : end + 1]).capitalize() + "."
        ]
    for start in range(3, 13):
        yield [f"Count down from {NUMBERS[start]}.", f"Count back from {start}."], [
            listed(NUMBERS[start:0:-1]).capitalize() + "."
        ]
    for number in range(1, 20):
        yield [f"What comes after {NUMBERS[number]}?", f"Which number comes after {number}?"], [
            f"After {NUMBERS[number]} comes {NUMBERS[number + 1]}.",
        ]
        yield [f"What comes before {NUMBERS[number]}?", f"Which number comes before {number}?"], [
            f"Before {NUMBERS[number]} comes {NUMBERS[number - 1]}.",
        ]


def calendar():
    for names, kind in ((DAYS, "day"), (MONTHS, "month"), (SEASONS, "season")):
        for i, name in enumerate(names):
            after, before = names[(i + 1) % len(names)], names[i - 1]
            yield [f"What {kind} comes after {name}?", f"Which {kind} comes after {name}?", f"What comes after {name}?"], [
                f"After {name} comes {after}.",
                f"{after[:1].upper() + after[1:]} comes after {name}.",
            ]
            yield [f"What {kind} comes before {name}?", f"Which {kind} is before {name}?", f"What comes before {name}?"], [
                f"Before {name} comes {before}.",
                f"{before[:1].upper() + before[1:]} comes before {name}.",
            ]
    for i, name in enumerate(DAYS):
        yield [f"Today is {name}. What day is tomorrow?", f"If today is {name}, what is tomorrow?"], [
            f"Tomorrow is {DAYS[(i + 1) % 7]}."
        ]
        yield [f"Today is {name}. What day was yesterday?", f"If today is {name}, what was yesterday?"], [
            f"Yesterday was {DAYS[i - 1]}."
        ]


def lists(rng, count):
    for _ in range(count):
        group = rng.choice(sorted(GROUPS))
        size = rng.randint(2, 4)
        words = rng.sample(GROUPS[group], size)
        said = listed(words)
        said = said[:1].upper() + said[1:] + "."
        yield [
            f"Name {NUMBERS[size]} {group}.",
            f"Tell me {NUMBERS[size]} {group}.",
            f"Give me {NUMBERS[size]} {group}.",
            f"Can you name {NUMBERS[size]} {group}?",
        ], [said]
