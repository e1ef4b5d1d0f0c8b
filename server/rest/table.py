"""All REST paths: the method of each, its request, and its documentation."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from vouch.protos.inference import inference_pb2 as oip
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rest.content import JSON
from vouch.server.rest.headers import HEADER_LENGTH
from vouch.server.rest.infer import InferReader
from vouch.server.rest.infer_schemas import INFER_ANSWER, INFER_REQUEST
from vouch.server.rest.messages import reference
from vouch.server.rest.predict import read_predict
from vouch.server.rest.predict_schemas import PREDICT_ANSWER, PREDICT_BODY, PREDICT_QUERY
from vouch.server.rest.route import Documented, Read, Route
from vouch.server.rest.simple import asking, part, whole, yes_or_no

CLASSIFIER, INFERENCE = "/vouch.v1.Classifier/", "/inference.GRPCInferenceService/"
MODEL, VERSION = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
LINES = "application/x-ndjson"


def _as_message(summary: str, answer: type[Message]) -> Documented:
    return Documented(summary, {JSON: reference(answer)})


def _for_people() -> list[Route]:
    """/v1: the Classifier."""
    get = asking(pb.GetModelRequest, pb.GetModelResponse, whole, model="model")
    evaluate = asking(pb.EvaluateRequest, pb.EvaluateResponse, whole, model="model")
    predicted = Documented(
        "Labels and probabilities for image files", {JSON: PREDICT_ANSWER}, PREDICT_BODY, PREDICT_QUERY
    )
    counted = Documented(
        "Recounts the claim now: one line of JSON after each batch",
        {LINES: reference(pb.EvaluateResponse)},
    )
    return [
        Route(
            "GET",
            "/v1/models",
            CLASSIFIER + "ListModels",
            asking(pb.ListModelsRequest, pb.ListModelsResponse, whole),
            _as_message("All models of the models folder, by name", pb.ListModelsResponse),
        ),
        Route(
            "GET",
            "/v1/models/{model}",
            CLASSIFIER + "GetModel",
            get,
            _as_message("One model: its versions, claim and served accuracy", pb.GetModelResponse),
        ),
        Route("POST", "/v1/models/{model}:predict", CLASSIFIER + "Predict", read_predict, predicted),
        Route("POST", "/v1/models/{model}:evaluate", CLASSIFIER + "Evaluate", evaluate, counted),
    ]


def _of_server() -> list[Route]:
    """/v2: paths of Open Inference and Triton's extensions about the server."""
    live = yes_or_no("live", "the server is not live")
    ready = yes_or_no("ready", "the server is not ready")
    load = asking(oip.RepositoryModelLoadRequest, oip.RepositoryModelLoadResponse, whole, model_name="model")
    unload = asking(oip.RepositoryModelUnloadRequest, oip.RepositoryModelUnloadResponse, whole, model_name="model")
    metadata = asking(oip.ServerMetadataRequest, oip.ServerMetadataResponse, whole)
    index = asking(oip.RepositoryIndexRequest, oip.RepositoryIndexResponse, part("models"))
    models = {"type": "array", "items": reference(oip.RepositoryIndexResponse.ModelIndex)}
    refused = Documented("Refused: the models folder decides what is served", {JSON: {}}, answered=())
    return [
        _oip("GET", "/v2", "ServerMetadata", metadata, "Name, version and extensions of the server"),
        _check("/v2/health/live", "ServerLive", asking(oip.ServerLiveRequest, oip.ServerLiveResponse, live), "live"),
        _check(
            "/v2/health/ready", "ServerReady", asking(oip.ServerReadyRequest, oip.ServerReadyResponse, ready), "ready"
        ),
        Route(
            "POST",
            "/v2/repository/index",
            INFERENCE + "RepositoryIndex",
            index,
            Documented("All versions, with their states", {JSON: models}),
        ),
        Route("POST", "/v2/repository/models/{model}/load", INFERENCE + "RepositoryModelLoad", load, refused),
        Route("POST", "/v2/repository/models/{model}/unload", INFERENCE + "RepositoryModelUnload", unload, refused),
    ]


def _of_models() -> list[Route]:
    """/v2: their paths about a model, for the live version or a named one."""
    named = {"name": "model", "version": "version"}
    ready = asking(
        oip.ModelReadyRequest, oip.ModelReadyResponse, yes_or_no("ready", "the model is not served"), **named
    )
    metadata = asking(oip.ModelMetadataRequest, oip.ModelMetadataResponse, whole, **named)
    config = asking(oip.ModelConfigRequest, oip.ModelConfigResponse, part("config"), **named)
    counts = asking(oip.ModelStatisticsRequest, oip.ModelStatisticsResponse, whole, **named)
    infer = Documented(
        "Probabilities and logits, or the highest classes",
        *(INFER_ANSWER, INFER_REQUEST),
        headers=(HEADER_LENGTH,),
        headers_of_answer=(HEADER_LENGTH,),
    )
    configured = Documented(
        "The model's configuration, as Triton's clients read it", {JSON: reference(oip.ModelConfig)}
    )
    read = InferReader()
    found = [_oip("GET", "/v2/models/stats", "ModelStatistics", counts, "Request counts of all models")]
    for path in (MODEL, VERSION):
        found += [
            _oip("GET", path, "ModelMetadata", metadata, "Tensors, labels, claim and served accuracy"),
            _check(path + "/ready", "ModelReady", ready, "ready"),
            Route("GET", path + "/config", INFERENCE + "ModelConfig", config, configured),
            _oip("GET", path + "/stats", "ModelStatistics", counts, "Request counts since the version was loaded"),
            Route("POST", path + "/infer", INFERENCE + "ModelInfer", read, infer),
        ]
    return found


def _oip(verb: str, path: str, rpc: str, read: Read, summary: str) -> Route:
    return Route(verb, path, INFERENCE + rpc, read, _as_message(summary, getattr(oip, rpc + "Response")))


def _check(path: str, rpc: str, read: Read, field: str) -> Route:
    answer: Mapping[str, Any] = {JSON: {"type": "object", "properties": {field: {"type": "boolean"}}}}
    return Route("GET", path, INFERENCE + rpc, read, Documented(f"200 if {field}, else 503", answer))


def rest_routes() -> list[Route]:
    """All routes, in the order of the document."""
    return [*_for_people(), *_of_server(), *_of_models()]
