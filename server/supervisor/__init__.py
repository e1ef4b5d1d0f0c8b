"""The process that looks after the workers and the models folder. Loads no model and answers no call."""
