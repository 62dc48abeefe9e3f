"""Layer 5: learning a policy from logs of interactions, and judging policies by logs.

``logs``
    ``log_schema`` has the columns of a log, ``sources`` finds files, ``log_files`` reads and writes
    them, ``row_checks`` checks rows, ``refusals`` counts bad ones. ``encoding`` turns rows into
    numbers, ``interactions`` is a whole log as arrays, ``windows`` splits it by time. ``imports``,
    ``exports`` and ``log_conversion`` know other formats; ``simulation`` makes logs.
``learning``
    ``log_experiment`` resolves a config, ``training`` learns into a run folder, ``trained_run``
    loads it, ``recommender`` asks it for actions. ``learners`` lists the algorithms:
    ``log_q_learning`` (with ``backoff`` and ``pending``) and ``reward_regression`` (with
    ``reward_features``).
``judging``
    ``judgement`` combines ``estimators``, ``sessions``, ``user_bootstrap`` (intervals) and
    ``support`` (refusals). ``named_policies`` finds policies, ``run_evaluation`` judges a run.

``domains``
    What contexts, actions and outcomes are, for services and for their logs.
``store``
    The store of a service as a log: ``tables``, ``database``, and the exporter in ``export``.

Training in an environment does not know this package.

The recommender's states, actions and outcomes enter in these modules only:
``domains.recommender``, ``logs.log_schema``, ``logs.encoding``, ``logs.exports``,
``logs.simulation``, ``learning.backoff``,
``learning.reward_features``, ``learning.recommender`` and ``judging.named_policies``.
"""
