"""Layer 6: a trained policy as a service that decides, stores outcomes and swaps its versions.

``config``
    one YAML file; ``keys`` has the API keys.
``models``
    ``artifacts`` makes and verifies immutable versions, ``registry`` names them by aliases.
    ``protocol`` says what a service asks of a model; ``recommender`` and ``agents`` answer it.
``store``
    ``setup`` creates the tables, ``writer`` commits decisions and outcomes in groups, ``audit``
    says who changed what.
``portable``
    policies as files for other programs: ONNX and JSON.
``service``
    decides and reports; ``environment_domain`` is the domain of services with ``env``.
``api``
    HTTP: one file per resource, with ``messages`` for both ends; ``boundary`` is the one place that
    catches errors. ``server`` starts and stops it all; ``client`` is the other end.

FastAPI is imported in ``api`` and ``server`` only, and comes with ``pip install rl-runner[serve]``.
What a store's log is, for learning from it, is in :mod:`rl_runner.offline.store`.
"""
