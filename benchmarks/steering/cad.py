"""Context-aware decoding where the context contradicts what the model remembers.

    python benchmarks/steering/cad.py [--limit N] [--methods 'plain;adacad'] [--answers FILE] [--out FILE]

With `--answers` what has been generated is kept, so that a run can be done method by method.

Made-up prompts: a passage says that something well known is otherwise, and the question asks for it. Counted is whether
the greedy answer agrees with the passage: it names the passage's answer, and not the remembered one. Two sets:
facts (capitals, currencies, authors, inventions, ...) and sayings whose wanted last word is not the usual one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from common import answer_all, arguments, chat_ids, load, padded, report

import guided

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Austria": "Vienna", "Poland": "Warsaw", "Sweden": "Stockholm", "Norway": "Oslo", "Denmark": "Copenhagen",
    "Finland": "Helsinki", "Greece": "Athens", "Turkey": "Ankara", "Russia": "Moscow", "Ukraine": "Kyiv",
    "Hungary": "Budapest", "Ireland": "Dublin", "Scotland": "Edinburgh", "England": "London", "Japan": "Tokyo",
    "China": "Beijing", "India": "New Delhi", "Thailand": "Bangkok", "Vietnam": "Hanoi", "South Korea": "Seoul",
    "Egypt": "Cairo", "Kenya": "Nairobi", "Ethiopia": "Addis Ababa", "Canada": "Ottawa", "Mexico": "Mexico City",
    "Cuba": "Havana", "Peru": "Lima", "Chile": "Santiago", "Argentina": "Buenos Aires", "Colombia": "Bogota",
    "Australia": "Canberra", "New Zealand": "Wellington", "Iran": "Tehran", "Iraq": "Baghdad", "Belgium": "Brussels",
    "the Netherlands": "Amsterdam", "the Czech Republic": "Prague", "Romania": "Bucharest", "Bulgaria": "Sofia",
    "Saudi Arabia": "Riyadh",
}  # fmt: skip
CURRENCIES = {
    "Japan": "yen", "India": "rupee", "China": "yuan", "Mexico": "peso", "Russia": "ruble", "Switzerland": "franc",
    "the United Kingdom": "pound", "Brazil": "real", "South Africa": "rand", "Sweden": "krona", "Poland": "zloty",
    "Thailand": "baht", "Turkey": "lira", "Israel": "shekel", "Germany": "euro", "the United States": "dollar",
    "Vietnam": "dong", "Hungary": "forint", "South Korea": "won", "Denmark": "krone",
}  # fmt: skip
AUTHORS = {
    "Hamlet": "Shakespeare", "1984": "Orwell", "The Odyssey": "Homer", "Don Quixote": "Cervantes",
    "War and Peace": "Tolstoy", "Oliver Twist": "Dickens", "Pride and Prejudice": "Austen", "Faust": "Goethe",
    "The Divine Comedy": "Dante", "Frankenstein": "Shelley", "Dracula": "Stoker", "Moby-Dick": "Melville",
    "The Raven": "Poe", "Ulysses": "Joyce", "The Trial": "Kafka", "The Hobbit": "Tolkien",
    "Harry Potter": "Rowling", "Les Miserables": "Hugo", "The Great Gatsby": "Fitzgerald",
    "Crime and Punishment": "Dostoevsky",
}  # fmt: skip
INVENTORS = {
    "the telephone": "Bell", "the light bulb": "Edison", "the printing press": "Gutenberg", "dynamite": "Nobel",
    "the steam engine": "Watt", "the theory of relativity": "Einstein", "penicillin": "Fleming",
    "the law of gravity": "Newton", "the radio": "Marconi", "the theory of evolution": "Darwin",
    "the periodic table": "Mendeleev", "the Mona Lisa": "Leonardo", "the Fifth Symphony": "Beethoven",
    "the Sistine Chapel ceiling": "Michelangelo", "The Starry Night": "Van Gogh",
}  # fmt: skip
COLOURS = {
    "a ripe banana": "yellow", "fresh grass": "green", "fresh snow": "white", "coal": "black", "blood": "red",
    "a clear sky at noon": "blue", "a carrot": "orange", "an elephant": "gray", "chocolate": "brown",
    "a flamingo": "pink", "an emerald": "green", "a ruby": "red", "a sapphire": "blue", "milk": "white",
    "a lemon": "yellow",
}  # fmt: skip
SAYINGS = [
    ("Better late than", "never", "early"), ("Time is", "money", "water"), ("Practice makes", "perfect", "noise"),
    ("Actions speak louder than", "words", "music"), ("The early bird catches the", "worm", "train"),
    ("A picture is worth a thousand", "words", "coins"), ("Honesty is the best", "policy", "medicine"),
    ("Knowledge is", "power", "sand"), ("Birds of a feather flock", "together", "slowly"),
    ("When in Rome, do as the Romans", "do", "sing"), ("The pen is mightier than the", "sword", "river"),
    ("Two heads are better than", "one", "ten"), ("Love is", "blind", "green"), ("No pain, no", "gain", "bread"),
    ("An apple a day keeps the doctor", "away", "happy"), ("All that glitters is not", "gold", "glass"),
    ("Rome was not built in a", "day", "forest"), ("Every cloud has a silver", "lining", "spoon"),
    ("Curiosity killed the", "cat", "king"), ("Don't judge a book by its", "cover", "smell"),
    ("Where there is smoke, there is", "fire", "music"), ("You can't teach an old dog new", "tricks", "songs"),
    ("The grass is always greener on the other", "side", "moon"), ("Laughter is the best", "medicine", "weapon"),
    ("Absence makes the heart grow", "fonder", "colder"), ("Beauty is in the eye of the", "beholder", "tiger"),
    ("Blood is thicker than", "water", "honey"), ("Good things come to those who", "wait", "shout"),
    ("If at first you don't succeed, try, try", "again", "tomorrow"), ("Haste makes", "waste", "friends"),
    ("Ignorance is", "bliss", "rain"), ("It takes two to", "tango", "swim"),
    ("Many hands make light", "work", "soup"), ("Money does not grow on", "trees", "stones"),
    ("Necessity is the mother of", "invention", "sorrow"), ("No news is good", "news", "weather"),
    ("Out of sight, out of", "mind", "paper"), ("Strike while the iron is", "hot", "blue"),
    ("The apple does not fall far from the", "tree", "table"), ("Too many cooks spoil the", "broth", "party"),
]  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A question, what the model remembers, and what the passage says instead."""

    group: str
    passage: str
    question: str
    remembered: str
    told: str
    opening: str = ""


