from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_LIVE: _ClassVar[Role]

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_SINGLE_LABEL: _ClassVar[Task]
    TASK_MULTI_LABEL: _ClassVar[Task]

class CalibrationMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALIBRATION_METHOD_UNSPECIFIED: _ClassVar[CalibrationMethod]
    CALIBRATION_METHOD_SPLIT: _ClassVar[CalibrationMethod]
    CALIBRATION_METHOD_CROSS: _ClassVar[CalibrationMethod]

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_VERIFYING: _ClassVar[State]
    STATE_LOADING: _ClassVar[State]
    STATE_SERVING: _ClassVar[State]
    STATE_REFUSED: _ClassVar[State]
ROLE_UNSPECIFIED: Role
ROLE_LIVE: Role
TASK_UNSPECIFIED: Task
TASK_SINGLE_LABEL: Task
TASK_MULTI_LABEL: Task
CALIBRATION_METHOD_UNSPECIFIED: CalibrationMethod
CALIBRATION_METHOD_SPLIT: CalibrationMethod
CALIBRATION_METHOD_CROSS: CalibrationMethod
STATE_UNSPECIFIED: State
STATE_VERIFYING: State
STATE_LOADING: State
STATE_SERVING: State
STATE_REFUSED: State

class PredictRequest(_message.Message):
    __slots__ = ("model", "version", "raw", "encoded", "top_k", "coverage")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    raw: RawImages
    encoded: EncodedImages
    top_k: int
    coverage: float
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., raw: _Optional[_Union[RawImages, _Mapping]] = ..., encoded: _Optional[_Union[EncodedImages, _Mapping]] = ..., top_k: _Optional[int] = ..., coverage: _Optional[float] = ...) -> None: ...

class RawImages(_message.Message):
    __slots__ = ("pixels", "shape")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    pixels: bytes
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, pixels: _Optional[bytes] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class EncodedImages(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, files: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("model", "version", "top_k", "labels", "probabilities", "set_sizes", "set_labels")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    SET_SIZES_FIELD_NUMBER: _ClassVar[int]
    SET_LABELS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    top_k: int
    labels: _containers.RepeatedScalarFieldContainer[str]
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    set_sizes: _containers.RepeatedScalarFieldContainer[int]
    set_labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., top_k: _Optional[int] = ..., labels: _Optional[_Iterable[str]] = ..., probabilities: _Optional[_Iterable[float]] = ..., set_sizes: _Optional[_Iterable[int]] = ..., set_labels: _Optional[_Iterable[str]] = ...) -> None: ...

class PredictStreamRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: PredictRequest
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[PredictRequest, _Mapping]] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("id", "response", "failure")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    response: PredictResponse
    failure: Failure
    def __init__(self, id: _Optional[str] = ..., response: _Optional[_Union[PredictResponse, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "state", "versions", "refusals", "verifying")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    VERIFYING_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: State
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    verifying: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., verifying: _Optional[_Iterable[int]] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "role", "digest", "task", "labels", "input_shape", "decoding", "thresholds", "claim", "served", "baseline", "calibration", "caveats", "plan", "recount", "backbone", "balanced")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    INPUT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    DECODING_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    CAVEATS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    RECOUNT_FIELD_NUMBER: _ClassVar[int]
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    BALANCED_FIELD_NUMBER: _ClassVar[int]
    version: int
    role: Role
    digest: str
    task: Task
    labels: _containers.RepeatedScalarFieldContainer[str]
    input_shape: _containers.RepeatedScalarFieldContainer[int]
    decoding: Decoding
    thresholds: _containers.RepeatedScalarFieldContainer[float]
    claim: Accuracy
    served: Accuracy
    baseline: Accuracy
    calibration: Calibration
    caveats: _containers.RepeatedCompositeFieldContainer[Caveat]
    plan: RunPlan
    recount: Recount
    backbone: Backbone
    balanced: Balanced
    def __init__(self, version: _Optional[int] = ..., role: _Optional[_Union[Role, str]] = ..., digest: _Optional[str] = ..., task: _Optional[_Union[Task, str]] = ..., labels: _Optional[_Iterable[str]] = ..., input_shape: _Optional[_Iterable[int]] = ..., decoding: _Optional[_Union[Decoding, _Mapping]] = ..., thresholds: _Optional[_Iterable[float]] = ..., claim: _Optional[_Union[Accuracy, _Mapping]] = ..., served: _Optional[_Union[Accuracy, _Mapping]] = ..., baseline: _Optional[_Union[Accuracy, _Mapping]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., caveats: _Optional[_Iterable[_Union[Caveat, _Mapping]]] = ..., plan: _Optional[_Union[RunPlan, _Mapping]] = ..., recount: _Optional[_Union[Recount, _Mapping]] = ..., backbone: _Optional[_Union[Backbone, _Mapping]] = ..., balanced: _Optional[_Union[Balanced, _Mapping]] = ...) -> None: ...

class Balanced(_message.Message):
    __slots__ = ("accuracy", "low", "high", "classes")
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    accuracy: float
    low: float
    high: float
    classes: int
    def __init__(self, accuracy: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., classes: _Optional[int] = ...) -> None: ...

class Backbone(_message.Message):
    __slots__ = ("name", "licence", "source", "weights_sha256", "fine_tuned")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_SHA256_FIELD_NUMBER: _ClassVar[int]
    FINE_TUNED_FIELD_NUMBER: _ClassVar[int]
    name: str
    licence: str
    source: str
    weights_sha256: str
    fine_tuned: bool
    def __init__(self, name: _Optional[str] = ..., licence: _Optional[str] = ..., source: _Optional[str] = ..., weights_sha256: _Optional[str] = ..., fine_tuned: _Optional[bool] = ...) -> None: ...

class Recount(_message.Message):
    __slots__ = ("differing", "moved", "allowed", "first")
    DIFFERING_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    differing: int
    moved: int
    allowed: int
    first: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, differing: _Optional[int] = ..., moved: _Optional[int] = ..., allowed: _Optional[int] = ..., first: _Optional[_Iterable[int]] = ...) -> None: ...

class RunPlan(_message.Message):
    __slots__ = ("threads", "inline_images", "at_once")
    THREADS_FIELD_NUMBER: _ClassVar[int]
    INLINE_IMAGES_FIELD_NUMBER: _ClassVar[int]
    AT_ONCE_FIELD_NUMBER: _ClassVar[int]
    threads: int
    inline_images: int
    at_once: int
    def __init__(self, threads: _Optional[int] = ..., inline_images: _Optional[int] = ..., at_once: _Optional[int] = ...) -> None: ...

class Caveat(_message.Message):
    __slots__ = ("kind", "text")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    text: str
    def __init__(self, kind: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Decoding(_message.Message):
    __slots__ = ("rules", "bits", "ground", "fit")
    RULES_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    GROUND_FIELD_NUMBER: _ClassVar[int]
    FIT_FIELD_NUMBER: _ClassVar[int]
    rules: int
    bits: int
    ground: str
    fit: str
    def __init__(self, rules: _Optional[int] = ..., bits: _Optional[int] = ..., ground: _Optional[str] = ..., fit: _Optional[str] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("temperature", "error_before", "error_after", "coverages", "error_interval", "method", "judged", "folds", "withheld")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    ERROR_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ERROR_AFTER_FIELD_NUMBER: _ClassVar[int]
    COVERAGES_FIELD_NUMBER: _ClassVar[int]
    ERROR_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    FOLDS_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    error_before: float
    error_after: float
    coverages: _containers.RepeatedCompositeFieldContainer[Coverage]
    error_interval: Interval
    method: CalibrationMethod
    judged: int
    folds: int
    withheld: _containers.RepeatedCompositeFieldContainer[WithheldCoverage]
    def __init__(self, temperature: _Optional[float] = ..., error_before: _Optional[float] = ..., error_after: _Optional[float] = ..., coverages: _Optional[_Iterable[_Union[Coverage, _Mapping]]] = ..., error_interval: _Optional[_Union[Interval, _Mapping]] = ..., method: _Optional[_Union[CalibrationMethod, str]] = ..., judged: _Optional[int] = ..., folds: _Optional[int] = ..., withheld: _Optional[_Iterable[_Union[WithheldCoverage, _Mapping]]] = ...) -> None: ...

class WithheldCoverage(_message.Message):
    __slots__ = ("coverage", "needed", "judged", "smallest")
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_FIELD_NUMBER: _ClassVar[int]
    coverage: float
    needed: int
    judged: int
    smallest: str
    def __init__(self, coverage: _Optional[float] = ..., needed: _Optional[int] = ..., judged: _Optional[int] = ..., smallest: _Optional[str] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class Coverage(_message.Message):
    __slots__ = ("promised", "threshold", "covered", "total", "mean_size", "by_class")
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    COVERED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MEAN_SIZE_FIELD_NUMBER: _ClassVar[int]
    BY_CLASS_FIELD_NUMBER: _ClassVar[int]
    promised: float
    threshold: float
    covered: int
    total: int
    mean_size: float
    by_class: CoverageByClass
    def __init__(self, promised: _Optional[float] = ..., threshold: _Optional[float] = ..., covered: _Optional[int] = ..., total: _Optional[int] = ..., mean_size: _Optional[float] = ..., by_class: _Optional[_Union[CoverageByClass, _Mapping]] = ...) -> None: ...

class CoverageByClass(_message.Message):
    __slots__ = ("thresholds", "judged", "covered", "total")
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    COVERED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    thresholds: _containers.RepeatedScalarFieldContainer[float]
    judged: _containers.RepeatedScalarFieldContainer[int]
    covered: _containers.RepeatedScalarFieldContainer[int]
    total: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, thresholds: _Optional[_Iterable[float]] = ..., judged: _Optional[_Iterable[int]] = ..., covered: _Optional[_Iterable[int]] = ..., total: _Optional[_Iterable[int]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("version", "reason", "held_back")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    version: int
    reason: str
    held_back: bool
    def __init__(self, version: _Optional[int] = ..., reason: _Optional[str] = ..., held_back: _Optional[bool] = ...) -> None: ...

class Accuracy(_message.Message):
    __slots__ = ("correct", "total", "accuracy", "low", "high")
    CORRECT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    correct: int
    total: int
    accuracy: float
    low: float
    high: float
    def __init__(self, correct: _Optional[int] = ..., total: _Optional[int] = ..., accuracy: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class EvaluateRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class EvaluateResponse(_message.Message):
    __slots__ = ("model", "version", "claim", "served", "recount")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    RECOUNT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    claim: Accuracy
    served: Accuracy
    recount: Recount
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., claim: _Optional[_Union[Accuracy, _Mapping]] = ..., served: _Optional[_Union[Accuracy, _Mapping]] = ..., recount: _Optional[_Union[Recount, _Mapping]] = ...) -> None: ...
