"""lm-evaluation-harness's own numbers beside ours, on the same files and networks. Needs the extra `harness`."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from curate.errors import CeterisError
from eval_fixed_model.models.decoders import build
from eval_fixed_model.scale import load_scale
from eval_fixed_model.tasks._language_model import Bytes, LanguageModel, from_folder
from eval_fixed_model.tasks.local_tasks import read_tasks
from eval_fixed_model.tasks.metrics import measures
from eval_fixed_model.tasks.text_scoring import ask_items
from tests.eval_fixed_model.llamas import small_llama

lm_eval = pytest.importorskip("lm_eval")
pytest.importorskip("accelerate")  # which it needs for models of transformers

from eval_fixed_model.harness import Harness, harness_scores, plain  # noqa: E402

SENTENCE = "the cat sat on a mat and that dog ate Größe 漢字 hats; so then naïve bats hid in the old barn with seven hens"
WORDS = SENTENCE.split(" ")
CHOICE = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/{file}.jsonl, dev: {folder}/dev.jsonl}}, cache_dir: {folder}/cache}}
test_split: test
output_type: multiple_choice
doc_to_target: answer
metric_list:
"""
ENDINGS = (
    CHOICE + '  [{{metric: acc}}, {{metric: acc_norm}}, {{metric: acc_bytes}}]\ndoc_to_text: "{{{{question}}}}"\ndoc_to_choice: choices\n'
)
LETTERS = (
    CHOICE
    + """  [{{metric: acc}}]
fewshot_split: dev
num_fewshot: 2
fewshot_config: {{sampler: first_n}}
doc_to_text: "{{{{question.strip()}}}}\\nA. {{{{choices[0]}}}}\\nB. {{{{choices[1]}}}}\\nC. {{{{choices[2]}}}}\\nAnswer:"
doc_to_choice: [A, B, C]
"""
)
PAGES = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/{file}.jsonl}}, cache_dir: {folder}/cache}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: bits_per_byte}}, {{metric: byte_perplexity}}]
"""
OURS = """
endings: {kind: multiple_choice, file: questions.jsonl}
ascii: {kind: multiple_choice, file: ascii.jsonl, likelihood: per byte}
per_byte: {kind: multiple_choice, file: questions.jsonl, likelihood: per byte}
letters: {kind: multiple_choice, file: questions.jsonl, style: letters, examples: dev.jsonl, shots: 2}
pages: {kind: likelihood, file: pages.jsonl, fields: {text: text}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions with choices of any length, the same in ASCII, solved ones, and pages longer than any network here reads at once."""
    made = tmp_path_factory.mktemp("tasks")

    def words(seed: int, many: int) -> str:
        return " ".join(WORDS[(seed * 7 + 5 * place * place) % len(WORDS)] for place in range(many))

    rows = [
        {"question": words(n, 6), "choices": [words(n * 3 + choice, 1 + (n + 2 * choice) % 5) for choice in range(3)], "answer": n * 5 % 3}
        for n in range(30)
    ]
    files = {"questions": rows, "dev": rows[:2], "pages": [{"text": words(n, 20 * n + 4)} for n in range(5)]}
    files["ascii"] = [json.loads(json.dumps(row, ensure_ascii=False).encode("ascii", "ignore")) for row in rows]
    for name, lines in files.items():
        (made / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (made / "tasks.yaml").write_text(OURS, encoding="utf-8")
    for name, file, text in (
        ("endings", "questions", ENDINGS),
        ("ascii", "ascii", ENDINGS),
        ("letters", "questions", LETTERS),
        ("pages", "pages", PAGES),
    ):
        (made / f"{name}.yaml").write_text(text.format(name=name, file=file, folder=made), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def opening_llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_llama(tmp_path_factory.mktemp("llama"), opening=True)


def _ours(model: LanguageModel, folder: Path) -> dict[str, float]:
    """Each task's main metric."""
    found = {}
    for name, (task, items) in read_tasks(folder / "tasks.yaml").items():
        found[name] = next(iter(measures(ask_items(model, items, task.record(items)), task.record(items)).values()))
    return found


def _theirs(model: Any, folder: Path) -> dict[str, dict[str, float]]:
    """What the harness says of the same files, with this model of its own."""
    manager = lm_eval.tasks.TaskManager(include_defaults=False)
    tasks = [str(folder / f"{name}.yaml") for name in ("endings", "ascii", "letters", "pages")]
    found = lm_eval.simple_evaluate(model, tasks=tasks, task_manager=manager, bootstrap_iters=0, log_samples=False)
    return {task: plain(values) for task, values in found["results"].items()}


def _agree(ours: dict[str, float], theirs: dict[str, dict[str, float]]) -> None:
    assert ours["endings"] == pytest.approx(100 * theirs["endings"]["acc"])
    assert ours["ascii"] == pytest.approx(100 * theirs["ascii"]["acc_norm"])
    assert ours["per_byte"] == pytest.approx(100 * theirs["endings"]["acc_bytes"])
    assert ours["letters"] == pytest.approx(100 * theirs["letters"]["acc"])
    assert ours["pages"] == pytest.approx(theirs["pages"]["bits_per_byte"], rel=1e-6)
    assert 2 ** ours["pages"] == pytest.approx(theirs["pages"]["byte_perplexity"], rel=1e-5)


@pytest.fixture(scope="module")
def byte_model() -> LanguageModel:
    """The tiny scale's network with the weights of seed 0, a little moved so that it prefers something."""
    scale = load_scale("tiny-text")
    network = build(scale, 0).eval()
    for weights in network.parameters():
        weights.data.mul_(5)
    return LanguageModel(network, Bytes(), scale.tokens.context, scale.tokens.vocabulary)


def test_a_llama_scores_here_as_the_harness_scores_it(folder: Path, llama_folder: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(pretrained=str(llama_folder), device="cpu", batch_size=8, dtype="float32")
    _agree(_ours(from_folder(llama_folder), folder), _theirs(theirs, folder))


def test_log_probabilities_and_answers_are_the_harness_own(llama_folder: Path, opening_llama_folder: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    for folder in (llama_folder, opening_llama_folder):
        theirs = HFLM(pretrained=str(folder), device="cpu", batch_size=2, dtype="float32")
        ours = Harness(from_folder(folder))
        pairs = [("the cat", " sat"), ("on a ", "mat"), ("", "dogs"), ("hens and " * 40, "Größe of hats"), ("a\n", " b")]
        asked = [SimpleNamespace(args=pair) for pair in pairs]
        for (nats, greedy), (own, own_greedy) in zip(theirs.loglikelihood(asked), ours.loglikelihood(asked), strict=True):
            assert (own, own_greedy) == (pytest.approx(nats, abs=1e-4), greedy)
        said = [
            SimpleNamespace(args=(prompt, {"until": ["\n", "th"], "max_gen_toks": 12, "do_sample": False})) for prompt, _ in pairs if prompt
        ]
        assert ours.generate_until(said) == theirs.generate_until(said)


def test_bytes_score_here_as_the_harness_scores_them(folder: Path, byte_model: LanguageModel) -> None:
    _agree(_ours(byte_model, folder), _theirs(Harness(byte_model), folder))


def test_scores_are_by_task_and_metric(folder: Path, byte_model: LanguageModel) -> None:
    scores = harness_scores(byte_model, [folder / "endings.yaml"], limit=4)
    assert set(scores) == {"endings"}
    assert set(scores["endings"]) == {"acc", "acc_norm", "acc_bytes"}
    assert 0 <= scores["endings"]["acc"] <= 1


def test_unknown_tasks_are_refused(byte_model: LanguageModel) -> None:
    with pytest.raises(CeterisError, match="knows no task hellaswg"):
        harness_scores(byte_model, ["hellaswg"])


def test_nothing_is_sampled(byte_model: LanguageModel) -> None:
    with pytest.raises(CeterisError, match="samples its answers"):
        Harness(byte_model).generate_until([SimpleNamespace(args=("a", {"do_sample": True}))])
