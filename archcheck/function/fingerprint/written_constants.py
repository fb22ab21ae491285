"""Constants that a network writes to in train mode, which are state: a centre, a codebook's counts."""

from __future__ import annotations

from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.forward_pass import PassRunner
from archcheck.function.fingerprint.preparation import NetworkFactory, PreparedNetwork, prepare_for_filling
from archcheck.function.fingerprint.storages import storage_key
from archcheck.network.isolation import raised_recursion_limit


def prepare_network(build: NetworkFactory, config: FingerprintConfig) -> PreparedNetwork:
    """Build a network to be filled, and know which of its constants are state.

    Where only train mode can tell, a second one is built for a pass in it.

    Raises:
        NotMeasured: it has weights that can't be filled.
    """
    network = prepare_for_filling(build, config)
    if network.may_be_state and config.train:
        network.written = _written_in_train_mode(prepare_for_filling(build, config), config)
    return network


def _written_in_train_mode(network: PreparedNetwork, config: FingerprintConfig) -> frozenset[str]:
    """Return the names of the constants that a pass in train mode writes to, or puts other tensors in the place of."""
    runner = PassRunner(network, config)
    before = {name: (one, storage_key(one)) for name, one in {**network.params, **network.buffers()}.items()}
    with runner.watcher.watching(network.modules), raised_recursion_limit(network.modules):
        runner.forward(training=True)
    now = {**network.params, **network.buffers()}
    return frozenset(
        name
        for name in network.may_be_state
        if runner.state.num_writes(before[name][0]) or storage_key(now.get(name, before[name][0])) != before[name][1]
    )
