"""Datasets arrive whole or are refused; splits are the courses'."""

import hashlib
import shutil
import tarfile

import numpy as np
import pytest
from gradscape.data.sources import acquire

from gradscape.data import sources
from gradscape.data.splits import split
from gradscape.data.store import Dataset, load, save
from gradscape.errors import GradscapeError


def labelled(n_train: int, n_test: int) -> Dataset:
    labels = np.zeros(n_train + n_test, np.uint8)
    images = np.zeros((len(labels), 1, 1, 3), np.uint8)
    return Dataset("x", "test", ["a"], n_train, images, labels)


def test_edinburgh_split_is_the_courses():
    parts = split(labelled(50_000, 10_000), "edinburgh")
    assert len(parts["train"]) == 47_500
    assert parts["validation"][:5].tolist() == [52, 55, 63, 81, 93]
    assert len(parts["validation"]) == 2_500
    assert not set(parts["train"]) & set(parts["validation"])


@pytest.mark.parametrize(
    ("name", "train", "validation"),
    [
        ("fudan", (0, 49_999), (50_000, 59_999)),
        ("alberta", (0, 44_999), (45_000, 49_999)),
        ("sapienza", (0, 48_999), (49_000, 49_999)),
    ],
)
def test_ordered_splits(name, train, validation):
    parts = split(labelled(50_000, 10_000), name)
    assert (parts["train"][0], parts["train"][-1]) == train
    assert (parts["validation"][0], parts["validation"][-1]) == validation
    assert (parts["test"][0], parts["test"][-1]) == (50_000, 59_999)
    assert split(labelled(50_000, 10_000), name, train_items=7)["train"].tolist() == list(
        range(7)
    )


def test_generated_images_are_balanced_and_repeatable():
    first, second = acquire("generated10"), acquire("generated10")
    assert first.checksum == second.checksum
    assert first.images.shape == (11_000, 32, 32, 3)
    assert set(np.bincount(first.labels[: first.train])) == {1_000}
    assert len(acquire("generated100").classes) == 100


def test_a_damaged_store_is_refused(tmp_path):
    save(acquire("generated10"), tmp_path)
    content = bytearray((tmp_path / "images.npy").read_bytes())
    content[5_000] ^= 1
    (tmp_path / "images.npy").write_bytes(content)
    with pytest.raises(GradscapeError, match="damaged: its checksum"):
        load(tmp_path)


def test_missing_data_says_what_to_type(tmp_path):
    with pytest.raises(GradscapeError, match="gradscape data cifar10"):
        load(tmp_path / "cifar10")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(GradscapeError, match=r"holds neither cifar-10-python\.tar\.gz nor"):
        acquire("cifar10", str(tmp_path))


def test_a_damaged_archive_is_never_unpickled(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(GradscapeError, match=r"cifar-10-python\.tar\.gz: damaged"):
        acquire("cifar10", str(tmp_path))
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).write_bytes(b"not a pickle")
    with pytest.raises(GradscapeError, match="train: damaged: its md5"):
        acquire("cifar100", str(tmp_path))


def test_no_network_is_one_sentence(monkeypatch):
    monkeypatch.delenv("GRADSCAPE_DATA", raising=False)
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: None)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(GradscapeError, match=r"cifar10: the download failed .*data_dir"):
        acquire("cifar10")


def refuse(*arguments, **options):
    raise OSError("no network")


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_real_cifar_is_read_whole(cifar, tmp_path, name, classes):
    dataset = acquire(name, str(cifar))
    assert dataset.images.shape == (60_000, 32, 32, 3)
    assert len(dataset.classes) == classes
    assert set(np.bincount(dataset.labels[:50_000])) == {50_000 // classes}
    save(dataset, tmp_path)
    assert load(tmp_path).checksum == dataset.checksum


def test_the_official_archive_is_read_from_a_folder(cifar, tmp_path, monkeypatch):
    """An archive made of the official files, whose own md5 stands in for the official."""
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        tar.add(cifar / "cifar-100-python", "cifar-100-python")
    kind = sources.cifar("cifar100")
    with archive.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    monkeypatch.setattr(kind, "tgz_md5", md5)
    assert acquire("cifar100", str(tmp_path)).classes[0] == "apple"
    shutil.rmtree(tmp_path)
