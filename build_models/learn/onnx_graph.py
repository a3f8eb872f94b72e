"""The ONNX form of trained models, written directly: a few operators, where exporters are packages of their own."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from build_models.learn.networks import Convolutional

# ai.onnx.ml 3 and opset 17 run on every onnxruntime that the package allows.
OPSETS = {"": 17, "ai.onnx.ml": 3}


def networks(
    nets: Sequence[torch.nn.Module], center: np.ndarray, scale: np.ndarray, largest: float, heads: Sequence[int]
) -> onnx.ModelProto:
    """Networks whose distributions are averaged, one beside the other for each head; inputs are scaled and clipped."""
    graph = _Graph()
    scaled = graph.add("Div", [graph.add("Sub", ["X", graph.constant(center)]), graph.constant(scale)])
    scaled = graph.add("Clip", [scaled, graph.constant(-largest), graph.constant(largest)])
    outputs = []
    for net in nets:
        if isinstance(net, Convolutional):
            split = net.channels * net.length
            shells = graph.columns(scaled, 0, split)
            shells = graph.add("Reshape", [shells, graph.constant([-1, net.channels, 1, net.length], np.int64)])
            shells = graph.add("Flatten", [graph.layers(net.conv, shells)], axis=1)
            rest = graph.columns(scaled, split, len(center))
            value = graph.layers(net.head, graph.add("Concat", [shells, rest], axis=1))
        else:
            value = graph.layers(net.children(), scaled)
        ends = [0, *np.cumsum(heads).tolist()]
        parts = [graph.columns(value, a, b) for a, b in pairwise(ends)]
        parts = [graph.add("Softmax", [part], axis=1) for part in parts]
        outputs.append(graph.add("Concat", parts, axis=1))
    graph.nodes.append(helper.make_node("Mean", outputs, ["probabilities"]))
    return _model(graph.nodes, graph.constants, len(center), sum(heads))


def trees(model: Any) -> onnx.ModelProto:
    """One TreeEnsembleClassifier, written directly: leaves carry class frequencies divided by the number of trees.

    Features are read as float32, and scikit-learn compares float32 features with float64 thresholds: a threshold is
    rounded down to the float32 below, which sends every float32 to the same side.
    """
    classes = model.classes_.astype(int)
    fitted = [estimator.tree_ for estimator in model.estimators_]
    attributes: dict[str, Any] = defaultdict(list)
    for i, tree in enumerate(fitted):
        n = tree.node_count
        split = tree.children_left >= 0
        below = tree.threshold.astype(np.float32)
        below = np.where(below > tree.threshold, np.nextafter(below, np.float32(-np.inf)), below)
        attributes["nodes_treeids"] += [i] * n
        attributes["nodes_nodeids"] += range(n)
        attributes["nodes_featureids"] += np.where(split, tree.feature, 0).tolist()
        attributes["nodes_values"] += np.where(split, below, 0).astype(float).tolist()
        attributes["nodes_modes"] += np.where(split, "BRANCH_LEQ", "LEAF").tolist()
        attributes["nodes_truenodeids"] += np.where(split, tree.children_left, 0).tolist()
        attributes["nodes_falsenodeids"] += np.where(split, tree.children_right, 0).tolist()
        share = tree.value[:, 0, :] / tree.value[:, 0, :].sum(1, keepdims=True) / len(fitted)
        at, which = np.nonzero((share > 0) & ~split[:, None])
        attributes["class_treeids"] += [i] * len(at)
        attributes["class_nodeids"] += at.tolist()
        attributes["class_ids"] += which.tolist()
        attributes["class_weights"] += share[at, which].astype(float).tolist()
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"], ["label", "probabilities"], domain="ai.onnx.ml", classlabels_int64s=classes.tolist(),
        post_transform="NONE", **attributes,
    )  # fmt: skip
    return _model([node], [], model.n_features_in_, len(classes))


class _Graph:
    """An ONNX graph as it grows."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.constants: list = []

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: Any, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        value = np.asarray(value.detach().numpy() if isinstance(value, torch.Tensor) else value, dtype=kind)
        half = value.ndim > 1 and np.array_equal(value, value.astype(np.float16))  # what was rounded ships so
        self.constants.append(numpy_helper.from_array(value.astype(np.float16) if half else value, name))
        return self.add("Cast", [name], to=TensorProto.FLOAT) if half else name

    def columns(self, value: str, start: int, end: int) -> str:
        return self.add("Slice", [value, *(self.constant([number], np.int64) for number in (start, end, 1))])

    def layers(self, layers: Iterable[torch.nn.Module], value: str) -> str:
        for layer in layers:
            if isinstance(layer, torch.nn.Linear):
                value = self.add("Gemm", [value, *map(self.constant, (layer.weight, layer.bias))], transB=1)
            elif isinstance(layer, torch.nn.Conv2d):
                pads, strides = [*layer.padding, *layer.padding], list(layer.stride)
                weights = map(self.constant, (layer.weight, layer.bias))
                value = self.add("Conv", [value, *weights], pads=pads, strides=strides)
            elif isinstance(layer, torch.nn.BatchNorm2d):
                numbers = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
                value = self.add("BatchNormalization", [value, *map(self.constant, numbers)], epsilon=layer.eps)
            elif isinstance(layer, torch.nn.ReLU):
                value = self.add("Relu", [value])
            elif not isinstance(layer, torch.nn.Dropout):
                raise TypeError(f"no ONNX form for {type(layer).__name__}")
        return value


def _model(nodes: list, constants: list, n_in: int, n_out: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, n_in])
    p = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, n_out])
    graph = helper.make_graph(nodes, "coordination number", [x], [p], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*item) for item in OPSETS.items()])
    model.ir_version = 8  # of opset 17: onnx itself would stamp its newest
    onnx.checker.check_model(model)
    return model
