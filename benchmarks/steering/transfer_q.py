"""Does Transfer Q* raise the reward of SmolLM2-135M's texts, over sampling and over ARGS at equal compute?

    python benchmarks/steering/transfer_q.py --out transfer_q.json

Two rewards, each for free text and for a JSON document under a constraint:

    kind words   pleasant words minus unpleasant ones, counted in a small lexicon: every beginning tells
    at the end   only whole texts are judged. Free text: 1 if it has ended in time, 2 if with "!"; JSON: 1 for three
                 stars out of five, less by half for each star more or less, 0 as long as the document is not closed

Methods: plain sampling, ARGS and Transfer Q* with the same top_k and alpha, all sampled at temperature 1. At equal
compute the others may draw several texts and keep the best by the reward itself: as many as Transfer Q* makes passes a
token (what is waited for where the rollouts fit a device), or as many as it runs tokens through the model for each
that it writes (arithmetic). Both are counted; the best of n is the mean over all choices of n among the texts drawn.
Means over prompts with 95% intervals by bootstrap over prompts, and of the paired difference. Settings were chosen on
other subjects (`--tune`).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from intervals import interval, shown

import guided
from guided.demo.model import load_smollm2
from processors.value.reward import TextReward

SUBJECTS = [
    "a rainy day", "your neighbour's dog", "the new bridge", "breakfast", "an old violin", "the night train",
    "a lost umbrella", "the garden in June", "a school trip", "the harbour", "a broken clock", "the first snow",
    "a long letter", "the city library", "a mountain path", "the evening news",
    "a bus stop", "the village school", "a bowl of soup", "the lighthouse", "an empty chair", "the spring market",
    "a pair of boots", "the kitchen window", "a street musician", "the old oak", "a night at the cinema",
    "the swimming pool", "a train ticket", "the neighbour's cat", "a sandwich", "the museum",
    "a wool blanket", "the corner shop", "a sailing boat", "the winter coat", "a tent by the lake", "the piano lesson",
    "a cheese platter", "the post office", "a plastic chair", "the airport", "a cookery book", "the tram",
    "a garden fence", "the football match", "a pair of glasses", "the waiting room", "a birthday cake", "the castle",
    "a desk lamp", "the ferry", "a picnic", "the hiking boots", "a tomato salad", "the concert hall", "an office chair",
    "the beach in autumn", "a coffee machine", "the guest house",
]  # fmt: skip
OTHERS = [
    "a walk by the river", "the bakery on the corner", "my first bicycle", "a cup of tea", "the old theatre",
    "moving house", "a paper boat", "the town square", "a wool coat", "the fish market", "a wooden table",
    "the last bus", "an apple tree", "the hotel lobby", "a radio play", "the barber's shop",
]  # fmt: skip
KIND = set("good great love lovely happy joy beautiful wonderful nice best bright delicious friendly warm kind "
           "perfect amazing fun pleasant excellent enjoy charming peaceful".split())  # fmt: skip
UNKIND = set("bad sad hate ugly awful terrible worst dark cold angry poor boring broken lost fear unpleasant "
             "hard wrong painful lonely".split())  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "review": {"type": "string", "minLength": 5, "maxLength": 24},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["review", "stars"],
    "additionalProperties": False,
}


def kind_words(texts: list[str]) -> list[float]:
    words = [re.findall("[a-z]+", text.lower()) for text in texts]
    return [float(sum((word in KIND) - (word in UNKIND) for word in each)) for each in words]


def ended(texts: list[str]) -> list[float]:
    return [float(text.endswith("<|im_end|>")) + text.endswith("!<|im_end|>") for text in texts]


def three_stars(texts: list[str]) -> list[float]:
    def one(text: str) -> float:
        try:
            return 1 - abs(int(json.loads(text.removesuffix("<|im_end|>"))["stars"]) - 3) / 2
        except ValueError:
            return 0.0

    return [one(text) for text in texts]


class Whole(TextReward):
    """Shows the reward the end of the text as well: whether there is one."""

    def texts(self, prompts: torch.Tensor, responses: Any) -> list[str]:
        return [self.tokenizer.decode(each) for each in responses]


SENTENCE, REVIEW = (
    "Write one very short sentence about {}.",
    "Review {} as JSON with the fields review and stars (1 to 5).",
)
TASKS = {
    "text, kind words": (SENTENCE, None, kind_words),
    "JSON, kind words": (REVIEW, SCHEMA, kind_words),
    "text, at the end": (SENTENCE, None, ended),
    "JSON, at the end": (REVIEW, SCHEMA, three_stars),
}
METHODS = ("transfer_q", "args", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=18)
    parser.add_argument("--review", type=int, default=24, help="characters of a review in JSON, at most")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--skip", type=int, default=0, help="subjects before the first")
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--max-rollout", type=int, default=4)
    parser.add_argument("--rollouts", type=int, default=1, help="of each candidate; several are drawn, one is greedy")
    parser.add_argument("--indirect", type=float, metavar="BETA", help="for a policy trained for no reward: r_BL = 0")
    parser.add_argument("--rollout-weight", type=float, default=0.0, help="rollouts by ARGS with this weight")
    parser.add_argument("--texts", type=int, default=1, help="of Transfer Q* for each prompt")
    parser.add_argument("--draws", type=int, help="of the others; otherwise as many tokens as Transfer Q* runs for one")
    parser.add_argument("--batch", type=int, default=8, help="prompts at a time")
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tune", action="store_true", help="on other subjects, few of them")
    parser.add_argument("--only", nargs="*", help="task/method pairs, such as 'JSON, at the end/args'")
    parser.add_argument("--out", type=Path, default=Path("transfer_q.json"))
    given = parser.parse_args()
    record: dict[str, Any] = json.loads(given.out.read_text()) if given.only and given.out.exists() else {}
    loaded = load_smollm2(given.device)
    for task in TASKS:
        for method in METHODS:
            name = f"{task}/{method}"
            if given.only is None or name in given.only or task in given.only:
                draws = given.texts
                if method != "transfer_q":
                    draws = given.draws or math.ceil(record[f"{task}/transfer_q"]["tokens"])
                record[name] = run(loaded, task, method, draws, given)
                given.out.write_text(json.dumps(record, indent=1))
                report(record)


def run(loaded: Any, task: str, method: str, draws: int, given: Any) -> dict[str, Any]:
    prompt, schema, judge = TASKS[task]
    SCHEMA["properties"]["review"]["maxLength"] = given.review
    model, tokenizer = loaded.model, loaded.tokenizer
    tokenizer.padding_side = "left"
    subjects = OTHERS if given.tune else SUBJECTS[given.skip :][: given.prompts]
    reward = Whole(judge, tokenizer)
    torch.manual_seed(0)
    work = Work(model)
    texts, lengths, steps = [], [], 0
    begin = time.process_time()
    for at in range(0, len(subjects), given.batch):
        turns = [[{"role": "user", "content": prompt.format(each)}] for each in subjects[at : at + given.batch]]
        inputs = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        ).to(model.device)
        out = model.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=given.tokens,
                             num_return_sequences=draws,
                             logits_processor=_processor(loaded, method, schema, reward, given))  # fmt: skip
        out = out[:, inputs["input_ids"].shape[1] :].cpu()
        steps += out.shape[1]
        written = [_upto(row, model.generation_config.eos_token_id) for row in out]
        lengths += map(len, written)
        texts += reward.texts(torch.empty(0), written)
    seconds = time.process_time() - begin
    if schema is not None:
        from jsonschema import validate

        for text in texts:
            validate(json.loads(text.removesuffix("<|im_end|>")), schema)
    return {
        "rewards": np.array(judge(texts)).reshape(-1, draws).tolist(),
        "cpu_seconds": seconds,
        "passes": work.stop() / steps,
        "tokens": work.tokens / sum(lengths),
        "texts": texts[::draws],
    }


def _processor(loaded: Any, method: str, schema: dict[str, Any] | None, reward: Whole, given: Any) -> Any:
    model, tokenizer = loaded.model, loaded.tokenizer
    processor: Any = []
    if schema is not None:
        processor = guided.json(
            schema, tokenizer=tokenizer, model=model, max_new_tokens=given.tokens, whitespace="compact"
        )
    steer: dict[str, Any] = {"top_k": given.top_k}
    if method == "args":
        ends = [model.generation_config.eos_token_id]
        return processor + guided.args(reward, tokenizer=tokenizer, weight=1 / given.alpha, eos_ids=ends, **steer)
    if method == "transfer_q":
        steer |= {"alpha": given.alpha, "max_rollout": given.max_rollout, "rollouts": given.rollouts}
        steer["rollout_weight"] = given.rollout_weight
        if given.indirect is not None:
            steer |= {"baseline_reward": lambda texts: [0.0] * len(texts), "beta": given.indirect}
        return processor + guided.transfer_q(policy=model, reward=reward, tokenizer=tokenizer, **steer)
    return processor


class Work:
    """Counts a model's forward calls, and the tokens in them other than prompts."""

    def __init__(self, model: Any) -> None:
        self.passes = self.tokens = 0
        self._handle = model.register_forward_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, args: Any, kwargs: Any, out: Any) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        self.passes += 1
        self.tokens += ids.shape[0] * (1 if ids.shape[1] > 8 else ids.shape[1])

    def stop(self) -> int:
        self._handle.remove()
        return self.passes


