"""report.html: how this model learned, for readers who ask why a multiplication is a prediction, and how good it is.

recorder (during the fit) -> story, outcome (numbers) -> pictures, figures -> page (one HTML file, no network).
"""
