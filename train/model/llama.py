"""Llama: pre-norm blocks, RMSNorm, rotary positions, grouped heads, SwiGLU (Touvron et al., 2023).

`model(tokens)` gives logits; training takes `hidden`, and the loss applies the head in chunks.
"""

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from train.model.init import initialise
from train.model.parts import Attention, GatedMLP, PreNormBlock, Rotary, causal_mask_within
from train.records import MACHINE, BadInput


@dataclass(kw_only=True)
class LlamaConfig:
    """The shape of a Llama. `within_documents` keeps attention inside a document."""

    name: str = "llama"
    vocab_size: int
    seq_len: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_ff: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tie_embeddings: bool = False
    within_documents: bool = False
    init_embedding: float = 0.5
    init_gain: float = 0.5
    why: str = field(default="", metadata=MACHINE)

    def __post_init__(self) -> None:
        if self.name != "llama":
            raise BadInput(f"model.name={self.name}: one of llama")
        for name in ("vocab_size", "seq_len", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff"):
            if getattr(self, name) < 1:
                raise BadInput(f"model.{name}={getattr(self, name)}: must be at least 1")
        if self.n_heads % self.n_kv_heads:
            raise BadInput(f"model.n_heads={self.n_heads} must be a multiple of model.n_kv_heads={self.n_kv_heads}")
        if self.d_head % 2:
            raise BadInput(f"model.d_head={self.d_head}: rotary positions need an even number")


class Llama(nn.Module):
    """A Llama whose weights stand under our own names; HUGGING_FACE_NAMES says theirs."""

    HUGGING_FACE_NAMES = (
        ("embedding.weight", "model.embed_tokens.weight"),
        ("blocks.{i}.attention_norm.weight", "model.layers.{i}.input_layernorm.weight"),
        ("blocks.{i}.attention.q.weight", "model.layers.{i}.self_attn.q_proj.weight"),
        ("blocks.{i}.attention.k.weight", "model.layers.{i}.self_attn.k_proj.weight"),
        ("blocks.{i}.attention.v.weight", "model.layers.{i}.self_attn.v_proj.weight"),
        ("blocks.{i}.attention.o.weight", "model.layers.{i}.self_attn.o_proj.weight"),
        ("blocks.{i}.mlp_norm.weight", "model.layers.{i}.post_attention_layernorm.weight"),
        ("blocks.{i}.mlp.gate.weight", "model.layers.{i}.mlp.gate_proj.weight"),
        ("blocks.{i}.mlp.up.weight", "model.layers.{i}.mlp.up_proj.weight"),
        ("blocks.{i}.mlp.down.weight", "model.layers.{i}.mlp.down_proj.weight"),
        ("norm.weight", "model.norm.weight"),
        ("head.weight", "lm_head.weight"),
    )

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.rotary = Rotary(config.d_head, config.rope_theta)
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(config.d_model, eps=config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight

    def initialise(self, seed: int) -> None:
        """The initial weights of this seed (the table in init.py)."""
        zero = ["attention.o.weight", "mlp.down.weight"] + ([] if self.config.tie_embeddings else ["head.weight"])
        initialise(self, seed=seed, embedding=self.config.init_embedding, gain=self.config.init_gain, zero=zero)

    def hidden(self, tokens: Int[Tensor, "B T"], documents: Int[Tensor, "B T"] | None = None) -> Float[Tensor, "B T D"]:
        """What the head is applied to. `documents` says which document each token stands in."""
        masked = self.config.within_documents and documents is not None
        mask = causal_mask_within(documents) if masked and documents is not None else None
        tables = self.rotary.tables(tokens.shape[1], tokens.device)
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, tables, mask)
        out: Tensor = self.norm(x)
        return out

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits of the next token at every position."""
        logits: Tensor = self.head(self.hidden(tokens))
        return logits

    def flops_per_token(self) -> float:
        """Multiplications and additions of one forward and backward pass, per token, at the length trained on.

        6 per weight of a matrix product (2 forward, 4 backward), and 12 * H * E * (T + 1) / 2 per layer for scores and
        values, each query meeting (T + 1) / 2 keys on average.
        """
        c = self.config
        matrices = sum(p.numel() for name, p in self.blocks.named_parameters() if p.ndim == 2)
        matrices += c.d_model * c.vocab_size
        attention = c.n_layers * 12 * c.n_heads * c.d_head * (c.seq_len + 1) / 2
        return 6.0 * matrices + attention

    @staticmethod
    def hugging_face_config(config: LlamaConfig) -> dict[str, Any]:
        """config.json as `transformers` reads it."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": config.vocab_size,
            "hidden_size": config.d_model,
            "intermediate_size": config.d_ff,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_key_value_heads": config.n_kv_heads,
            "head_dim": config.d_head,
            "max_position_embeddings": config.seq_len,
            "rope_theta": config.rope_theta,
            "rms_norm_eps": config.norm_eps,
            "tie_word_embeddings": config.tie_embeddings,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "dtype": "float32",
        }

    @staticmethod
    def from_hugging_face_config(theirs: dict[str, Any]) -> LlamaConfig:
        """Our config from theirs."""
        heads, width = int(theirs["num_attention_heads"]), int(theirs["hidden_size"])
        return LlamaConfig(
            vocab_size=int(theirs["vocab_size"]),
            seq_len=int(theirs["max_position_embeddings"]),
            d_model=width,
            n_layers=int(theirs["num_hidden_layers"]),
            n_heads=heads,
            n_kv_heads=int(theirs.get("num_key_value_heads") or heads),
            d_head=int(theirs.get("head_dim") or width // heads),
            d_ff=int(theirs["intermediate_size"]),
            rope_theta=float(theirs.get("rope_theta") or theirs.get("rope_parameters", {}).get("rope_theta", 10_000.0)),
            norm_eps=float(theirs["rms_norm_eps"]),
            tie_embeddings=bool(theirs.get("tie_word_embeddings", False)),
        )


def _block(config: LlamaConfig) -> PreNormBlock:
    return PreNormBlock(
        nn.RMSNorm(config.d_model, eps=config.norm_eps),
        Attention(config.d_model, config.n_heads, config.n_kv_heads, config.d_head, bias=False),
        nn.RMSNorm(config.d_model, eps=config.norm_eps),
        GatedMLP(config.d_model, config.d_ff, bias=False),
    )
