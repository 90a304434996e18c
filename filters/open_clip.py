"""Any image-text model of open_clip: published weights by their tag, or a checkpoint of one's own."""

from typing import Any

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from filters._matcher import Matcher


@model(version=1, files=("weights", "config"))
def open_clip(*, name: str, weights: str | None = None, config: str | None = None, random_seed: int | None = None) -> Made:
    """Freeze open_clip's model `name` (Ilharco et al., OpenCLIP, doi 10.5281/zenodo.5143773; Radford et al., arXiv 2103.00020).

    `weights` is a tag that open_clip knows for the architecture, downloaded from its hub and kept in open_clip's cache, or a checkpoint
    file (.pt, .pth, .bin read as weights only, or .safetensors). `config` is a JSON file like open_clip's own, for an architecture that it
    does not ship; `name` is then yours to choose. `random_seed`, instead of weights, gives an untrained model, for tests.
    The card holds the preprocessing that belongs to the weights. Raises RecipeError for what is unknown or does not fit together, and
    CeterisError if a tag cannot be downloaded.
    """
    import torch

    from filters._open_clip import started
    from filters._torch import steady

    if (weights is None) == (random_seed is None):
        raise RecipeError(
            "open_clip needs either weights or a random_seed", where=name, fix="add `weights:` with a tag or a checkpoint file"
        )
    with steady(), torch.random.fork_rng(devices=[]):
        made, described, source, licence = started(name, config, weights, random_seed or 0)
    state = {key: tensor.detach().cpu().numpy() for key, tensor in made.state_dict().items()}
    card = {"architecture": described, "source": source, "parameters": sum(p.numel() for p in made.parameters()), "licence": licence}
    return Made(state, card)


@open_clip.loader
def load(weights: Weights, card: dict[str, Any]) -> Matcher:
    """The frozen model with its own preprocessing and tokeniser; a Hugging Face tokeniser must be in its cache, or within reach."""
    from filters._open_clip import matcher, thawed

    made = thawed(card["architecture"], weights).eval().requires_grad_(False)
    return matcher(made, card["architecture"])