def _upto(row: torch.Tensor, end: int) -> torch.Tensor:
    """The row up to its first end, which stays."""
    places = (row == end).nonzero()
    return row if not len(places) else row[: int(places[0]) + 1]


def best_of(rewards: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """[prompts, draws] -> [prompts]: the largest of n rewards, in the mean over all choices of n among the draws."""
    draws = rewards.shape[1]
    odds = [math.comb(place, n - 1) / math.comb(draws, n) for place in range(draws)]  # that the largest stands there
    return np.sort(rewards, axis=1) @ np.array(odds)


def report(record: dict[str, Any]) -> None:
    print("| task | method | mean reward (95%) | best of, by passes | best of, by tokens | Transfer Q* ahead of each |")
    print("|---|---|---|---|---|---|")
    for task in TASKS:
        own = record.get(f"{task}/transfer_q")
        for method in ("plain", "args", "transfer_q"):
            if (found := record.get(f"{task}/{method}")) is None:
                continue
            rewards = np.array(found["rewards"])
            if method == "transfer_q" or own is None:
                cells = [
                    shown(rewards.mean(1), 2),
                    f"{found['passes']:.1f} passes",
                    f"{found['tokens']:.1f} tokens",
                    "",
                ]
            else:
                counts = [1, round(own["passes"]), round(own["tokens"])]
                counts = [n for n in counts if n <= rewards.shape[1]]  # few --draws: not all can be told
                each = [best_of(rewards, n) for n in counts]
                cells = [shown(each[0], 2), *(f"{n}: {shown(r, 2)}" for n, r in zip(counts[1:], each[1:], strict=True))]
                cells += [""] * (3 - len(cells))
                gaps = [interval(np.array(own["rewards"]).mean(1) - r) for r in each]
                cells.append("; ".join(f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]" for mean, low, high in gaps))
            print(f"| {task} | {method} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
