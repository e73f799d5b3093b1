"""The release: it loads in transformers as it stands, everything in it is accounted for, and nobody's machine is."""

import getpass
import hashlib
import io
import json
import socket
import tarfile
from pathlib import Path

import jsonschema
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from tests.conftest import ROOT
from train.documents import read_documents
from train.evaluate import measure_again
from train.hugging_face import from_hugging_face
from train.numerics import digest_tensors
from train.records import BadInput, digest_file
from train.release import list_files, read_release, read_source, root_digest
from train.run import read_tensors
from train.tokens import digest_tokenizer, load_tokenizer


def test_transformers_load_it_as_it_stands(release: Path) -> None:
    theirs = AutoModelForCausalLM.from_pretrained(release)
    ours = from_hugging_face(release)
    tokenizer = AutoTokenizer.from_pretrained(release)
    tokens = tokenizer("Cor del an ar", return_tensors="pt").input_ids
    assert tokens[0, 0] == 0
    logits = theirs(tokens).logits
    assert (ours(tokens) - logits).abs().max() <= 1e-5 * logits.abs().max()
    text = "Cor dela, an ar.\n é <|endoftext|>"
    ids = load_tokenizer(release).encode(text, add_special_tokens=False).ids
    assert tokenizer(text, add_special_tokens=False).input_ids == ids
    assert tokenizer.decode(ids) == text
    said = pipeline("text-generation", model=str(release))("Cor del", max_new_tokens=8)[0]["generated_text"]
    assert said.startswith("Cor del")
    assert len(said) > len("Cor del")


def test_the_record_obeys_its_schema_and_its_digests_hold(release: Path) -> None:
    record = read_release(release)
    schema = json.loads((ROOT / "train" / "release" / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema)
    assert record["digest"] == root_digest(release, record)
    model = from_hugging_face(release)
    assert record["weights"]["digest"] == digest_tensors(model.state_dict())
    assert record["ingredients"]["tokenizer"]["digest"] == digest_tokenizer(release)
    manifest = [json.loads(line) for line in (release / "data" / "manifest.jsonl").read_text().splitlines()]
    assert record["ingredients"]["documents"]["count"] == len(manifest) == 40
    stored = {d.id: d for s in ("train", "validation") for d in read_documents(release / "data", s)}
    for row in manifest:
        assert hashlib.sha256(stored[row["id"]].text.encode()).hexdigest() == row["sha256"]


def test_every_file_has_its_sum(release: Path) -> None:
    lines = (release / "attest" / "SHA256SUMS").read_text().splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    assert sorted([*sums, "attest/SHA256SUMS"]) == list_files(release)
    assert all(digest_file(release / name) == value for name, value in sums.items())


def test_any_changed_byte_changes_the_root(release: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(release, tmp_path / "copy")
    record = read_release(copy)
    for name in ("README.md", "data/manifest.jsonl", "training/chain.jsonl", "recipe/config.yaml"):
        before = (copy / name).read_bytes()
        (copy / name).write_bytes(before[:-2] + b"?\n")
        assert root_digest(copy, record) != record["digest"], name
        (copy / name).write_bytes(before)
    (copy / "extra.txt").write_text("x")
    assert root_digest(copy, record) != record["digest"]
    (copy / "extra.txt").unlink()
    assert root_digest(copy, record) == record["digest"]


def test_checkpoints_along_the_way(release: Path) -> None:
    folders = sorted((release / "training" / "checkpoints").iterdir())
    chain = [json.loads(line) for line in (release / "training" / "chain.jsonl").read_text().splitlines()]
    assert [f.name for f in folders] == [f"step-{link['step']:06d}" for link in chain]
    assert len(folders) >= 5
    for folder, link in zip(folders, chain, strict=True):
        assert digest_tensors(read_tensors(folder / "model.safetensors")) == link["weights"]
        assert link["step"] == 0 or read_tensors(folder / "optimizer.safetensors")
    assert chain[-1]["chain"] == read_release(release)["weights"]["chain"]
    assert chain[-1]["weights"] == read_release(release)["weights"]["digest"]


def test_nobodys_machine_is_in_it(release: Path) -> None:
    words = {str(ROOT), str(release.parent.parent), str(Path.home())}
    words |= {name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 4}
    for name in list_files(release):
        data = (release / name).read_bytes()
        for word in words:
            assert word.encode() not in data, (name, word)


def test_the_cards_are_filled(release: Path) -> None:
    for name in ("README.md", "data/README.md", "ATTRIBUTION.md"):
        text = (release / name).read_text("utf-8")
        assert "More Information Needed" not in text
        assert "None" not in text.replace("None of them", ""), name
        assert "{" not in text.replace("```", ""), name
    card = (release / "README.md").read_text("utf-8")
    assert card.startswith("---\nlicense:")
    for head in ("What it is for", "What it is not for", "What to beware of", "How good it is", "How it was made"):
        assert f"## {head}" in card


def test_the_source_is_the_program(release: Path) -> None:
    with tarfile.open(release / "recipe" / "source.tar") as tar:
        for name in ("train/run/loop.py", "configs/experiment/tiny.yaml", "pyproject.toml", "constraints.txt"):
            member = tar.extractfile(name)
            assert member is not None
            assert member.read() == (ROOT / name).read_bytes()
        assert all("__pycache__" not in name for name in tar.getnames())


def test_an_archive_that_is_no_programs_is_refused(tmp_path: Path) -> None:
    def archive(*members: tarfile.TarInfo) -> Path:
        with tarfile.open(tmp_path / "source.tar", "w") as tar:
            for member in members:
                tar.addfile(member, io.BytesIO(b"x" * member.size))
        return tmp_path / "source.tar"

    def member(name: str, **more: object) -> tarfile.TarInfo:
        found = tarfile.TarInfo(name)
        for key, value in {"size": 3, **more}.items():
            setattr(found, key, value)
        return found

    assert dict(read_source(archive(member("a"), member("b/c")))) == {"a": b"xxx", "b/c": b"xxx"}
    sparse = member("a", pax_headers={"GNU.sparse.map": "0,3", "GNU.sparse.size": str(2**40)})
    for wrong in (
        [member("a"), member("./a")], [member("../a")], [member("/a")], [sparse],
        [member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0)],
    ):  # fmt: skip
        with pytest.raises(BadInput, match="is no plain file below it"):
            list(read_source(archive(*wrong)))
    (tmp_path / "source.tar").write_bytes(b"x" * 600)
    with pytest.raises(BadInput, match="not an archive"):
        list(read_source(tmp_path / "source.tar"))
    with (tmp_path / "source.tar").open("wb") as file:
        file.truncate(2**29)
    with pytest.raises(BadInput, match="which no program is"):
        list(read_source(tmp_path / "source.tar"))


def test_measured_again_it_is_as_good(release: Path) -> None:
    answer = measure_again(release)
    assert answer["same"]
    assert answer["measured"] == pytest.approx(answer["stated"], rel=1e-6)


def test_measured_again_with_other_weights_it_is_not(release: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(release, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    tensors["lm_head.weight"] += 0.1 * torch.randn_like(tensors["lm_head.weight"])
    save_file(tensors, copy / "model.safetensors")
    assert not measure_again(copy)["same"]


def test_what_is_not_a_release(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a release"):
        read_release(tmp_path)
    (tmp_path / "release.json").write_text("[]")
    with pytest.raises(BadInput, match="format"):
        read_release(tmp_path)
