"""Networks from ONNX files: the graph becomes a JAX function over named arrays."""
