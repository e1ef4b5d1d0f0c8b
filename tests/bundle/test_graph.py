from collections.abc import Callable
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import vouch.bundle.graph
from tests.support.tiny import tiny_graph
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.graph import KINDS, check_graph

MESSAGES: dict[str, Any] = {
    "model": onnx.ModelProto,
    "graph": onnx.GraphProto,
    "node": onnx.NodeProto,
    "attribute": onnx.AttributeProto,
    "tensor": onnx.TensorProto,
    "sparse tensor": onnx.SparseTensorProto,
    "function": onnx.FunctionProto,
    "operator set": onnx.OperatorSetIdProto,
    "training": onnx.TrainingInfoProto,
}


def tiny() -> onnx.ModelProto:
    return onnx.load_from_string(tiny_graph())


def part(kind: type[Any], **fields: object) -> Any:
    return kind(**fields)


def holding(node: onnx.NodeProto) -> dict[str, onnx.ModelProto]:
    """Models that have this node in each place where a node can be."""
    graph = onnx.GraphProto(node=[node])
    attribute = onnx.AttributeProto(name="body", g=graph)
    models = {name: tiny() for name in ("graph", "branch", "branches", "function", "default", "training", "deep")}
    models["graph"].graph.node.append(node)
    models["branch"].graph.node[0].attribute.append(attribute)
    models["branches"].graph.node[0].attribute.append(onnx.AttributeProto(name="bodies", graphs=[tiny().graph, graph]))
    models["function"].functions.append(onnx.FunctionProto(name="f", node=[node]))
    models["default"].functions.append(onnx.FunctionProto(name="f", attribute_proto=[attribute]))
    models["training"].training_info.append(onnx.TrainingInfoProto(algorithm=graph))
    inner = onnx.NodeProto(op_type="If", attribute=[attribute])
    models["deep"].graph.node.append(
        onnx.NodeProto(op_type="If", attribute=[onnx.AttributeProto(g=onnx.GraphProto(node=[inner]))])
    )
    return models


NODES = list(holding(onnx.NodeProto()))


def test_all_fields_that_can_hold_operators_or_data_are_looked_at() -> None:
    """As onnx itself describes them: one that is new there is not missed here."""
    names = {kind.DESCRIPTOR.name: name for name, kind in MESSAGES.items()}
    for name, kind in MESSAGES.items():
        fields = kind.DESCRIPTOR.fields
        parts = {one.number: names.get(one.message_type.name, "") for one in fields if one.message_type is not None}
        domains = {one.number for one in fields if one.name == "domain" and name != "model"}

        assert {number: part for number, part in parts.items() if part} == KINDS[name].parts
        assert domains == set(KINDS[name].domains)


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml"])
@pytest.mark.parametrize("place", NODES)
def test_operators_of_the_standard_pass(place: str, domain: str) -> None:
    """Wherever they are."""
    check_graph(holding(helper.make_node("Scaler", [], [], domain=domain))[place].SerializeToString())


@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.training", "AI.ONNX", "ai.onnx ", "x" * 500])
@pytest.mark.parametrize("place", NODES)
def test_operators_of_another_domain_are_refused(place: str, domain: str) -> None:
    """Wherever they are, unless they are allowed by name."""
    model = holding(helper.make_node("Gelu", [], [], domain=domain))[place].SerializeToString()

    with pytest.raises(InvalidBundle, match="operators of the domain '" + domain[:100]):
        check_graph(model, ["another"])
    check_graph(model, ["another", domain])


@pytest.mark.parametrize(
    "declare",
    [
        lambda model: model.opset_import.append(helper.make_opsetid("custom", 1)),
        lambda model: model.functions.append(onnx.FunctionProto(domain="custom")),
        lambda model: model.functions.append(onnx.FunctionProto(opset_import=[helper.make_opsetid("custom", 1)])),
    ],
)
def test_a_domain_that_is_only_declared_is_refused(declare: Callable[[onnx.ModelProto], None]) -> None:
    """By the model or a function of its own, used or not."""
    model = tiny()
    declare(model)

    with pytest.raises(InvalidBundle, match="operators of the domain 'custom'"):
        check_graph(model.SerializeToString())


