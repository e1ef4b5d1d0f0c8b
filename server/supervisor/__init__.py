"""The process that manages the workers and watches the models folder. Loads no model and answers no call."""
