"""What is to be served: values and rules. Knows no process, no transport and no loaded model."""
