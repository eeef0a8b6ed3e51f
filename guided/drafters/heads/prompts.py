"""Prompts for self-distillation: what a user might ask, put together from tasks and topics.

Draft heads learn how *their* model goes on, so the texts must be the model's own; all that a prompt has to do is to
lead it somewhere. A few hundred combinations spread it over explanations, letters, lists, stories and code. Who knows
what the model will be asked gives a file of real prompts instead (`guided train-heads --prompts`).
"""

from __future__ import annotations

import random
from itertools import product

__all__ = ["HELD_OUT_TOPICS", "TASKS", "TOPICS", "built_in_prompts", "held_out_prompts"]

TASKS = (
    "Explain {} to a ten-year-old child.",
    "Write a short story about {}.",
    "List five facts about {}.",
    "What are the advantages and disadvantages of {}?",
    "Write an email to a colleague about {}.",
    "How did {} change over the last hundred years?",
    "Give me step-by-step advice for a beginner in {}.",
    "Write a short essay about {}.",
    "Summarize the most important things to know about {}.",
    "Why do people care about {}?",
    "Write a dialogue between a teacher and a student about {}.",
    "Describe a typical day of someone who works with {}.",
    "What questions should I ask an expert on {}?",
    "Write a Python function that has something to do with {} and explain it.",
    "Write a poem about {}.",
    "Compare {} with its alternatives.",
    "Write a newspaper article about {}.",
    "What are common mistakes people make with {}?",
)

TOPICS = (
    "photosynthesis", "public transport", "baking bread", "electric cars", "the Roman Empire", "learning a language",
    "chess", "black holes", "gardening", "personal savings", "the water cycle", "remote work", "classical music",
    "volcanoes", "first aid", "bicycles", "renewable energy", "dinosaurs", "cooking for a family", "computer security",
    "the human heart", "swimming", "city planning", "the printing press", "bees", "mountain climbing", "job interviews",
    "databases", "tea", "the French Revolution", "football", "sleep", "the ocean floor", "photography",
    "machine learning", "school uniforms", "earthquakes", "houseplants", "taxes", "old maps", "vaccines", "coffee",
    "healthy breakfasts", "running a small shop", "bridges", "the moon", "recycling", "sorting numbers", "museums",
    "theatre", "time management", "weather forecasts", "libraries", "train journeys", "painting", "friendship",
    "the stock market", "robots", "rivers", "stress", "architecture", "ancient Egypt", "wine", "board games",
    "electric guitars", "insurance", "trees", "newspapers", "the internet", "solar eclipses", "farming", "memory",
)  # fmt: skip

HELD_OUT_TOPICS = (
    "lighthouses", "chocolate", "moving to a new city", "glaciers", "sailing", "bird migration", "knitting",
    "prime numbers", "the Great Wall of China", "noise pollution", "marathon training", "magnets",
)  # fmt: skip


def built_in_prompts(count: int, seed: int = 0) -> list[str]:
    """`count` different prompts in random order; all of them where there are fewer (about 1,300)."""
    made = [task.format(topic) for task, topic in product(TASKS, TOPICS)]
    random.Random(seed).shuffle(made)
    return made[:count]


def held_out_prompts(count: int = 36, seed: int = 0) -> list[str]:
    """Prompts about topics that `built_in_prompts` never mentions, to measure trained heads with."""
    made = [task.format(topic) for task, topic in product(TASKS, HELD_OUT_TOPICS)]
    random.Random(seed).shuffle(made)
    return made[:count]
