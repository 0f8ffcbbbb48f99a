"""Exchanges whose answer stands in the conversation itself: names, likes, short passages."""

NAMES = (
    "Anna Peter Lucy Jack Emma Oskar Mary Leo Nina Paul Ella Hans Kate Igor Jane Mark Rita Alan "
    "Vera Otto Maya Noah Zoe Carl Lena Hugo Tess Owen Ruth Ian"
).split()
COLOURS = "red blue green yellow white black brown grey pink purple orange".split()
ITEMS = "kite hat coat boat cup bucket scarf bag lantern box ball book chair blanket basket".split()
PLACES = [
    "under the bed", "on the table", "behind the door", "in the box", "on the roof", "by the river",
    "in the boat", "at the market", "on the beach", "under the bridge", "in the kitchen", "on the shelf",
]
FOODS = "bread soup cake cheese fish apples plums porridge honey pie nuts pears".split()
ANIMALS = "cat dog goat frog rabbit duck hen pony mouse parrot".split()
PETS = "Dot Milo Pip Socks Bella Rufus Snow Tiger Coco Luna Bobo Star".split()
NUMBERS = "two three four five six seven eight nine ten".split()


def noted(rng):
    """One small fact told by the user: (statement, acknowledgement, question, answer)."""
    name, colour, item = rng.choice(NAMES), rng.choice(COLOURS), rng.choice(ITEMS)
    place, food = rng.choice(PLACES), rng.choice(FOODS)
    animal, pet, number = rng.choice(ANIMALS), rng.choice(PETS), rng.choice(NUMBERS)
    verb = "are" if food.endswith("s") else "is"
    items = item + ("es" if item.endswith("x") else "s")
    return rng.choice([
        (rng.choice([f"My name is {name}.", f"I am {name}.", f"Hello, I am {name}."]),
         rng.choice([f"Nice to meet you, {name}!", f"Hello, {name}! How can I help you?"]),
         rng.choice(["What is my name?", "Do you remember my name?", "Who am I?"]),
         rng.choice([f"Your name is {name}.", f"You are {name}."])),
        (f"My {item} is {colour}.",
         f"{colour.capitalize()} is a nice colour.",
         f"What colour is my {item}?", f"Your {item} is {colour}."),
        (rng.choice([f"I like {food}.", f"My favourite food is {food}."]),
         rng.choice([f"{food.capitalize()} {verb} always good.", "That sounds good."]),
         rng.choice(["What do I like to eat?", "What is my favourite food?"]), f"You like {food}."),
        (f"I have a {animal} called {pet}.",
         rng.choice([f"{pet} is a good name for a {animal}.", f"How nice! Say hello to {pet}."]),
         rng.choice([f"What is my {animal} called?", f"What is the name of my {animal}?"]),
         f"Your {animal} is called {pet}."),
        (f"I put my {item} {place}.", "Good. I will remember it.",
         f"Where is my {item}?", f"Your {item} is {place}."),
        (f"I have {number} {items}.", f"What do you do with {number} {items}?",
         f"How many {items} do I have?", f"You have {number} {items}."),
    ])


def passage(rng):
    """A short text with a question: (text, question, answer)."""
    name, other = rng.sample(NAMES, 2)
    colour, colour2 = rng.sample(COLOURS, 2)
    item, item2 = rng.sample(ITEMS, 2)
    place, place2 = rng.sample(PLACES, 2)
    food, animal, pet = rng.choice(FOODS), rng.choice(ANIMALS), rng.choice(PETS)
    a = "an" if colour[0] == "o" else "a"
    a2 = "an" if colour2[0] == "o" else "a"
    texts = [
        (f"{name} has {a} {colour} {item}. {other} has {a2} {colour2} {item2}.",
         [(f"What colour is the {item}?", f"The {item} is {colour}."),
          (f"What colour is the {item2}?", f"The {item2} is {colour2}."),
          (f"Who has the {item}?", f"{name} has the {item}."),
          (f"Who has the {item2}?", f"{other} has the {item2}."),
          (f"What does {name} have?", f"{name} has {a} {colour} {item}.")]),
        (f"The {item} is {place}. The {item2} is {place2}.",
         [(f"Where is the {item}?", f"The {item} is {place}."),
          (f"Where is the {item2}?", f"The {item2} is {place2}."),
          (f"What is {place}?", f"The {item} is {place}.")]),
        (f"{name} has a {animal}. The {animal} is called {pet}. It likes {food}.",
         [(f"What is the {animal} called?", f"The {animal} is called {pet}."),
          (f"What does {pet} like?", f"{pet} likes {food}."),
          (f"Who has a {animal}?", f"{name} has a {animal}."),
          (f"What animal does {name} have?", f"{name} has a {animal}.")]),
        (f"{name} gave {other} a {item}. {other} put it {place}.",
         [(f"Who got the {item}?", f"{other} got the {item}."),
          (f"Who gave the {item} away?", f"{name} gave it to {other}."),
          (f"Where is the {item} now?", f"The {item} is {place}.")]),
    ]
    text, asked = rng.choice(texts)
    return (text, *rng.choice(asked))
