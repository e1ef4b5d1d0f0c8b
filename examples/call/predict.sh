#!/bin/sh
# A prediction with curl: sh examples/call/predict.sh localhost:8081 pets cat.jpg
exec curl --silent --show-error --fail-with-body --max-time 30 --data-binary "@$3" "http://$1/v1/models/$2:predict?top_k=1"
