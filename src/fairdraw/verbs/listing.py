"""What there is: the models and presets that can be trained."""

from typing import Any

from fairdraw.command import Result


def models() -> Result:
    """List the models and presets that `fairdraw train` knows, and what each can do once it is trained."""
    from fairdraw import capabilities as can_be
    from fairdraw.models import MODELS, model_class, model_name, model_of_config
    from fairdraw.presets import PRESETS

    abilities = {
        "generates": can_be.Generates,
        "takes classes": can_be.Conditions,
        "discriminates": can_be.Discriminates,
        "encodes": can_be.Encodes,
        "denoises": can_be.Denoises,
        "bounds the likelihood": can_be.Bounds,
        "codes losslessly": can_be.CodesLosslessly,
        "translates": can_be.Translates,
        "upscales": can_be.Upscales,
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
