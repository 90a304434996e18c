# ruff: noqa: T201  a benchmark prints
"""Text tasks beside lm-evaluation-harness: `python -m benchmarks.ask_text [--questions 200] [--rounds 3]`, with the extra `harness`.

One small Llama with random weights, on one thread, is asked the same questions (letters after two solved ones, and endings) and documents
by this project and by the harness's own model class, turn by turn in one process; both start from files on disk. Printed are processor
seconds, the ratio of medians over rounds, and both sides' numbers, which must be equal.
"""

import argparse
import json
import logging
import random
import statistics
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks._machine import machine
from eval_fixed_model.harness import plain
from eval_fixed_model.tasks._language_model import from_folder
from eval_fixed_model.tasks.local_tasks import read_tasks
from eval_fixed_model.tasks.metrics import main_metric, measures
from eval_fixed_model.tasks.text_scoring import ask_items

OURS = {
    "letters": {"kind": "multiple_choice", "file": "questions.jsonl", "style": "letters", "examples": "dev.jsonl", "shots": 2},
    "endings": {"kind": "multiple_choice", "file": "questions.jsonl"},
    "pages": {"kind": "likelihood", "file": "pages.jsonl", "fields": {"text": "text"}},
}
LETTERS = "{{question.strip()}}\n" + "\n".join(f"{letter}. {{{{choices[{place}]}}}}" for place, letter in enumerate("ABCD")) + "\nAnswer:"
CHOICE: dict[str, Any] = {"output_type": "multiple_choice", "doc_to_target": "answer", "metric_list": [{"metric": "acc"}]}
SHOTS = {"fewshot_split": "dev", "num_fewshot": 2, "fewshot_config": {"sampler": "first_n"}}
THEIRS: dict[str, dict[str, Any]] = {
    "letters": {**CHOICE, **SHOTS, "doc_to_text": LETTERS, "doc_to_choice": list("ABCD")},
    "endings": {**CHOICE, "doc_to_text": "{{question}}", "doc_to_choice": "choices"},
    "pages": {
        "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    },
}  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, given.questions)
        rounds = [(_timed(_ours, folder), _timed(_theirs, folder)) for _ in range(given.rounds + 1)][1:]  # the first warms up
    print(json.dumps(machine()))
    ours, theirs = (statistics.median(one[side][0] for one in rounds) for side in (0, 1))
    each = [one[1][0] / one[0][0] for one in rounds]
    print(f"processor seconds: ours {ours:.2f}, the harness {theirs:.2f}; {statistics.median(each):.2f} times as fast", end=" ")
    print(f"(rounds {min(each):.2f} to {max(each):.2f})")
    print("ours:       ", rounds[0][0][1])
    print("the harness:", rounds[0][1][1])


def _timed(ask: Callable[[Path], dict[str, float]], folder: Path) -> tuple[float, dict[str, float]]:
    began = time.process_time()
    found = ask(folder)
    return time.process_time() - began, found


def _ours(folder: Path) -> dict[str, float]:
    model, found = from_folder(folder / "llama"), {}
    for name, (task, items) in read_tasks(folder / "tasks.yaml").items():
        record = task.record(items)
        value = measures(ask_items(model, items, record), record)[main_metric(record)]
        found[name] = value / (100 if task.kind == "multiple_choice" else 1)
    return found


def _theirs(folder: Path) -> dict[str, float]:
    model = HFLM(pretrained=str(folder / "llama"), device="cpu", batch_size=16, dtype="float32")
    tasks = [str(folder / f"{name}.yaml") for name in THEIRS]
    found: Any = lm_eval.simple_evaluate(
        model, tasks=tasks, task_manager=TaskManager(include_defaults=False), bootstrap_iters=0, log_samples=False
    )
    return {name: next(iter(plain(values).values())) for name, values in found["results"].items()}


def _write(folder: Path, count: int) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 8))) for _ in range(2000)]

    def said(least: int, most: int) -> str:
        return " ".join(rng.choices(words, k=rng.randint(least, most)))

    questions = [{"question": said(8, 40), "choices": [said(1, 12) for _ in range(4)], "answer": rng.randrange(4)} for _ in range(count)]
    lines = {"questions": questions, "dev": questions[:2], "pages": [{"text": said(50, 800)} for _ in range(count // 10)]}
    for name, rows in lines.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "tasks.yaml").write_text(json.dumps(OURS), encoding="utf-8")
    for name, task in THEIRS.items():
        files = {"test": str(folder / ("pages.jsonl" if name == "pages" else "questions.jsonl")), "dev": str(folder / "dev.jsonl")}
        kwargs = {"data_files": files if name == "letters" else {"test": files["test"]}, "cache_dir": str(folder / "cache")}
        whole = {"task": name, "dataset_path": "json", "dataset_kwargs": kwargs, "test_split": "test", **task}
        (folder / f"{name}.yaml").write_text(json.dumps(whole), encoding="utf-8")
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces.train_from_iterator(
        words, trainers.BpeTrainer(vocab_size=2000, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False)
    )
    PreTrainedTokenizerFast(tokenizer_object=pieces, bos_token="<end>", eos_token="<end>").save_pretrained(folder / "llama")
    sizes = {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4}
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=2000, max_position_embeddings=512, initializer_range=0.1, bos_token_id=0, eos_token_id=0, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder / "llama")


if __name__ == "__main__":
    main()
