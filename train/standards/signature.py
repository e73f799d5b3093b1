"""Signatures: ed25519 over an in-toto statement, in a DSSE envelope (Dead Simple Signing Envelope, 1.0.2).

A key is made by `openssl genpkey -algorithm ed25519 -out key.pem`. Its public half stands in the envelope, so whether
the signature holds can be seen from the file alone; whose key it is cannot, and must be learned elsewhere.
"""

import json
from pathlib import Path
from typing import Any

from train.records import BadInput, Json, canonical_json, printable

_TYPE = "application/vnd.in-toto+json"
_KIND = "ed25519:"


def read_key(path: str) -> Any:
    """A private key from a PEM file. Raises BadInput if it is none, or has a password, or is of another kind."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path}: not a private key that can be read ({printable(str(error))[:80]})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path}: not an ed25519 key; openssl genpkey -algorithm ed25519 -out {path} makes one")
    return key


def sign(statement: Json, key: Any) -> dict[str, Any]:
    """The statement in a signed envelope; the key's name is its public half."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

    public = key.public_key().public_bytes_raw().hex()
    named = SSlibKey(_KIND + public, "ed25519", "ed25519", {"public": public})
    envelope = Envelope(canonical_json(statement), _TYPE, {})
    envelope.sign(CryptoSigner(key, named))
    return dict(envelope.to_dict())


def is_signed(value: Any) -> bool:
    """Whether this JSON is an envelope."""
    return isinstance(value, dict) and "payload" in value and "signatures" in value


def open_envelope(envelope: Json) -> tuple[dict[str, Any], str]:
    """(statement, name of the key). Raises BadInput if the signature does not hold."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, UnverifiedSignatureError, VerificationError
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    try:
        (signature,) = envelope["signatures"]
        name = str(signature["keyid"])
        if not name.startswith(_KIND) or envelope["payloadType"] != _TYPE:
            raise BadInput(f"signed in a way that is not known here: {printable(name)[:40]}")
        public = name.removeprefix(_KIND)
        opened = Envelope.from_dict(dict(envelope))
        opened.verify([SSlibKey(name, "ed25519", "ed25519", {"public": public})], 1)
        return dict(json.loads(opened.payload)), name
    except (VerificationError, UnverifiedSignatureError, FormatError) as error:
        raise BadInput("the signature does not hold") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"not a signed statement that can be read ({printable(str(error))[:80]})") from error
