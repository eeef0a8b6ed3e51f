"""What is written in the benchmarks of speculation: JSON from a prompt's facts, corrections and rewrites, free text.

Prompts are our own. Each JSON task names all its facts, so that the form is what takes the model's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guided.demo.cases import CASES


@dataclass(frozen=True, slots=True)
class Task:
    kind: str  # "json", "correct", "held-out", "free"
    name: str
    prompt: str
    schema: Any = None


SENTENCES = {
    "harbour": (
        "She dont know where the keys is, so she have asked the man which sell tickets at the harbour. He tell her "
        "that the ferry was leaving since ten minutes and that the next one leave at noon."
    ),
    "garden": (
        "Last summer me and my brother was planting tomatos in the garden behind the house. Every morning we goes out "
        "to water them before the sun get too hot, and in august we has more tomatos than we could eat."
    ),
    "meeting": (
        "The meeting have been moved to thursday because most of the team are traveling on wednesday. Please brings "
        "the printed report, the list of open question and a pen, there is no computer in the room."
    ),
}
REWRITES = {
    "rename": (
        "Rewrite this text with the name Tom in place of Peter, and change nothing else:\n"
        "Peter opened the shop at seven. He swept the floor, counted the coins and wrote the prices on the board. "
        "At noon a woman asked for two loaves of dark bread, and Peter wrapped them in yesterday's newspaper. She "
        "said that the bread of the other baker was cheaper, but that his was never warm."
    ),
    "lines": (
        "Repeat this text with each sentence on a line of its own:\n"
        "The lock on the north gate is broken. The guard has a second key. Nobody may enter after nine. Visitors "
        "leave their bags at the desk and get a number. The number must be shown on the way out. Lost numbers "
        "cost five euros."
    ),
    "spelling": (
        "Rewrite this text in American spelling, changing nothing else:\n"
        "The colour of the theatre's new programme is grey. Our neighbour organised a favourite dinner in the "
        "centre of the city, and the travellers who had cancelled their journey were honoured guests."
    ),
}
# Written after the drafters' settings were chosen on the texts above, and not looked at before they were measured.
HELD_OUT = {
    "library": (
        "Correct the grammar of this text and repeat all of it, changing nothing else:\n"
        "The library have closed it's doors for two weeks because the roof are being repaired. Readers which has "
        "borrowed books can brings them to the town hall, where a clerk write down there names every afternoon."
    ),
    "bicycle": (
        "Correct the grammar of this text and repeat all of it, changing nothing else:\n"
        "My cousin buyed a old bicycle on the market and he repair it during three weekend. Now it run so good that "
        "he ride to the work each day, even when it rain and the street is wet."
    ),
    "names": (
        "Rewrite this text with the name Sofia in place of Anna, and change nothing else:\n"
        "Anna keeps bees behind the old mill. In spring she counts the hives, cleans the frames and paints the roofs. "
        "Last year a storm threw over two of them, and Anna carried the boxes home by night. The honey of that summer "
        "was dark and tasted of chestnut."
    ),
    "commas": (
        "Add the missing commas and full stops to this text, changing nothing else:\n"
        "When the bell rings the children put away their books take their coats and run to the gate The teacher waits "
        "until the last one has gone closes the windows and turns off the light"
    ),
    "british": (
        "Rewrite this text in British spelling, changing nothing else:\n"
        "The color of the harbor at dusk is hard to describe. The organizers of the boat theater apologized for the "
        "canceled program, and honored every ticket at the fiber museum in the center."
    ),
    "bullets": (
        "Repeat this text as a list with one dash before each sentence:\n"
        "Switch off the main valve. Wait until the pressure falls below two bar. Open the side door with the long key. "
        "Replace the filter and note the date. Close the door before you open the valve again."
    ),
}
FREE = {
    "rain": "Explain to a child why it rains, in one paragraph.",
    "letter": "Write a short letter to a friend about moving to a new city.",
    "steps": "List five steps to bake a simple bread, one sentence each.",
}

TASKS = [
    *(Task("json", case.name, case.prompt, case.schema) for case in CASES),
    *(
        Task("correct", name, f"Correct the grammar of this text and repeat all of it, changing nothing else:\n{text}")
        for name, text in SENTENCES.items()
    ),
    *(Task("correct", name, prompt) for name, prompt in REWRITES.items()),
    *(Task("held-out", name, prompt) for name, prompt in HELD_OUT.items()),
    *(Task("free", name, prompt) for name, prompt in FREE.items()),
]