def outside(how: str) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(numpy_helper.to_array(tiny().graph.initializer[0]), "outside")
    if how == "location":
        tensor.data_location = TensorProto.EXTERNAL
    else:
        tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


@pytest.mark.parametrize("how", ["location", "file"])
@pytest.mark.parametrize("place", NODES)
@pytest.mark.parametrize("field", ["t", "tensors", "sparse_tensor", "sparse_tensors"])
def test_data_outside_the_file_is_refused_in_attributes(place: str, field: str, how: str) -> None:
    """Of a node, wherever the node is."""
    tensor = outside(how)
    sparse = onnx.SparseTensorProto(values=tensor)
    value = {"t": tensor, "tensors": [tensor], "sparse_tensor": sparse, "sparse_tensors": [sparse]}[field]
    node = onnx.NodeProto(op_type="Constant", attribute=[part(onnx.AttributeProto, name="value", **{field: value})])

    with pytest.raises(InvalidBundle, match="data outside the file"):
        check_graph(holding(node)[place].SerializeToString())


@pytest.mark.parametrize("how", ["location", "file"])
@pytest.mark.parametrize("sparse", ["", "values", "indices"])
def test_data_outside_the_file_is_refused_in_weights(sparse: str, how: str) -> None:
    """Sparse ones too."""
    model, tensor = tiny(), outside(how)
    if sparse:
        model.graph.sparse_initializer.append(part(onnx.SparseTensorProto, **{sparse: tensor}))
    else:
        model.graph.initializer.append(tensor)

    with pytest.raises(InvalidBundle, match="data outside the file"):
        check_graph(model.SerializeToString())


def test_what_protobuf_would_merge_is_looked_at_as_well() -> None:
    """A graph in two pieces is one to protobuf, and the last of two domains is the one that counts."""
    second = onnx.ModelProto(graph=onnx.GraphProto(node=[helper.make_node("Gelu", [], [], domain="com.microsoft")]))
    two = onnx.NodeProto(domain="custom").SerializeToString() + onnx.NodeProto(domain="").SerializeToString()

    with pytest.raises(InvalidBundle, match=r"com\.microsoft"):
        check_graph(tiny_graph() + second.SerializeToString())
    with pytest.raises(InvalidBundle, match="custom"):
        check_graph(b"\x3a" + bytes([len(two) + 2]) + b"\x0a" + bytes([len(two)]) + two)


def test_a_number_of_more_bits_is_not_taken_for_another() -> None:
    """Protobuf keeps 32 bits of 2^32 + 1, which is EXTERNAL."""
    tensor = b"\x70\x81\x80\x80\x80\x10"  # field 14
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    model = b"\x3a" + bytes([len(graph)]) + graph
    assert onnx.load_from_string(model).graph.initializer[0].data_location == TensorProto.EXTERNAL

    with pytest.raises(InvalidBundle, match="data outside the file"):
        check_graph(model)


@pytest.mark.parametrize(
    "content",
    [b"\x00", b"\x07", b"hello", b"\x0b\x0c", tiny_graph()[:-1], b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x07", b"\x08"],
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    """Cut off, of unknown wire types, or too long."""
    with pytest.raises(InvalidBundle, match="is not an ONNX file"):
        check_graph(content)


def test_many_parts_and_deep_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they take long."""
    monkeypatch.setattr(vouch.bundle.graph, "MAX_FIELDS", 1000)
    deep = b""
    for number in [0x32, 0x2A, 0x0A] * 40:  # g of an attribute of a node of a graph
        length = bytes([len(deep) & 0x7F | 0x80, len(deep) >> 7])
        deep = bytes([number]) + length + deep
    model = b"\x3a" + bytes([len(deep) & 0x7F | 0x80, len(deep) >> 7]) + deep

    with pytest.raises(InvalidBundle, match="parts"):
        check_graph(b"\x08\x01" * 1001)
    with pytest.raises(InvalidBundle, match="nested ones"):
        check_graph(model)


@given(st.data())
def test_no_damage_is_more_than_a_refusal(data: st.DataObject) -> None:
    """Whatever bytes are changed."""
    content = bytearray(tiny_graph())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        check_graph(bytes(content))
    except InvalidBundle:
        return
