"""`tf.distribute` strategies by name."""

from __future__ import annotations

import tensorflow as tf

from tfrec.errors import DescriptionError

__all__ = ["is_chief", "make_strategy", "wait_for_all"]


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run directory: the first of several workers, or the only."""
    resolver = strategy.cluster_resolver
    if resolver is None or not getattr(resolver, "task_type", None):
        return True
    chief = "chief" in resolver.cluster_spec().as_dict()
    return bool(resolver.task_type == ("chief" if chief else "worker") and not resolver.task_id)


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Makes a strategy.

    Args:
        name: `one` device; `mirrored` over this machine's devices; `multiworker` over the workers
            in TF_CONFIG; `tpu`, the one that this machine is attached to.

    Returns:
        The strategy.

    Raises:
        DescriptionError: There is no such hardware here, or the name is unknown.
    """
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy(
            [d.name for d in tf.config.list_logical_devices(kind)]
        )
    if name == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (ValueError, tf.errors.OpError) as error:
            raise DescriptionError(
                "--strategy tpu",
                "a TPU must be attached",
                received=str(error).splitlines()[0],
                remedy="Run on a TPU VM with tensorflow-tpu installed",
            ) from error
        return tf.distribute.TPUStrategy(resolver)
    raise DescriptionError(
        "--strategy",
        "the strategy must be known",
        received=name,
        remedy="Known: one, mirrored, multiworker, tpu",
    )


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every worker has called it; at once where there is one."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    @tf.function
    def meet() -> tf.Tensor:
        one = strategy.run(lambda: tf.ones([]))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, one, axis=None)

    meet().numpy()
