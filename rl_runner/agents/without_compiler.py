"""torch's optimisers without torch's compiler, which takes a second to import."""

import sys


def spare_compiler() -> None:
    """Keep the first optimiser that is built from importing ``torch._dynamo``, sympy and all.

    Some methods of torch's optimisers are exempt from compilation (``torch._disable_dynamo``), and
    their first call imports the compiler only to tell it so. Nothing is compiled with torch here,
    so each of them is entered as its own exempt form beforehand. Should a release of torch do this
    in another way, nothing changes but the second.
    """
    if "torch._dynamo" in sys.modules:  # somebody does compile
        return
    from torch.optim import Optimizer

    for method in vars(Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)
