"""Training of encoders: the model, batches, the loop, export to ONNX."""