def shifted(table: dict[str, str], by: int) -> list[tuple[str, str, str]]:
    """(thing, true, another's): the answers moved on by some places, to one that differs."""
    things, answers = list(table), list(table.values())
    found = []
    for i, thing in enumerate(things):
        others = [answers[(i + by + k) % len(answers)] for k in range(len(answers))]
        found.append((thing, answers[i], next(other for other in others if other != answers[i])))
    return found


def items() -> list[Item]:
    """155 items."""
    found = []
    for country, true, told in shifted(CAPITALS, 7):
        found.append(Item("facts", f"The capital of {country} is {told}.", f"What is the capital of {country}?",
                          true, told, f"The capital of {country} is"))  # fmt: skip
    for country, true, told in shifted(CURRENCIES, 5):
        found.append(Item("facts", f"The currency of {country} is the {told}.", f"What is the currency of {country}?",
                          true, told, f"The currency of {country} is the"))  # fmt: skip
    for book, true, told in shifted(AUTHORS, 3):
        found.append(Item("facts", f'The author of "{book}" is {told}.', f'Who is the author of "{book}"?',
                          true, told, f'The author of "{book}" is'))  # fmt: skip
    for thing, true, told in shifted(INVENTORS, 4):
        found.append(Item("facts", f"The one who gave us {thing} was {told}.", f"Who gave us {thing}?",
                          true, told, f"The one who gave us {thing} was"))  # fmt: skip
    for thing, true, told in shifted(COLOURS, 4):
        found.append(Item("facts", f"The colour of {thing} is {told}.", f"What is the colour of {thing}?",
                          true, told, f"The colour of {thing} is"))  # fmt: skip
    for start, usual, wanted in SAYINGS:
        found.append(Item("sayings", f'Write a saying that ends in the word "{wanted}".', start, usual, wanted, start))
    return found


