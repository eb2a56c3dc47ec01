"""ONNX files, and the networks that are read from them."""
