"""The operations of ONNX in JAX, one file a family. Version differences are told in each function."""
