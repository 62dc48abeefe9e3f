"""The results of a study as data, pictures, HTML, and in TensorBoard."""
