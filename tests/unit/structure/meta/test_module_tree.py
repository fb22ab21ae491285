"""The modules of a network, and what is counted of them."""

from __future__ import annotations

import pickle
from typing import Any

from torch import nn

from archcheck.structure.meta.module_tree import (
    ModuleDescriptions,
    all_modules,
    buffers_of,
    describe_module,
    module_records,
    named_buffers,
    named_network,
    named_params,
    parameters_of,
    set_training,
    uninitialized_modules,
)


def shared() -> Any:
    layer = nn.Linear(2, 3)
    return nn.ModuleDict({"a": layer, "b": nn.Sequential(layer, nn.BatchNorm1d(3))})


def test_names_are_those_of_named_modules() -> None:
    model = shared()
    network = named_network(model)
    assert network.modules == dict(model.named_modules())
    assert network.aliases == {"b.0": "a"}
    duplicates = dict(model.named_modules(remove_duplicate=False))
    assert network.modules.keys() | network.aliases.keys() == duplicates.keys()


def test_a_network_that_contains_itself_ends() -> None:
    model = nn.Sequential(nn.ReLU())
    model.add_module("self", model)
    assert list(named_network(model).modules) == ["", "0"]
    assert all_modules(model) == [model, model[0]]


def test_every_module_comes_once_and_before_those_inside() -> None:
    model = shared()
    assert all_modules(model) == list(model.modules())


def test_parameters_and_buffers_are_torchs() -> None:
    model = shared()
    model["tied"] = nn.Linear(2, 3, bias=False)
    model["tied"].weight = model["a"].weight
    modules = named_network(model).modules
    assert list(named_params(modules).items()) == list(model.named_parameters())
    assert list(named_buffers(modules).items()) == list(model.named_buffers())
    assert list(map(id, parameters_of(model))) == list(map(id, model.parameters()))
    assert list(map(id, buffers_of(model))) == list(map(id, model.buffers()))


class Frozen(nn.Dropout):
    """A layer that stays in eval mode."""

    def train(self, mode: bool = True) -> Any:
        return super().train(False)


def test_the_mode_is_set_by_the_networks_own_methods() -> None:
    model = nn.Sequential(nn.Dropout(), Frozen())
    set_training(model, True)
    assert [module.training for module in model.modules()] == [True, True, False]
    set_training(model, False)
    assert not any(module.training for module in model.modules())


def test_a_train_method_of_an_instance_is_one_too() -> None:
    """Encoders are kept frozen by `encoder.train = stay`."""
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    vars(model[1])["train"] = lambda mode=True: model[1]
    set_training(model, False)
    assert [module.training for module in model] == [False, True]


def test_the_mode_is_set_where_no_method_can_be_called() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    vars(model[1])["train"] = "data/train.csv"
    set_training(model, False)
    assert not any(module.training for module in all_modules(model))


class Unasked(nn.Dropout):
    @property
    def children(self) -> Any:
        raise ValueError


def test_the_mode_is_set_where_a_property_of_a_methods_name_raises() -> None:
    model = nn.Sequential(Unasked())
    set_training(model, False)
    assert not model[0].training


class Exported(nn.Dropout):
    """What torch.export returns has no modes."""

    def train(self, mode: bool = True) -> Any:
        raise NotImplementedError("Calling train() is not supported yet.")


def test_the_mode_is_set_where_a_part_has_none() -> None:
    model = nn.Sequential(Exported(), nn.Dropout())
    set_training(model, False)
    assert [module.training for module in model.modules()] == [False, False, False]


def test_counts_include_what_is_below_and_shared_tensors_once() -> None:
    model = shared()
    model["b"][1].weight.requires_grad_(False)
    records = module_records(named_network(model).modules)
    assert list(records) == ["", "a", "b", "b.1"]
    # a: 2 * 3 + 3; norm: 3 weights, frozen, and 3 biases; running means, variances, and the number of batches
    counts = {name: (one.num_params, one.num_trainable_params, one.num_buffers) for name, one in records.items()}
    assert counts == {"": (15, 12, 7), "a": (9, 9, 0), "b": (15, 12, 7), "b.1": (6, 3, 7)}
    assert records[""].num_frozen_params == 3
    assert (records[""].is_container, records["b"].is_container) == (True, False)
    assert (records["b"].has_children, records["a"].has_children) == (True, False)
    assert records["a"].qualified_type == "torch.nn.modules.linear.Linear"


def test_lazy_modules_have_no_shape_yet() -> None:
    modules = named_network(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))).modules
    assert list(uninitialized_modules(modules)) == ["1"]
    assert module_records(modules)["1"].num_params == 0


class Odd(nn.Module):
    def extra_repr(self) -> str:
        raise ValueError


def test_descriptions_are_one_line_and_made_when_asked_for() -> None:
    assert describe_module(nn.Conv2d(1, 6, 5)) == "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))"
    assert describe_module(Odd()) == "Odd()"
    descriptions = ModuleDescriptions({"": Odd(), "act": nn.ReLU()})
    assert dict(descriptions) == pickle.loads(pickle.dumps(descriptions)) == {"": "Odd()", "act": "ReLU()"}
    assert len(descriptions) == 2
