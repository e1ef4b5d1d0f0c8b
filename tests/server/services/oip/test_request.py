import pytest

from tests.server.services.oip.calls import asking
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.services.oip.request import RequestedOutput, check_request_parameters, requested_outputs

Parameter = pb.InferParameter


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("sequence_id", Parameter(int64_param=0)),
        ("sequence_id", Parameter(string_param="")),
        ("sequence_start", Parameter(bool_param=True)),
        ("priority", Parameter(uint64_param=2**63)),
        ("priority", Parameter(int64_param=0)),
        ("timeout", Parameter(int64_param=5)),
        ("triton_enable_empty_final_response", Parameter(bool_param=True)),
        ("binary_data_output", Parameter(bool_param=True)),
        ("colour", Parameter(double_param=0.5)),
    ],
)
def test_what_changes_no_answer_is_let_pass(name: str, parameter: pb.InferParameter) -> None:
    """Clients of Triton send these; so may callers with keys of their own."""
    check_request_parameters(pb.ModelInferRequest(parameters={name: parameter}).parameters)


@pytest.mark.parametrize(
    ("name", "parameter", "says"),
    [
        ("sequence_id", Parameter(int64_param=7), "expected no sequence, got sequence_id 7: models keep no state"),
        ("sequence_id", Parameter(string_param="a"), "expected no sequence, got sequence_id 'a'"),
        ("sequence_id", Parameter(bool_param=False), "expected int64_param or string_param for parameter"),
        ("sequence_end", Parameter(int64_param=1), "expected bool_param for parameter 'sequence_end', got int64_param"),
        ("priority", Parameter(int64_param=-1), "expected a priority of 0 or more, got -1"),
        ("priority", Parameter(string_param="high"), "expected uint64_param or int64_param for parameter 'priority'"),
        ("timeout", Parameter(), "expected int64_param for parameter 'timeout', got no value"),
        ("triton_enable_empty_final_response", Parameter(int64_param=1), "expected bool_param"),
        ("triton_final_response", Parameter(bool_param=True), "parameter 'triton_final_response' is not supported"),
    ],
)
def test_what_would_change_the_answer_or_is_of_another_type_is_refused(
    name: str, parameter: pb.InferParameter, says: str
) -> None:
    """Ignoring it would answer something else than was asked."""
    with pytest.raises(InvalidRequest) as failure:
        check_request_parameters(pb.ModelInferRequest(parameters={name: parameter}).parameters)

    assert says in str(failure.value)


def test_outputs_come_as_asked_for() -> None:
    """In the caller's order, each with its own number of classes; all with their values where none is named."""
    outputs = [asking("logits", classification=Parameter(int64_param=2)), asking("probabilities")]

    assert list(requested_outputs(pb.ModelInferRequest(outputs=outputs))) == [
        RequestedOutput("logits", 2),
        RequestedOutput("probabilities"),
    ]
    assert list(requested_outputs(pb.ModelInferRequest())) == [
        RequestedOutput("probabilities"),
        RequestedOutput("logits"),
    ]


@pytest.mark.parametrize(
    ("parameter", "got"),
    [
        (Parameter(int64_param=0), "0"),
        (Parameter(int64_param=-3), "-3"),
        (Parameter(uint64_param=3), "3"),
        (Parameter(string_param="3"), "'3'"),
        (Parameter(), "'no value'"),
    ],
)
def test_a_number_of_classes_is_an_integer_above_0(parameter: pb.InferParameter, got: str) -> None:
    """Another type or value is told what was expected and what came."""
    request = pb.ModelInferRequest(outputs=[asking("logits", classification=parameter)])

    with pytest.raises(InvalidRequest) as failure:
        requested_outputs(request)

    assert str(failure.value) == f"expected an int64_param above 0 for parameter 'classification', got {got}"
