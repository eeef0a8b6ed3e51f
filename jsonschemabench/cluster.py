"""The same work on a Ray cluster: each actor is a guarded crew of one worker on its machine.

The cluster's machines need this package, the engines, and tokenizer and data under the same names; results come back
to the file of the machine that asked, so resuming works as without a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from grammars.errors import GuidedError
from jsonschemabench.guard import Crew, Recipe, Record

__all__ = ["LOCAL", "RayCrew"]

LOCAL = "local"


class Member:
    """What an actor is: a crew whose worker stays between tasks."""

    def __init__(self, recipe: Recipe) -> None:
        self.crew = Crew(recipe, keep=True)

    def do(self, task: Any, names: Sequence[str]) -> list[list[Record]]:
        return list(self.crew.run([(task, names)]))

    def state(self) -> tuple[dict[str, Any], dict[str, str]]:
        return self.crew.facts, self.crew.missing


class RayCrew:
    """`jobs` actors on the cluster at `address` ("local": one started on this machine)."""

    def __init__(self, recipe: Recipe, jobs: int, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise GuidedError("--ray needs the package ray.\n  pip install ray") from error
        self._ray, self.recipe, self.jobs = ray, recipe, jobs
        if not ray.is_initialized():
            if address != LOCAL:
                ray.init(address=address, log_to_driver=False)
            else:
                ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
        self.facts: dict[str, Any] = {}
        self.missing: dict[str, str] = {}

    def run(self, tasks: Iterable[tuple[Any, Sequence[str]]]) -> Iterator[list[Record]]:
        """As `Crew.run`; at most one task waits for each actor."""
        member = self._ray.remote(num_cpus=1)(Member)
        idle = [member.remote(self.recipe) for _ in range(self.jobs)]
        actors = list(idle)
        at_work: dict[Any, Any] = {}
        source = iter(tasks)
        try:
            while True:
                while idle and (order := next(source, None)) is not None:
                    actor = idle.pop()
                    at_work[actor.do.remote(order[0], list(order[1]))] = actor
                if not at_work:
                    return
                [ready], _ = self._ray.wait(list(at_work), num_returns=1)
                idle.append(at_work.pop(ready))
                yield from self._ray.get(ready)
        finally:
            for facts, missing in self._ray.get([actor.state.remote() for actor in actors]):
                self.facts |= facts
                self.missing |= missing
            for actor in actors:
                self._ray.kill(actor)
