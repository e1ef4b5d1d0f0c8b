"""Logs a training as a run of MLflow: parameters, metrics, and the bundle as an artifact."""

import os
from collections.abc import Mapping

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow  # reads the variable as it is loaded

from vouch.bundle.opening import Bundle
from vouch.trainer.tracking.log import Ended, Parameter


class MlflowLog:
    """A `Log` in the experiment that MLflow's environment variables name."""

    def __init__(self, place: str, name: str) -> None:
        """
        Args:
            place: a tracking URI or a folder; empty for the one in MLflow's environment variables.
            name: of the run.
        """
        if place:
            mlflow.set_tracking_uri(place)
        mlflow.start_run(run_name=name)

    def parameters(self, values: Mapping[str, Parameter]) -> None:
        mlflow.log_params(dict(values))

    def figures(self, values: Mapping[str, float], epoch: int) -> None:
        mlflow.log_metrics(dict(values), step=epoch)

    def published(self, bundle: Bundle, claim: Mapping[str, float]) -> None:
        mlflow.log_metrics(dict(claim))
        manifest = bundle.manifest
        mlflow.set_tags(
            {
                "vouch.bundle": f"{manifest.name}/{manifest.version}",
                "vouch.digest": bundle.digest,
                "vouch.data_digest": manifest.training.data_digest,
            }
        )
        mlflow.log_artifacts(str(bundle.path), "bundle")

    def close(self, ended: Ended) -> None:
        mlflow.end_run(ended)
