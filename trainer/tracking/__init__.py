"""`--track`: a training in MLflow or TensorBoard too, by their own libraries. Nothing here is loaded without it."""
