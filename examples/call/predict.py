"""A prediction from Python: python examples/call/predict.py localhost:8081 pets cat.jpg"""

import sys

from vouch import Client

server, model, file = sys.argv[1:]
with Client(server) as client:
    answer = client.predict(file, model)[0]
print(f"{answer.label} {answer.probability:.3f}")
