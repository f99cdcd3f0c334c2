"""The transformer of Vaswani et al., "Attention is all you need", 2017: its layers, its stacks, the whole."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from mydl.autograd.op import tensor_of
from mydl.backend import get_default_dtype
from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init
from mydl.nn.attention import MultiheadAttention
from mydl.nn.container import ModuleList
from mydl.nn.dropout import Dropout
from mydl.nn.linear import Linear
from mydl.nn.module import NeuralNetwork
from mydl.nn.normalization import LayerNorm
from mydl.tensor import MyTensor

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip

Activation = str | Callable[[MyTensor], MyTensor]
Mask = MyTensor | None


class _Layer(NeuralNetwork):
    """What both layers are made of: attentions and two linear layers, each with dropout, a sum and a LayerNorm."""

    _attentions: tuple[str, ...] = ()

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(activation, str):
            if activation not in ("relu", "gelu"):
                raise ValueError(f'{type(self).__name__}: wanted "relu" or "gelu" as activation, got {activation!r}')
            activation = F.relu if activation == "relu" else F.gelu
        place = {"device": device, "dtype": dtype}
        for name in self._attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        numbers = range(1, len(self._attentions) + 2)
        for number in numbers:
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for number in numbers:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = activation

    def _run(self, x: MyTensor, *parts: Callable[[MyTensor], MyTensor]) -> MyTensor:
        """x + part(x) for each part and for the linear layers after them, each with its norm and dropout."""
        for number, part in enumerate((*parts, self._feed), 1):
            norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
            x = x + dropout(part(norm(x))) if self.norm_first else norm(x + dropout(part(x)))
        return x

    def _feed(self, x: MyTensor) -> MyTensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear layers with an activation between, each with dropout, a sum and a LayerNorm.

    x = norm1(x + attention(x)), x = norm2(x + linear2(activation(linear1(x)))); with `norm_first` the norms come
    before the attention and the linear layers.

    >>> import mydl
    >>> TransformerEncoderLayer(8, 2, dim_feedforward=16)(mydl.ones(5, 2, 8)).shape
    (5, 2, 8)
    """

    _attentions = ("self_attn",)

    def forward(
        self, src: MyTensor, src_mask: Mask = None, src_key_padding_mask: Mask = None, is_causal: bool = False
    ) -> MyTensor:
        """The layer's output, of src's shape."""

        def attend(x: MyTensor) -> MyTensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._run(src, attend)


class TransformerDecoderLayer(_Layer):
    """As the encoder layer, with attention to `memory`, the encoder's output, between the other two parts.

    >>> import mydl
    >>> TransformerDecoderLayer(8, 2, dim_feedforward=16)(mydl.ones(5, 2, 8), mydl.ones(7, 2, 8)).shape
    (5, 2, 8)
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: MyTensor,
        memory: MyTensor,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> MyTensor:
        """The layer's output, of tgt's shape."""

        def attend(x: MyTensor) -> MyTensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def look(x: MyTensor) -> MyTensor:
            masks = (memory_key_padding_mask, False, memory_mask)
            return self.multihead_attn(x, memory, memory, *masks, is_causal=memory_is_causal)[0]

        return self._run(tgt, attend, look)


class TransformerEncoder(NeuralNetwork):
    """num_layers copies of an encoder layer, one after another, and a last norm where one is given.

    >>> import mydl
    >>> TransformerEncoder(TransformerEncoderLayer(8, 2, 16), 2)(mydl.ones(5, 2, 8)).shape
    (5, 2, 8)
    """

    def __init__(
        self,
        encoder_layer: NeuralNetwork,
        num_layers: int,
        norm: NeuralNetwork | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, src: MyTensor, mask: Mask = None, src_key_padding_mask: Mask = None, is_causal: bool | None = None
    ) -> MyTensor:
        """The last layer's output."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(NeuralNetwork):
    """num_layers copies of a decoder layer, one after another, and a last norm where one is given.

    >>> import mydl
    >>> TransformerDecoder(TransformerDecoderLayer(8, 2, 16), 2)(mydl.ones(5, 2, 8), mydl.ones(7, 2, 8)).shape
    (5, 2, 8)
    """

    def __init__(self, decoder_layer: NeuralNetwork, num_layers: int, norm: NeuralNetwork | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: MyTensor,
        memory: MyTensor,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> MyTensor:
        """The last layer's output."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(NeuralNetwork):
    """An encoder and a decoder, each with a last LayerNorm: forward(src, tgt) gives an output of tgt's shape.

    All weights of more than one dimension start Xavier-uniform, as in PyTorch.

    >>> import mydl
    >>> Transformer(8, 2, 1, 1, 16)(mydl.ones(7, 2, 8), mydl.ones(5, 2, 8)).shape
    (5, 2, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: NeuralNetwork | None = None,
        custom_decoder: NeuralNetwork | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        place = {"device": device, "dtype": dtype}
        norms = [LayerNorm(d_model, layer_norm_eps, bias=bias, **place) for _ in range(2)]
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*layer, **place), num_encoder_layers, norms[0]
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*layer, **place), num_decoder_layers, norms[1]
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self,
        src: MyTensor,
        tgt: MyTensor,
        src_mask: Mask = None,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        src_key_padding_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> MyTensor:
        """The decoder's output for tgt, beside what the encoder made of src."""
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ShapeError(f"Transformer: wanted {self.d_model} features, got shapes {src.shape} and {tgt.shape}")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> MyTensor:
        """(sz, sz) with -inf above the diagonal and 0 elsewhere: nothing looks at what comes after it.

        >>> Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        mask = np.triu(np.full((sz, sz), -np.inf, get_default_dtype() if dtype is None else dtype), 1)
        return tensor_of(mask) if device is None else tensor_of(mask).to(device)
