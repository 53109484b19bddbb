"""What a checkpoint's config.json says about its network, and the names of its weights.

Encoders of the BERT family only: any other network is refused in words. The network itself is
built in `genept.text.local.bert_graph`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from genept.text.embedders import UnusableModelError

Weights = Mapping[str, npt.NDArray[Any]]
Activation = Literal["gelu", "gelu_tanh", "relu"]

ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}

AFTER_PADDING: Final = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})
"""Networks whose first position is numbered after the padding token."""

KNOWN: Final = frozenset({"bert", "distilbert", *AFTER_PADDING})

OTHER_NETWORK: Final = (
    "it can be used through an OpenAI-compatible server that runs it: declare the server in a file "
    "that GENEPT_EMBEDDERS names (docs/embedders.md)"
)

_RENAMED: Final = {
    "mpnet": (
        (r"\.attention\.attn\.q\.", ".attention.self.query."),
        (r"\.attention\.attn\.k\.", ".attention.self.key."),
        (r"\.attention\.attn\.v\.", ".attention.self.value."),
        (r"\.attention\.attn\.o\.", ".attention.output.dense."),
        (r"\.attention\.LayerNorm\.", ".attention.output.LayerNorm."),
    ),
    "distilbert": (
        (r"^transformer\.layer\.", "encoder.layer."),
        (r"\.attention\.q_lin\.", ".attention.self.query."),
        (r"\.attention\.k_lin\.", ".attention.self.key."),
        (r"\.attention\.v_lin\.", ".attention.self.value."),
        (r"\.attention\.out_lin\.", ".attention.output.dense."),
        (r"\.sa_layer_norm\.", ".attention.output.LayerNorm."),
        (r"\.ffn\.lin1\.", ".intermediate.dense."),
        (r"\.ffn\.lin2\.", ".output.dense."),
        (r"\.output_layer_norm\.", ".output.LayerNorm."),
    ),
}
"""Names of weights in these networks, and in BERT's checkpoints."""


@dataclass(frozen=True)
class Architecture:
    """What the shapes of the weights do not tell about an encoder; the defaults are MiniLM's.

    Parameters
    ----------
    network
        As config.json calls it.
    heads
        Attention heads.
    epsilon
        Added to variances in layer normalisation.
    activation
        Between the two linear layers of a block.
    first_position
        Row of the position table that the first token has.
    buckets
        Distances that relative attention tells apart; None: attention is not relative.
    positions
        Rows of the position table; None: not stated. It is no part of what vectors depend on.
    """

    network: str = "bert"
    heads: int = 12
    epsilon: float = 1e-12
    activation: Activation = "gelu"
    first_position: int = 0
    buckets: int | None = None
    positions: int | None = field(default=None, compare=False)

    @property
    def differences(self) -> str:
        """What differs from the defaults, for the identity of an embedder; empty: nothing."""
        return "".join(
            f":{each.name}={getattr(self, each.name)}"
            for each in fields(self)
            if each.compare and getattr(self, each.name) != each.default
        )

    def refuse_longer(self, max_tokens: int | None, positions: int | None, id_: str) -> None:
        """Refuse a model that is to read more tokens than it has positions."""
        if positions is not None and (max_tokens or 0) > (n := positions - self.first_position):
            raise UnusableModelError(
                f"{id_} reads {n} tokens, and max_tokens = {max_tokens} is declared"
            )


def read_architecture(content: bytes, where: str) -> Architecture:
    """Read config.json.

    Parameters
    ----------
    content
        The file's content.
    where
        Its name, for messages.

    Returns
    -------
    Architecture
        Of an encoder that can be run here.

    Raises
    ------
    UnusableModelError
        It is not such a file, or of another network.
    """
    config = read_json(content, where)
    network = config.get("model_type")
    if network not in KNOWN:
        raise UnusableModelError(
            f"{where}: a network of type {network!r} is not run here, only {sorted(KNOWN)}; "
            f"{OTHER_NETWORK}"
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        kind = config["position_embedding_type"]
        raise UnusableModelError(f"{where}: positions of type {kind!r} are not run here")
    if config.get("is_decoder") or config.get("auto_map"):
        raise UnusableModelError(
            f"{where}: the model is a decoder, or has code of its own; {OTHER_NETWORK}"
        )
    try:
        distil = network == "distilbert"
        activation = str(config.get("activation" if distil else "hidden_act", "gelu"))
        if activation not in ACTIVATIONS:
            known = sorted(ACTIVATIONS)
            raise UnusableModelError(f"{where}: activation {activation!r} is none of {known}")
        padding = int(config.get("pad_token_id", 1))
        return Architecture(
            network=network,
            heads=int(config["n_heads" if distil else "num_attention_heads"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            activation=ACTIVATIONS[activation],
            first_position=padding + 1 if network in AFTER_PADDING else 0,
            buckets=int(config.get("relative_attention_num_buckets", 32))
            if network == "mpnet"
            else None,
            positions=config.get("max_position_embeddings"),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UnusableModelError):
            raise
        raise UnusableModelError(f"{where}: is no configuration of an encoder: {error!r}") from None


def read_json(content: bytes, where: str) -> dict[str, Any]:
    """Read a JSON file that holds an object; `UnusableModelError` if it is another file."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnusableModelError(f"{where}: is no JSON file: {error}") from None
    if not isinstance(parsed, dict):
        raise UnusableModelError(f"{where}: expected an object, found {type(parsed).__name__}")
    return parsed


def named_as_in_bert(weights: Weights, network: str) -> Weights:
    """Weights under the names that BERT's own checkpoints use.

    A common prefix (``bert.``, ``roberta.``) is dropped; ``gamma`` and ``beta`` of older
    checkpoints become ``weight`` and ``bias``.
    """
    words = "embeddings.word_embeddings.weight"
    matching = [name for name in weights if name.endswith(words)]
    prefix = matching[0].removesuffix(words) if len(matching) == 1 else ""
    renamed: dict[str, npt.NDArray[np.float32]] = {}
    for name, values in weights.items():
        if not name.startswith(prefix):
            continue
        new = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name[len(prefix) :]))
        for pattern, replacement in _RENAMED.get(network, ()):
            new = re.sub(pattern, replacement, new)
        renamed[new] = values
    return renamed
