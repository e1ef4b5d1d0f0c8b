"""`--track`: logs a training in MLflow or TensorBoard, by their own libraries. Nothing here is loaded without it."""
