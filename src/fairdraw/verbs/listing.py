"""What there is: the models and presets that can be trained."""

from typing import Any

from fairdraw.command import Result


def models() -> Result:
    """List the models and presets that `fairdraw train` knows, and what each can do once it is trained."""
    from fairdraw.capabilities import Bounds, CodesLosslessly, Conditions, Denoises, Discriminates, Encodes, Generates
    from fairdraw.models import MODELS, model_class, model_name, model_of_config
    from fairdraw.presets import PRESETS

    abilities = {
        "generates": Generates,
        "takes classes": Conditions,
        "discriminates": Discriminates,
        "encodes": Encodes,
        "denoises": Denoises,
        "bounds the likelihood": Bounds,
        "codes losslessly": CodesLosslessly,
    }
    found: dict[str, Any] = {}
    for name, entry in MODELS.items():
        kind = model_class(name)
        can = [words for words, capability in abilities.items() if issubclass(kind, capability)]
        presets = [p for p, e in PRESETS.items() if model_name(model_of_config(e.model)) == name]
        found[name] = {"paper": entry.paper, "capabilities": can, "presets": presets}
    lines = [
        f"{n:12} {m['paper']}\n             {', '.join(m['capabilities'])}; presets: {', '.join(m['presets'])}"
        for n, m in found.items()
    ]
    return Result({"models": found}, lines)