def prompts(loaded: object, item: Item) -> tuple[list[int], list[int]]:
    """With and without the passage, in the same template."""
    if item.group == "sayings":
        return (
            chat_ids(loaded, f"{item.passage} It begins: {item.question}", item.opening),  # type: ignore[arg-type]
            chat_ids(loaded, f"Write a saying. It begins: {item.question}", item.opening),  # type: ignore[arg-type]
        )
    return (
        chat_ids(loaded, f"{item.passage}\n{item.question}", item.opening),  # type: ignore[arg-type]
        chat_ids(loaded, item.question, item.opening),  # type: ignore[arg-type]
    )


def agrees(item: Item, answer: str) -> float:
    """1 if the answer names what the passage says and not what is remembered."""
    said = answer.lower()
    return float(item.told.lower() in said and item.remembered.lower() not in said)


def main() -> None:
    options = arguments(
        __doc__ or "",
        methods="run only these, separated by semicolons",
        answers="keep answers there, and take what is there",
    )
    loaded = load(options.device)
    chosen = items()[: options.limit]
    both = [prompts(loaded, item) for item in chosen]
    full, bare = [a for a, _ in both], [b for _, b in both]
    model = loaded.model
    steers = {
        "plain": lambda rows: None,
        "cad, alpha 1": lambda rows: guided.cad(model, padded(loaded, [bare[i] for i in rows]), alpha=1.0),
        "cad, alpha 0.5": lambda rows: guided.cad(model, padded(loaded, [bare[i] for i in rows]), alpha=0.5),
        "adacad": lambda rows: guided.adacad(model, padded(loaded, [bare[i] for i in rows])),
    }
    store = Path(options.answers) if options.answers else None
    answers = json.loads(store.read_text()) if store and store.exists() else {}
    wanted = options.methods.split(";") if options.methods else ["without the passage", *steers]
    for name in wanted:
        if name not in answers:
            answers[name] = answer_all(loaded, full if name in steers else bare, steers.get(name, lambda rows: None))
            if store:
                store.write_text(json.dumps(answers))
    if not {"without the passage", "plain"} <= set(answers):
        return
    without = answers.pop("without the passage")
    known = [item.remembered.lower() in answer.lower() for item, answer in zip(chosen, without, strict=True)]
    print(f"without the passage the model names the remembered answer in {sum(known)} of {len(chosen)}")
    for i in range(0, len(chosen), max(1, len(chosen) // 8)):
        print(f"  {chosen[i].passage!r}:", {name: given[i][:30] for name, given in answers.items()})
    for group in ("all", "facts", "sayings"):
        kept = [i for i, item in enumerate(chosen) if group in ("all", item.group)]
        rows = {name: [agrees(chosen[i], given[i]) for i in kept] for name, given in answers.items()}
        if kept:
            report(f"agreement with the passage, {group}", rows, options.out)
    kept = [i for i in range(len(chosen)) if known[i]]
    if kept:
        rows = {name: [agrees(chosen[i], given[i]) for i in kept] for name, given in answers.items()}
        report("agreement with the passage, where the model remembers otherwise", rows, options.out)


if __name__ == "__main__":
    main()
