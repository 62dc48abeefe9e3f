"""Layer 5: searching for better hyperparameters, confirmed on fresh seeds.

================== =================================================================================
``tune``           a whole study: open, search, confirm, report; start reading here
``space``          what is searched: parameters, default spaces, checks against the algorithm
``search``         the search loop, its trials under way, samplers and pruners
``confirm``        the best trials and the starting config on fresh seeds
``study``          the study on disk: its folder and Optuna's storage
``report``         the results as data, pictures, HTML, and in TensorBoard
``objective``      the score of a run and of a trial
``trial_runs``     configs and seeds of the runs of a study, and how they ended
``study_reporter`` what a search reports to the command line or a notebook
================== =================================================================================
"""
