# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network against its table, written out here a second time and independently."""
from eunet_ros.model.blocks import (
    ConvBlock,
    Depthwise,
    Downblock,
    LayerNorm2d,
    LKA,
    LSKA,
    make_norm,
    SeparableConv2d,
    Upblock,
    UpConv2d,
)
from eunet_ros.model.eunet import build_model, EUnet, get_variant, Variant, VARIANTS
import pytest
import torch
from torch import nn
import torch.nn.functional as F

torch.set_num_threads(1)  # of layers this small, threads only wait for each other


# The table: a row is (kind, in, out, kernel, stride, padding, dilation, groups, bias).

def conv(cin, cout, kernel=1, padding=0, dilation=1, groups=1, bias=False):
    return ('conv', cin, cout, kernel, 1, padding, dilation, groups, bias)


def separable_rows(cin, cout):
    return [conv(cin, cin, 3, 1, groups=cin, bias=True), conv(cin, cout)]


def norm(c):
    return ('norm', c, c, None, None, None, None, None, True)


def block_rows(c):
    return [norm(c), *separable_rows(c, c), norm(c), *separable_rows(c, c), norm(c)]


def attention_rows(c):
    return [conv(c, c, 5, 2, groups=c, bias=True), conv(c, c, 7, 9, 3, c, True), conv(c, c)]


def down_rows(cin, cout):
    return [conv(4 * cin, cout), *block_rows(cout), *attention_rows(cout)]


def up_rows(cin, cout):
    return [*block_rows(cin), *attention_rows(cin), ('up', cin, cout, 2, 2, 0, 1, 1, True)]


def table(classes):
    return [*separable_rows(3, 64),
            *down_rows(64, 128), *down_rows(128, 256), *down_rows(256, 512),
            *up_rows(512, 256), *up_rows(512, 128), *up_rows(256, 64),
            conv(128, classes, bias=True)]


KINDS = {nn.Conv2d: 'conv', Depthwise: 'conv', UpConv2d: 'up',
         nn.BatchNorm2d: 'norm'}


def row_of(layer):
    kind = KINDS[type(layer)]
    if kind == 'norm':
        assert layer.affine and layer.track_running_stats and layer.eps == 1e-5
        return norm(layer.num_features)
    both_ways = [layer.kernel_size, layer.stride, layer.padding, layer.dilation]
    assert all(a == b for a, b in both_ways)
    return (kind, layer.in_channels, layer.out_channels, *(a for a, _ in both_ways),
            layer.groups, layer.bias is not None)


def randomised(network):
    """Return the network in eval mode with statistics and biases that matter."""
    torch.manual_seed(3)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture(scope='module')
def eunet():
    return randomised(build_model('eunet', 1))


def test_parameter_count(eunet):
    assert sum(p.numel() for p in eunet.parameters()) == 4_564_511


@pytest.mark.parametrize('classes', [1, 6])
def test_layers_in_call_order(classes):
    network, called = build_model('eunet', classes).eval(), []
    for layer in network.modules():
        if type(layer) in KINDS:
            layer.register_forward_hook(lambda layer, *_: called.append(layer))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 8, 8))
    assert len(called) == len(set(called)) == 69
    assert [row_of(layer) for layer in called] == table(classes)
    parameters = {p for layer in called for p in layer.parameters()}
    assert parameters == set(network.parameters())  # nothing learnt outside those layers


def test_shapes_of_stages(eunet):
    shapes = {}
    for name, child in eunet.named_children():
        child.register_forward_hook(
            lambda _, x, y, name=name: shapes.update({name: (*x[0].shape, *y.shape)}))
    with torch.inference_mode():
        eunet(torch.zeros(2, 3, 16, 24))
    assert shapes == {
        'stem': (2, 3, 16, 24, 2, 64, 16, 24),
        'down1': (2, 64, 16, 24, 2, 128, 8, 12),
        'down2': (2, 128, 8, 12, 2, 256, 4, 6),
        'down3': (2, 256, 4, 6, 2, 512, 2, 3),
        'up3': (2, 512, 2, 3, 2, 256, 4, 6),
        'up2': (2, 512, 4, 6, 2, 128, 8, 12),
        'up1': (2, 256, 8, 12, 2, 64, 16, 24),
        'head': (2, 128, 16, 24, 2, 1, 16, 24),
    }


