# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small weights files, good and bad, for the tests of checkpoints."""
import json

from eunet_ros.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.eunet import EUnet, Variant
import pytest
from safetensors import safe_open
from safetensors.torch import save as safetensors_save
import torch

torch.set_num_threads(1)  # of layers this small, threads only wait for each other
SMALL = Variant(width=4, stem=2, gate='sigmoid')


def small_checkpoint(**changes):
    """Return a checkpoint of few kilobytes, every field of it other than the default."""
    torch.manual_seed(2)
    network = EUnet(6, SMALL).eval()
    network.down1.block[0].running_mean.uniform_(-1, 1)
    fields = {'network': network, 'variant': 'eunet_s', 'classes': cone_classes(),
              'input_size': (64, 96), 'mean': (0.1, 0.2, 0.3), 'std': (0.4, 0.5, 0.6),
              'training': {'steps': 7, 'data': ['a', 'b']}, 'scores': {'set': {'iou': 0.5}}}
    return Checkpoint(**{**fields, **changes})


def contents(path):
    """Return the tensors and the metadata of a file."""
    with safe_open(path, 'pt') as file:
        tensors = {k: file.get_tensor(k) for k in file.keys()}
        return tensors, json.loads(file.metadata()['eunet_ros'])


def written(path, tensors, metadata):
    """Write a file whatever its content; returns its path."""
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    path.write_bytes(safetensors_save(tensors, {'eunet_ros': text}))
    return path


def refusal(path, *arguments):
    """Return the message of the refusal; every one is one sentence on one line."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, *arguments)
    message = str(caught.value)
    assert message.endswith('.')
    assert not message.endswith('..')
    assert '\n' not in message
    assert message[0].isupper()
    assert '. ' not in message.replace(str(path), '')
    return message


def failing(error):
    """Return a function that raises the error whatever it is called with."""
    def fail(*_, **__):
        raise error
    return fail
