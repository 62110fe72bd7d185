"""SavedModels for the tests of serving: small, made here, with signatures like an export's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


def write_toy(base: Path, version: int = 1, *, factor: float = 1.0) -> Path:
    """`x` float [n], `k` int32 [n] -> `y` float [n] = x * k * factor, `id` string [n] = version."""

    class Toy(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(factor)

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.float32, "x"),
                tf.TensorSpec([None], tf.int32, "k"),
            ]
        )
        def score(self, x: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
            ids = tf.fill(tf.shape(x), f"v{version}")
            return {"y": x * tf.cast(k, tf.float32) * self.factor, "id": ids}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "title")])
        def shout(self, title: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"title_bytes": tf.strings.upper(title)}

    module = Toy()
    path = base / str(version)
    tf.saved_model.save(
        module,
        str(path),
        signatures={"serving_default": module.score, "shout": module.shout},
    )
    return path


def write_examples_model(base: Path, version: int = 1) -> Path:
    """Heads for Classify and Regress, over `tf.train.Example` records with a float `a`."""
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        records = tf.compat.v1.placeholder(tf.string, [None], "records")
        parsed = tf.io.parse_example(records, {"a": tf.io.FixedLenFeature([1], tf.float32)})
        value = parsed["a"] * 2.0
        classes = tf.tile(tf.constant([["low", "high"]]), [tf.shape(records)[0], 1])
        scores = tf.concat([1.0 - parsed["a"], parsed["a"]], axis=1)
        info = tf.compat.v1.saved_model.build_tensor_info
        build = tf.compat.v1.saved_model.build_signature_def
        regress = build(
            {"inputs": info(records)}, {"outputs": info(value)}, "tensorflow/serving/regress"
        )
        classify = build(
            {"inputs": info(records)},
            {"classes": info(classes), "scores": info(scores)},
            "tensorflow/serving/classify",
        )
        builder = tf.compat.v1.saved_model.Builder(str(base / str(version)))
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": regress, "classify": classify}
        )
        builder.save()
    return base / str(version)


def write_recommender(base: Path, version: int = 1, items: Sequence[str] = "abcdefgh") -> Path:
    """`recommend` of the export contract: item ids in order, minus history and exclude.

    The score of the i-th item is -i; ids beyond `k` are "" with the lowest float.
    """

    class Recommender(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "user_id"),
                tf.TensorSpec([None, None], tf.string, "history"),
                tf.TensorSpec([None, None], tf.string, "exclude"),
                tf.TensorSpec([None], tf.int32, "k"),
            ]
        )
        def recommend(
            self, user_id: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor, k: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            # As an export's guards do.
            with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(user_id != ""), [""])]):
                ids = tf.constant(list(items))
            gone = tf.concat([history, exclude], axis=1)
            seen = tf.reduce_any(gone[:, :, None] == ids[None, None, :], axis=1)
            scores = tf.where(seen, tf.float32.min, -tf.range(len(items), dtype=tf.float32))
            width = tf.reduce_max(k)
            best, index = tf.math.top_k(scores, tf.minimum(width, len(items)))
            shown = (tf.range(tf.shape(best)[1])[None, :] < k[:, None]) & (best > tf.float32.min)
            return {
                "item_ids": tf.where(shown, tf.gather(ids, index), ""),
                "scores": tf.where(shown, best, tf.float32.min),
            }

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "item_id"),
                tf.TensorSpec([None], tf.int32, "k"),
            ]
        )
        def similar_items(self, item_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
            empty = tf.fill([tf.shape(item_id)[0], 0], "")
            return self.recommend(item_id, item_id[:, None], empty, k)

    module = Recommender()
    signatures = {
        "serving_default": module.recommend,
        "recommend": module.recommend,
        "similar_items": module.similar_items,
    }
    tf.saved_model.save(module, str(base / str(version)), signatures=signatures)
    return base / str(version)


def write_warmup(version: Path, requests: Sequence[predict_pb2.PredictRequest]) -> None:
    """Adds warm-up requests to a version."""
    path = version / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def predict_request(
    model: str = "toy",
    *,
    signature: str = "",
    version: int | None = None,
    label: str = "",
    outputs: Sequence[str] = (),
    **inputs: object,
) -> predict_pb2.PredictRequest:
    """A request; inputs are arrays, lists of floats or strings, or ready `TensorProto`s."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    request.output_filter.extend(outputs)
    for name, value in inputs.items():
        proto = value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(proto)
    return request
