"""Trained policies as files for other programs: a network as ONNX, a table as JSON.

``network``
    what a policy computes, from raw observations to actions, as one torch module.
``onnx_file``
    writes that module as ONNX and compares its answers with the agent's.
``table_file``
    writes a table as JSON.
``readme``
    describes inputs, outputs and origin beside them; ``folder`` writes it all.

No file is pickled, and none needs rl_runner to be read.
"""
