"""lm-evaluation-harness asks our networks: its tasks, prompts and metrics, our log-probabilities. Needs the extra `harness`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from curate.errors import CeterisError
from eval_fixed_model.tasks._language_model import LanguageModel, Scored

_MOST_TOKENS = 256


class Harness(LM):  # type: ignore[misc]
    """A network as the harness calls one. What `LanguageModel` says of prompts, windows and cuts holds; nothing is sampled."""

    def __init__(self, model: LanguageModel) -> None:
        """Around one network."""
        super().__init__()
        self._model = model

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Of (context, continuation) each: the continuation's log-probability in nats, and whether the likeliest tokens are it."""
        return [(_sum(one), one.greedy) for one in self._model.continuations([request.args for request in requests])]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Of (text,) each: the log-probability in nats of all its tokens."""
        return [_sum(one) for one in self._model.texts([request.args[0] for request in requests])]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Of (context, settings) each: what the likeliest tokens say, up to one of `until`, `max_gen_toks` at most (256).

        Raises CeterisError for settings that would sample.
        """
        return [self._generate(*request.args) for request in requests]

    def _generate(self, context: str, settings: Mapping[str, Any]) -> str:
        if settings.get("do_sample") or settings.get("num_beams", 1) != 1:
            raise CeterisError("this task samples its answers", where="lm-evaluation-harness", fix="set do_sample: false for the task")
        stops = settings.get("until") or []
        most = settings.get("max_gen_toks", settings.get("max_new_tokens", _MOST_TOKENS))
        return self._model.greedy(context, int(most), [stops] if isinstance(stops, str) else list(stops)).text


def harness_scores(
    model: LanguageModel, tasks: Sequence[str | Path], shots: int | None = None, limit: int | None = None
) -> dict[str, dict[str, float]]:
    """Task -> metric -> value, as the harness gives them (shares, not points; its standard errors are left out: they are of items, not of
    trainings).

    `tasks`: names that it knows, whose data it downloads where they are not there yet, or paths of its YAML files, such as one whose
    `dataset_path` is json and whose `data_files` are local. `shots` and `limit`: as its num_fewshot and limit. Raises CeterisError for
    names that it does not know.
    """
    files = [str(task) for task in tasks if Path(task).suffix in (".yaml", ".yml")]
    manager = TaskManager(include_defaults=len(files) < len(tasks))
    unknown = sorted({str(task) for task in tasks} - set(files) - set(manager.all_tasks))
    if unknown:
        raise CeterisError(f"the harness knows no task {', '.join(unknown)}", fix="see `lm-eval ls tasks`, or name a YAML file")
    found: Any = lm_eval.simple_evaluate(
        Harness(model),
        tasks=[str(task) for task in tasks],
        task_manager=manager,
        num_fewshot=shots,
        limit=limit,
        bootstrap_iters=0,
        log_samples=False,
    )
    return {task: plain(values) for task, values in found["results"].items()}


def plain(values: Mapping[str, Any]) -> dict[str, float]:
    """Metric -> value of one task's results: names without the filter where it is `none`."""
    named = {name.removesuffix(",none"): value for name, value in values.items() if "_stderr" not in name}
    return {name: float(value) for name, value in named.items() if isinstance(value, int | float) and name != "sample_len"}


def _sum(scored: Scored) -> float:
    return float(scored.nats.sum(dtype=np.float64))
