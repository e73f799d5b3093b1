"""The block library: parts that receive sub-modules and tensors, and never a family's name.

Shapes: B batch, T query length, S key length, D model width, H heads, K key/value heads, E head width, F inner width.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from train.model.attend import attend
from train.model.context import Context, LayerCache
from train.model.dropout import Dropout
from train.model.positions import Rotary


class Attention(nn.Module):
    """Scaled dot-product attention with grouped keys and values (Vaswani et al., 2017; Ainslie et al., "GQA", 2023)."""

    def __init__(
        self, d_model: int, n_heads: int, n_kv_heads: int, d_head: int, *, bias: bool, scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.d_head = d_head
        self.scale = d_head**-0.5 if scale is None else scale
        self.q = nn.Linear(d_model, n_heads * d_head, bias=bias)
        self.k = nn.Linear(d_model, n_kv_heads * d_head, bias=bias)
        self.v = nn.Linear(d_model, n_kv_heads * d_head, bias=bias)
        self.o = nn.Linear(n_heads * d_head, d_model, bias=bias)
        self.dropout = Dropout(dropout)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, H * E) -> (B, H, T, E)."""
        return x.view(*x.shape[:-1], -1, self.d_head).transpose(1, 2)

    def forward(
        self, x: Float[Tensor, "B T D"], context: Context, cache: LayerCache | None = None
    ) -> Float[Tensor, "B T D"]:
        """Tokens look at one another as far as `context` lets them; `cache` holds earlier tokens' keys and values."""
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))  # (B, H or K, T, E)
        if context.rotary is not None:
            q, k = Rotary.rotate(q, context.rotary), Rotary.rotate(k, context.rotary)
        if cache is not None:
            k, v = cache.add(k, v)
        return self.look(q, k, v, context.mask, context.is_causal, context.noise)

    def look(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool, noise: Tensor | None
    ) -> Float[Tensor, "B T D"]:
        """Queries meet keys, values go out."""
        y = attend(q, k, v, mask, is_causal, self.scale, self.dropout, noise)
        out: Tensor = self.o(y.transpose(1, 2).flatten(2))  # (B, T, D)
        return out


class CrossAttention(Attention):
    """Attention to what an encoder made (Vaswani et al., 2017, section 3.2.3)."""

    def forward(
        self, x: Float[Tensor, "B T D"], context: Context, cache: LayerCache | None = None
    ) -> Float[Tensor, "B T D"]:
        """Queries from `x`, keys and values from `context.memory`, made once and kept in `cache`."""
        known = cache.memory if cache is not None else None
        if known is None:
            known = self.split(self.k(context.memory)), self.split(self.v(context.memory))
        if cache is not None:
            cache.memory = known
        return self.look(self.split(self.q(x)), *known, context.memory_mask, False, context.noise)


class MLP(nn.Module):
    """down(activation(up(x))) (Vaswani et al., 2017, eq. 2)."""

    def __init__(
        self, d_model: int, d_ff: int, activation: Callable[[Tensor], Tensor], *, bias: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"], noise: Tensor | None = None) -> Float[Tensor, "B T D"]:
        """Each token by itself."""
        out: Tensor = self.down(self.dropout(self.activation(self.up(x)), noise))
        return out


class GatedMLP(nn.Module):
    """down(activation(gate(x)) * up(x)); SwiGLU with silu (Shazeer, "GLU Variants", 2020, eq. 5)."""

    def __init__(
        self, d_model: int, d_ff: int, activation: Callable[[Tensor], Tensor], *, bias: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.activation = activation
        self.gate = nn.Linear(d_model, d_ff, bias=bias)
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"], noise: Tensor | None = None) -> Float[Tensor, "B T D"]:
        """Each token by itself."""
        out: Tensor = self.down(self.dropout(self.activation(self.gate(x)) * self.up(x), noise))
        return out


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation (Hendrycks and Gimpel, 2016, section 2)."""
    return functional.gelu(x, approximate="tanh")


class PreNormBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) (Xiong et al., "On Layer Normalization", 2020).

    In a decoder that has an encoder, x + cross(cross_norm(x)) stands between the two.
    """

    def __init__(
        self, attention_norm: nn.Module, attention: Attention, mlp_norm: nn.Module, mlp: nn.Module,
        dropout: float = 0.0, cross_norm: nn.Module | None = None, cross: CrossAttention | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention_norm, self.attention = attention_norm, attention
        self.mlp_norm, self.mlp = mlp_norm, mlp
        self.cross_norm, self.cross = cross_norm, cross
        self.attention_dropout, self.cross_dropout, self.mlp_dropout = (Dropout(dropout) for _ in range(3))

    def forward(
        self, x: Float[Tensor, "B T D"], context: Context, cache: LayerCache | None = None
    ) -> Float[Tensor, "B T D"]:
        """One layer."""
        noise = context.noise
        x = x + self.attention_dropout(self.attention(self.attention_norm(x), context, cache), noise)
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.cross_dropout(self.cross(self.cross_norm(x), context, cache), noise)
        out: Tensor = x + self.mlp_dropout(self.mlp(self.mlp_norm(x), noise), noise)
        return out


class ParallelBlock(nn.Module):
    """x + attention(norm(x)) + mlp(norm(x)) (Wang and Komatsuzaki, GPT-J, 2021); the MLP may have a norm of its own."""

    def __init__(
        self, attention_norm: nn.Module, attention: Attention, mlp: nn.Module, mlp_norm: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention_norm, self.attention, self.mlp_norm, self.mlp = attention_norm, attention, mlp_norm, mlp
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], context: Context, cache: LayerCache | None = None
    ) -> Float[Tensor, "B T D"]:
        """One layer."""
        normed = self.attention_norm(x)
        inner = normed if self.mlp_norm is None else self.mlp_norm(x)
        both = self.attention(normed, context, cache) + self.mlp(inner, context.noise)
        out: Tensor = x + self.dropout(both, context.noise)
        return out


class PostNormBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x)) (Vaswani et al., 2017, section 3.1)."""

    def __init__(
        self, attention: Attention, attention_norm: nn.Module, mlp: nn.Module, mlp_norm: nn.Module, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.attention, self.attention_norm, self.mlp, self.mlp_norm = attention, attention_norm, mlp, mlp_norm
        self.attention_dropout, self.mlp_dropout = Dropout(dropout), Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"], context: Context) -> Float[Tensor, "B T D"]:
        """One layer."""
        x = self.attention_norm(x + self.attention_dropout(self.attention(x, context), context.noise))
        out: Tensor = self.mlp_norm(x + self.mlp_dropout(self.mlp(x, context.noise), context.noise))
        return out