class Plain:
    """The table as plain functions of a state_dict, with the published gate."""

    def __init__(self, state):
        self.s = state

    def conv(self, x, name, **options):
        return F.conv2d(x, self.s[f'{name}.weight'], self.s.get(f'{name}.bias'), **options)

    def separable(self, x, name):
        x = self.conv(x, f'{name}.depthwise', padding=1, groups=x.shape[1])
        return self.conv(x, f'{name}.pointwise')

    def norm_act(self, x, name):
        mean, var = self.s[f'{name}.running_mean'], self.s[f'{name}.running_var']
        scale = self.s[f'{name}.weight'] / (var + 1e-5).sqrt()
        x = (x - mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + self.s[f'{name}.bias'].view(
            -1, 1, 1)
        return x * (x + 3).clamp(0, 6) / 6  # Hardswish by its definition

    def block(self, x, name):
        x = self.separable(self.norm_act(x, f'{name}.0'), f'{name}.2')
        x = self.separable(self.norm_act(x, f'{name}.3'), f'{name}.5')
        return self.norm_act(x, f'{name}.6')

    def attention(self, x, name):
        c = x.shape[1]
        a = self.conv(x, f'{name}.depthwise', padding=2, groups=c)
        a = self.conv(a, f'{name}.dilated', padding=9, dilation=3, groups=c)
        return x * self.conv(a, f'{name}.pointwise')

    def down(self, x, name):
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
        x = self.conv(x.reshape(n, 4 * c, h // 2, w // 2), f'{name}.conv')
        return self.attention(self.block(x, f'{name}.block'), f'{name}.attention')

    def up(self, x, name):
        x = self.attention(self.block(x, f'{name}.block'), f'{name}.attention')
        return F.conv_transpose2d(x, self.s[f'{name}.up.weight'], self.s[f'{name}.up.bias'],
                                  stride=2)

    def __call__(self, x):
        x0 = self.separable(x, 'stem')
        x1 = self.down(x0, 'down1')
        x2 = self.down(x1, 'down2')
        x = self.up(self.down(x2, 'down3'), 'up3')
        x = self.up(torch.cat((x, x2), 1), 'up2')
        x = self.up(torch.cat((x, x1), 1), 'up1')
        return self.conv(torch.cat((x, x0), 1), 'head')


@pytest.mark.parametrize('size', [(8, 8), (32, 48)])
def test_equals_plain_functions(eunet, size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        got, want = eunet(x), Plain(eunet.state_dict())(x)
    assert want.std() > 1e-3  # the comparison is of something
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


@pytest.mark.parametrize('name', VARIANTS)
@pytest.mark.parametrize('tiles', [(1, 1), (2, 3), (3, 1)])
@pytest.mark.parametrize('classes', [1, 6])
def test_output_shapes(name, tiles, classes):
    network = build_model(name, classes).eval()
    height, width = (t * network.variant.multiple for t in tiles)
    with torch.inference_mode():
        y = network(torch.zeros(1, 3, height, width))
    assert y.shape == (1, classes, height, width)
    assert y.dtype == torch.float32
    assert torch.isfinite(y).all()


def test_stem_and_head_keep_positions():
    # Only the head's bias is left: sub-pixel k of class c must come out at its place in the tile.
    network = EUnet(2, Variant(width=4, stem=2))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.arange(8.0))
        y = network.eval()(torch.zeros(1, 3, 16, 16))
    assert y[0, 0, :2, :2].tolist() == [[0, 1], [2, 3]]
    assert y[0, 1, 14:, 14:].tolist() == [[4, 5], [6, 7]]


@pytest.mark.parametrize(('name', 'width', 'stem'), [
    ('eunet', 64, 1), ('eunet_s', 40, 4), ('eunet_n', 24, 4)])
def test_family(name, width, stem):
    variant = get_variant(name)
    assert (variant.width, variant.stem, variant.multiple) == (width, stem, 8 * stem)
    assert variant.gate == ('product' if name == 'eunet' else 'sigmoid')


def test_sigmoid_gate_never_amplifies():
    torch.manual_seed(0)
    x = 100 * torch.randn(1, 8, 20, 20)
    bounded, product = LKA(8, 'sigmoid').eval(), LKA(8, 'product').eval()
    with torch.no_grad():
        for gate in (bounded, product):
            for p in gate.parameters():
                p.mul_(5)
        assert (bounded(x).abs() <= x.abs()).all()
        assert (bounded(x) * x >= 0).all()
        assert (product(x).abs() > x.abs()).any()  # which is why there is another


@pytest.mark.parametrize('kind', [LKA, LSKA])
def test_attention_sees_23_pixels(kind):
    x = torch.zeros(1, 2, 41, 41, requires_grad=True)
    layer = kind(2)
    layer.pointwise(layer.dilated(layer.depthwise(x)))[0, :, 20, 20].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (int(rows.min()), int(rows.max())) == (20 - 11, 20 + 11)
    columns = x.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert (int(columns.min()), int(columns.max())) == (20 - 11, 20 + 11)


@pytest.mark.parametrize('dtype', [torch.double, torch.float])
@pytest.mark.parametrize('size', [(9, 12), (8, 13), (2, 3), (40, 1)])
@pytest.mark.parametrize('name', ['depthwise', 'dilated'])
def test_training_on_a_cpu_computes_the_convolution(name, size, dtype):
    """Phases and columns are the convolution, and so are its gradients."""
    torch.manual_seed(3)
    layer = getattr(LKA(4).to(dtype), name)
    x = torch.randn(2, 4, *size, dtype=dtype, requires_grad=True)
    of, seed = (x, layer.weight, layer.bias), torch.randn(2, 4, *size, dtype=dtype)
    fast = layer(x)
    plain = F.conv2d(x, layer.weight, layer.bias, 1, layer.padding, layer.dilation, 4)
    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(layer.eval()(x), plain)
    torch.testing.assert_close(torch.autograd.grad(fast, of, seed),
                               torch.autograd.grad(plain, of, seed), rtol=1e-5, atol=1e-4)


def test_training_on_a_cpu_computes_the_transposed_convolution():
    """A pointwise convolution and pixel shuffle are it, and so are their gradients."""
    torch.manual_seed(3)
    layer, x = UpConv2d(4, 3).double(), torch.randn(2, 4, 5, 6).double().requires_grad_()
    of, seed = (x, layer.weight, layer.bias), torch.randn(2, 3, 10, 12).double()
    fast = layer(x)
    plain = F.conv_transpose2d(x, layer.weight, layer.bias, 2)
    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(torch.autograd.grad(fast, of, seed),
                               torch.autograd.grad(plain, of, seed))


def test_gradients_of_mixed_precision():
    torch.manual_seed(4)
    layer, x = LKA(8), torch.randn(2, 8, 20, 30)

    def gradients(enabled):
        layer.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled):
            layer(x).float().square().sum().backward()
        return [p.grad for p in layer.parameters()]
    for half, full in zip(gradients(True), gradients(False)):
        assert half.dtype == torch.float
        assert (half - full).norm() < 0.05 * full.norm()


def test_separable_kernels_are_outer_products():
    """LSKA is the LKA whose kernels are column times row; its inner biases are spread by them."""
    torch.manual_seed(2)
    separable, full = LSKA(3, 'sigmoid').eval(), LKA(3, 'sigmoid').eval()
    with torch.no_grad():
        full.pointwise.weight.copy_(separable.pointwise.weight)
        for name in ('depthwise', 'dilated'):
            row, column = getattr(separable, name)
            row.bias.zero_()
            getattr(full, name).weight.copy_(column.weight * row.weight)
            getattr(full, name).bias.copy_(column.bias)
        x = torch.randn(2, 3, 30, 30)
        torch.testing.assert_close(separable(x), full(x))


def test_norms_by_hand():
    torch.manual_seed(0)
    x = 3 * torch.randn(2, 48, 5, 7) + 1
    y = LayerNorm2d(48)(x)
    assert y.shape == x.shape
    torch.testing.assert_close(
        y, (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt())
    groups = x.view(2, 16, -1)  # 32 do not divide 48 channels, 16 do
    wanted = (groups - groups.mean(2, keepdim=True)) / (
        groups.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(make_norm(48, 'group')(x), wanted.view_as(x))


@pytest.mark.parametrize('options', [
    {'norm': 'group'}, {'norm': 'layer'}, {'attention': 'lska'},
    {'norm': 'layer', 'attention': 'lska', 'gate': 'product'}])
def test_options_of_the_family(options):
    variant = Variant(**{'width': 8, 'stem': 2, 'gate': 'sigmoid', **options})
    network = EUnet(2, variant)
    y = network(torch.randn(2, 3, 32, 48))
    assert y.shape == (2, 2, 32, 48)
    y.square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
    assert Variant(**variant.to_dict()) == variant


def test_space_to_depth_is_a_strided_convolution():
    torch.manual_seed(1)
    down, x = Downblock(3, 5), torch.randn(1, 3, 6, 10)
    kernel = down.conv.weight.reshape(5, 3, 2, 2)
    want = F.conv2d(x, kernel, stride=2)
    torch.testing.assert_close(down.conv(F.pixel_unshuffle(x, 2)), want)
    down.eval()
    torch.testing.assert_close(down(x), down.attention(down.block(want)))


def test_blocks_change_resolution_as_documented():
    x = torch.zeros(1, 6, 8, 12)
    assert SeparableConv2d(6, 4)(x).shape == (1, 4, 8, 12)
    assert ConvBlock(6)(x).shape == x.shape
    assert Downblock(6, 4)(x).shape == (1, 4, 4, 6)
    assert Upblock(6, 4)(x).shape == (1, 4, 16, 24)


def test_gradients_reach_every_parameter():
    network = EUnet(2, Variant(width=4, stem=2, gate='sigmoid'))
    network(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(('call', 'words'), [
    (lambda: build_model('eunet_m', 1), "Unknown variant 'eunet_m'.*eunet, eunet_s, eunet_n"),
    (lambda: build_model('eunet_nn', 1), 'did you mean eunet_n'),
    (lambda: build_model('yolo', 1), r"'yolo', expected one of eunet, eunet_s, eunet_n\.$"),
    (lambda: build_model(None, 1), 'Unknown variant None'),
    (lambda: build_model('eunet', 0), 'from 1 to 255, not 0'),
    (lambda: build_model('eunet', 256), 'not 256'),
    (lambda: build_model('eunet', 2.0), 'not 2.0'),
    (lambda: Variant(width=0), 'from 1 to 1024, not 0'),
    (lambda: Variant(width=-8), 'not -8'),
    (lambda: Variant(width=10**9), 'not 1000000000'),
    (lambda: Variant(width='64'), "not '64'"),
    (lambda: Variant(width=True), 'not True'),
    (lambda: Variant(stem=3), '1, 2 or 4, not 3'),
    (lambda: Variant(stem=2.0), r'not 2\.0'),
    (lambda: Variant(gate='softmax'), "product, sigmoid, not 'softmax'"),
    (lambda: Variant(norm='instance'), "batch, group, layer, not 'instance'"),
    (lambda: Variant(attention='se'), "lka, lska, not 'se'"),
])
def test_wrong_arguments(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert str(caught.value)[-1] in '.?'
    assert '\n' not in str(caught.value)
