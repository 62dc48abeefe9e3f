"""What a study found: summary, pictures, HTML, TensorBoard."""
