"""The rooms' configs, composed: the only room that knows Hydra and OmegaConf.

Each room keeps its dataclass beside the code that takes it; here they are registered as schemas, the values come from
configs/, and past `compose` there are only dataclasses. A mistake stops here, with the key and the nearest valid names.
"""

from train.config.choices import config_folder, groups, options
from train.config.reading import compose, read_config
from train.config.schema import Config, NumericsConfig, NumericsName
from train.config.values import config_digest, public, published_digest, resolved, to_yaml

__all__ = [
    "Config",
    "NumericsConfig",
    "NumericsName",
    "compose",
    "config_digest",
    "config_folder",
    "groups",
    "options",
    "public",
    "published_digest",
    "read_config",
    "resolved",
    "to_yaml",
]
