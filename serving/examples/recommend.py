"""Asks a TensorFlow Serving, stock or embedded, for recommendations from Python.

python recommend.py 127.0.0.1:8500 songs "user 42" 10
"""

from __future__ import annotations

import sys

from serving.client import CallOptions, Client

if __name__ == "__main__":
    target, model, user, k = sys.argv[1:5]
    with Client(target, model=model, call=CallOptions(timeout=5)) as client:
        answer = client.recommend(user, int(k))
    for rank, (item, score) in enumerate(zip(answer.item_ids, answer.scores, strict=True), 1):
        print(rank, item, score, sep="\t")
