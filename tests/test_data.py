"""Datasets arrive whole or are refused; splits are the courses'."""

import gzip
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR100, SVHN, FashionMNIST

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts, official, own
from gradscape.data.datasets import acquire, facts, facts_of_own
from gradscape.data.normalisation import moments
from gradscape.data.splits import split
from gradscape.data.store import Dataset, load, save
from gradscape.models import build
from gradscape.probes.explanations import explanations
from gradscape.probes.feature_maps import feature_maps
from gradscape.probes.filters import filters
from gradscape.probes.signal import signal
from gradscape.probes.trained import Trained
from gradscape.spec.settings import Settings
from gradscape.training.augmentation import POLICIES
from gradscape.training.minibatches import Minibatches


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
    assert first.checksum.startswith("d30b28fc6a2a13cc")  # as the published runs had it
    assert first.facts == facts("generated10")
    assert first.images.shape == (11_000, 32, 32, 3)
    assert set(np.bincount(first.labels[: first.train])) == {1_000}
    assert len(acquire("generated100").classes) == 100
    small = acquire("generated10-small")
    assert small.facts == facts("generated10-small") and small.images.shape[1:3] == (16, 16)


def test_a_damaged_store_is_refused(tmp_path):
    save(acquire("generated10"), tmp_path)
    content = bytearray((tmp_path / "images.npy").read_bytes())
    content[5_000] ^= 1
    (tmp_path / "images.npy").write_bytes(content)
    with pytest.raises(GradscapeError, match="damaged: its checksum"):
        load(tmp_path)


def test_a_dataset_takes_no_others_folder(tmp_path):
    """Two folders of photographs may be called the same."""
    first = acquire("generated10-small")
    save(first, tmp_path)
    with pytest.raises(GradscapeError, match="holds the dataset 'generated10-small', not"):
        save(replace(first, name="other/generated10-small"), tmp_path)
    assert load(tmp_path).name == first.name
    (tmp_path / "dataset.json").write_text("{")  # torn: it is made again
    save(first, tmp_path)
    assert load(tmp_path).checksum == first.checksum


def test_a_store_keeps_the_moments_of_the_training_images(tmp_path):
    dataset = acquire("generated10")
    save(dataset, tmp_path)
    loaded = load(tmp_path)
    pixels = dataset.images[: dataset.train] / 255
    np.testing.assert_allclose(loaded.moments[0], pixels.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(loaded.moments[1], pixels.std((0, 1, 2)), rtol=1e-9)
    assert loaded.moments == dataset.moments


def change_record(folder: Path, **lines) -> None:
    """Change lines of dataset.json by hand; None takes one out."""
    file = folder / "dataset.json"
    record = json.loads(file.read_text()) | lines
    record = {key: value for key, value in record.items() if value is not None}
    file.write_text(json.dumps(record))


def refused_edited(folder: Path, **lines) -> None:
    """A copy of a store with these lines of its record changed is refused."""
    edited = shutil.copytree(folder, folder / "edited")
    change_record(edited, **lines)
    with pytest.raises(GradscapeError, match=r"edited: damaged: .*; delete it"):
        load(edited)
    shutil.rmtree(edited)


def test_moments_of_large_images_take_little_memory():
    """An image may have as many pixels as a thousand small ones."""
    images = np.random.RandomState(0).randint(0, 256, (2, 4000, 4000, 1), np.uint8)
    dataset = Dataset("x", "x", ["a", "b"], 2, images, np.array([0, 1]))
    tracemalloc.start()
    (mean,), (deviation,) = dataset.moments
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * images.nbytes
    assert mean == pytest.approx(images.mean() / 255, rel=1e-12)
    assert deviation == pytest.approx(images.std() / 255, rel=1e-12)


def test_a_record_edited_by_hand_is_refused(tmp_path):
    save(acquire("generated10"), tmp_path)
    for change in (
        {"train": 9_000},
        {"train": 11_000, "test": 0},
        {"mean": [0, 0, 0]},
        {"classes": None},
        {"record_sha256": None},
    ):
        refused_edited(tmp_path, **change)


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


def test_no_network_is_one_sentence(monkeypatch, capsys):
    monkeypatch.delenv("GRADSCAPE_DATA", raising=False)
    monkeypatch.setattr(official.time, "sleep", lambda seconds: None)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(
        GradscapeError, match=r"cifar10: the download failed .*GRADSCAPE_DATA"
    ):
        acquire("cifar10")
    assert "name its folder in the environment as GRADSCAPE_DATA" in capsys.readouterr().err


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def refuse(*arguments, **options):
    raise OSError("no network")


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_real_cifar_is_read_whole(cifar, tmp_path, name, classes):
    dataset = acquire(name, str(cifar))
    assert dataset.images.shape == (60_000, 32, 32, 3)
    assert len(dataset.classes) == classes
    assert set(np.bincount(dataset.labels[:50_000])) == {50_000 // classes}
    assert dataset.facts == facts(name)
    save(dataset, tmp_path)
    assert load(tmp_path).checksum == dataset.checksum
    if name == "cifar10":  # the mean that everyone types in, to its four digits
        assert np.round(dataset.moments[0], 4).tolist() == [0.4914, 0.4822, 0.4465]
        assert dataset.checksum.startswith("795f1793d7b8f888")


def test_the_official_archive_is_read_from_a_folder(cifar, tmp_path, monkeypatch):
    """An archive made of the official files, whose own md5 stands in for the official."""
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        tar.add(cifar / "cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(CIFAR100, "tgz_md5", md5(archive))
    assert acquire("cifar100", str(tmp_path)).classes[0] == "apple"
    shutil.rmtree(tmp_path)


def test_svhn_is_read_from_its_official_files(tmp_path, monkeypatch):
    parts = {}
    for part in ("train", "test"):
        path = tmp_path / f"{part}_32x32.mat"
        images = np.zeros((32, 32, 3, 2), np.uint8)
        images[1, 2, 0, 0], images[3, 4, 2, 1] = 200, 100
        labels = np.array([[10], [3]], np.uint8)
        savemat(path, {"X": images, "y": labels})
        parts[part] = ["http://no.net", path.name, md5(path)]
    with pytest.raises(GradscapeError, match=r"train_32x32\.mat: damaged: its md5"):
        acquire("svhn", str(tmp_path))
    monkeypatch.setattr(SVHN, "split_list", parts)
    dataset = acquire("svhn", str(tmp_path))
    assert dataset.facts == Facts(3, 32, 10, 2, 2)
    assert dataset.images[0, 1, 2, 0] == 200 and dataset.images[3, 3, 4, 2] == 100
    assert dataset.images.sum() == 600
    assert dataset.labels.tolist() == [0, 3, 0, 3]  # the digit 0 has the label 10
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(GradscapeError, match=r"holds no test_32x32\.mat, .* no svhn"):
        acquire("svhn", str(tmp_path))


@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_fashion_mnist_is_read_from_its_official_files(tmp_path, monkeypatch, below):
    random, kept, resources = np.random.RandomState(0), {}, []
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 5), ("t10k", 2)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            path = tmp_path / below / f"{part}-{kind}-ubyte.gz"
            values = kept[part, kind[:6]] = random.randint(0, 10, shape).astype(np.uint8)
            start = struct.pack(f">HBB{len(shape)}i", 0, 8, len(shape), *shape)
            path.write_bytes(gzip.compress(start + values.tobytes()))
            resources.append((path.name, md5(path)))
    with pytest.raises(GradscapeError, match=r"images-idx3-ubyte\.gz: damaged: its md5"):
        acquire("fashion-mnist", str(tmp_path))
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    dataset = acquire("fashion-mnist", str(tmp_path))
    assert dataset.facts == Facts(1, 28, 10, 5, 2)
    assert dataset.classes[9] == "Ankle boot"
    for kind, array in (("images", dataset.images[..., 0]), ("labels", dataset.labels)):
        np.testing.assert_array_equal(array[:5], kept["train", kind])
        np.testing.assert_array_equal(array[5:], kept["t10k", kind])


# One's own images


def paint(path: Path, value, size=(8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(value, int) else "RGB", size, value).save(path)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes of six images: cats dark, dogs light, each of its own grey."""
    for number in range(6):
        for name, base in (("cat", 10), ("dog", 200)):
            paint(tmp_path / "photos" / name / f"{number}.png", base + number)
    return tmp_path / "photos"


def test_a_folder_of_class_folders_sets_a_sixth_aside(photos, tmp_path):
    dataset = acquire(f"{photos}/")
    assert dataset.facts == facts(f"{photos}/") == Facts(1, 8, 2, 10, 2)
    assert dataset.classes == ["cat", "dog"] and dataset.labels.dtype == np.uint8
    values = dataset.images[:, 0, 0, 0]
    assert sorted(values) == [*range(10, 16), *range(200, 206)]
    np.testing.assert_array_equal(dataset.labels, values > 100)
    order = np.random.RandomState(0).permutation(12)
    np.testing.assert_array_equal(
        values, np.array([*range(10, 16), *range(200, 206)])[order]
    )
    save(dataset, tmp_path / "store")
    assert load(tmp_path / "store").facts == dataset.facts


def test_a_folder_with_train_and_test_keeps_them_apart(photos, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(photos, both / "train")
    paint(both / "test" / "dog" / "grey.png", 99)
    paint(both / "train" / "cat" / "0.png", (1, 2, 3))
    dataset = acquire(str(both))
    assert dataset.facts == facts(str(both)) == Facts(3, 8, 2, 12, 1)
    assert [1, 2, 3] in dataset.images[:12, 0, 0].tolist()
    assert dataset.images[12, 0, 0].tolist() == [99] * 3 and dataset.labels[12] == 1
    assert len(set(dataset.labels[:6])) == 2  # not sorted by class


def write(tmp_path: Path, **changes) -> str:
    """A good .npz of 12 images in 3 classes, but for the changes; None takes one out."""
    random = np.random.RandomState(0)
    arrays = {
        "images": random.randint(0, 256, (12, 8, 8)).astype(np.uint8),
        "labels": np.arange(12) % 3,
    } | changes
    arrays = {key: value for key, value in arrays.items() if value is not None}
    np.savez(tmp_path / "shapes.npz", **arrays)
    return str(tmp_path / "shapes.npz")


@pytest.mark.parametrize("kind", [str, bytes])
def test_an_npz_file_with_and_without_test_images(kind, tmp_path):
    dataset = acquire(write(tmp_path))
    assert dataset.facts == Facts(1, 8, 3, 10, 2) and dataset.classes == ["0", "1", "2"]
    test_images = np.full((2, 8, 8, 1), 7, np.uint8)
    name = write(
        tmp_path,
        test_images=test_images,
        test_labels=np.array([2, 299]),
        classes=np.array([f"class {n}" for n in range(300)], kind),
    )
    facts_of_own.cache_clear()
    dataset = acquire(name)
    assert dataset.facts == facts(name) == Facts(1, 8, 300, 12, 2)
    assert dataset.labels.tolist() == [*[0, 1, 2] * 4, 2, 299]  # in the file's own order
    assert dataset.classes[299] == "class 299"
    np.testing.assert_array_equal(dataset.images[12:], test_images)


def test_a_function_of_ones_own(tmp_path):
    (tmp_path / "data.py").write_text(
        "import numpy as np\n"
        "from gradscape.data.store import Dataset\n"
        "def made(dtype=np.uint8):\n"
        "    images, labels = np.zeros((12, 8, 8, 3), dtype), np.arange(12) % 2\n"
        "    return Dataset('x', 'drawn', ['a', 'b'], 12, images, labels)\n"
        "def wrong():\n"
        "    return made(float)\n"
        "def other():\n"
        "    return 1\n"
    )
    name = f"{tmp_path}/data.py:made"
    assert acquire(name).facts == facts(name) == Facts(3, 8, 2, 10, 2)
    assert (acquire(name).name, acquire(name).source) == (name, "drawn")
    with pytest.raises(
        GradscapeError, match=r"data\.py:wrong: images: float64, where uint8"
    ):
        facts(f"{tmp_path}/data.py:wrong")
    with pytest.raises(GradscapeError, match=r"data\.py:other: returns int, where"):
        facts(f"{tmp_path}/data.py:other")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"images": None}, "has no `images`"),
        ({"labels": None}, "has no `labels`"),
        ({"labels": np.array([{}] * 12)}, "labels: Python objects, which are not read"),
        ({"images": np.array([[[None]]] * 12)}, "images: Python objects"),
        ({"labels": np.arange(11) % 3}, "labels: 11 for 12 images"),
        ({"labels": np.arange(12) % 3 - 1}, "labels: one is -1, where they begin at 0"),
        ({"labels": np.arange(12) % 3 + 1}, "labels: none is 0, where they begin at 0"),
        ({"labels": np.arange(12) / 3}, "labels: float64 .* whole numbers"),
        ({"labels": np.zeros(12, int)}, "two classes are the least, this has 1"),
        (
            {"classes": np.array(["a", "b"])},
            "labels: one is 2, where the 2 classes are 0 to",
        ),
        (
            {"images": np.zeros((12, 8, 9), np.uint8)},
            r"images: \[12, 8, 9\], where \[n, size",
        ),
        ({"images": np.zeros((12, 8, 8))}, "images: float64, where uint8 is needed"),
        ({"images": np.zeros((12, 8, 8, 4), np.uint8)}, "images: 4 channels, where 1 or 3"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "images: holds no images"),
        (
            {"images": np.zeros((3, 8, 8), np.uint8), "labels": np.arange(3)},
            "too few images",
        ),
        ({"test_images": np.zeros((2, 8, 8), np.uint8)}, "has no `test_labels`"),
        (
            {"test_images": np.zeros((2, 9, 9), np.uint8), "test_labels": np.arange(2)},
            "test_images: 1x9x9, where images are 1x8x8",
        ),
    ],
)
def test_a_bad_npz_is_one_sentence(tmp_path, changes, reason):
    """From the headers alone already, and nothing is unpickled."""
    name = write(tmp_path, **changes)
    for look in (facts, acquire):
        with pytest.raises(GradscapeError, match=rf"shapes\.npz: {reason}") as error:
            look(name)
        assert "\n" not in str(error.value)


def test_a_file_cut_short_is_one_sentence(tmp_path):
    name = write(tmp_path)
    for content in (Path(name).read_bytes()[:-100], b"not a zip", b""):
        Path(name).write_bytes(content)
        with pytest.raises(GradscapeError, match=r"shapes\.npz: not a whole \.npz"):
            acquire(name)
    Path(name).unlink()
    with pytest.raises(GradscapeError, match=r"shapes\.npz: missing"):
        acquire(name)


def test_a_bad_folder_is_one_sentence_that_names_the_file(photos):
    bad = photos / "cat" / "9.png"

    def refused(reason: str) -> None:
        with pytest.raises(GradscapeError, match=reason):
            acquire(str(photos))

    bad.write_bytes(b"no image")
    refused(r"cat/9\.png: not an image that can be read")
    paint(bad, 1, size=(8, 9))
    refused(r"cat/9\.png: 8x9 pixels, where .*0\.png has 8x8")
    paint(bad, (1, 2, 3))
    refused(r"cat/9\.png: in colours, where .*0\.png is grey")
    bad.unlink()
    bad.mkdir()
    refused(r"cat/9\.png: a folder where an image was expected")
    bad.rmdir()
    (photos / "empty").mkdir()
    refused("photos/empty: holds no images")
    (photos / "empty").rmdir()
    shutil.rmtree(photos / "dog")
    refused("photos: 1 class folders, where two are the least")
    with pytest.raises(GradscapeError, match=r"'no/such/': no such folder"):
        facts("no/such/")
    with pytest.raises(GradscapeError, match="did you mean 'cifar10'"):
        facts("cifar11")


@pytest.mark.parametrize(
    "program",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(CANARY) (w) file closefile\n",
        b"\x80\x05\x95pickle",
        b"P6 8 8",
    ],
    ids=["PostScript", "pickle", "torn PPM"],
)
def test_a_picture_that_is_a_program_is_refused_and_not_run(program, photos, monkeypatch):
    """Pillow tells formats by their content, whatever a file is called."""
    ran = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: ran.append(a))
    monkeypatch.setattr("subprocess.check_call", lambda *a, **k: ran.append(a))
    (photos / "cat" / "0.png").write_bytes(program)
    for look in (facts, acquire):
        with pytest.raises(GradscapeError, match=r"cat/0\.png: not an image that can be"):
            look(str(photos))
    assert not ran


@pytest.mark.limit(30)
def test_pipes_are_not_waited_for(photos, tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(GradscapeError, match=r"x\.npz: is no file that can be read"):
        facts(f"{tmp_path}/x.npz")
    os.mkfifo(photos / "cat" / "9.png")
    with pytest.raises(GradscapeError, match=r"9\.png: is no file that can be read"):
        acquire(str(photos))


def test_small_files_that_stand_for_much_are_refused_unread(photos, tmp_path, monkeypatch):
    """The bound is lowered here; the sizes are those that headers declare."""
    monkeypatch.setattr(own, "MAX_BYTES", 700)
    with pytest.raises(GradscapeError, match=r"images: 768 bytes of pixels, above 700"):
        facts(write(tmp_path, images=np.zeros((12, 8, 8), np.uint8)))
    with pytest.raises(GradscapeError, match=r"photos: [\d,]+ bytes of pixels, above 700"):
        acquire(str(photos))
    paint(photos / "cat" / "0.png", 1, size=(30, 30))
    with pytest.raises(GradscapeError, match=r"0\.png: 900 bytes of pixels, above 700"):
        facts(str(photos))
    Image.new("1", (9500, 9500)).save(photos / "cat" / "0.png")  # 12 kB
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(GradscapeError, match=r"0\.png: not an image .*90250000 pixels"),
    ):
        acquire(str(photos))


def test_a_header_that_declares_more_than_the_file_holds(tmp_path):
    name = Path(write(tmp_path))
    with zipfile.ZipFile(name) as packed:
        arrays = {entry: packed.read(entry) for entry in packed.namelist()}
    torn = arrays["images.npy"].replace(b"(12, 8, 8)", b"(99, 8, 8)")
    with zipfile.ZipFile(name, "w") as packed:
        for entry, content in (arrays | {"images.npy": torn}).items():
            packed.writestr(entry, content)
    with pytest.raises(GradscapeError, match=r"images: \[99, 8, 8\], of which a part"):
        facts(str(name))


@pytest.mark.parametrize("field", ["encrypted", "method", "nested"])
def test_archives_that_python_cannot_read_are_one_sentence(field, tmp_path):
    name = Path(write(tmp_path))
    content = bytearray(name.read_bytes())
    for mark, flags, method in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
        at = content.find(mark)
        while at >= 0 and field != "nested":
            if field == "encrypted":
                content[at + flags] |= 1
            else:
                content[at + method] = 99
            at = content.find(mark, at + 4)
    if field == "nested":
        with zipfile.ZipFile(name, "w") as packed:
            header = b"{'descr': " + b"(" * 8000 + b"}"
            length = len(header).to_bytes(2, "little")
            packed.writestr("images.npy", b"\x93NUMPY\x01\x00" + length + header)
            packed.writestr("labels.npy", b"")
    else:
        name.write_bytes(content)
    for look in (facts, acquire):
        with pytest.raises(GradscapeError, match=r"shapes\.npz: not a whole \.npz"):
            look(str(name))


def test_what_systems_leave_in_folders_is_no_image(photos, capfd):
    found = facts(str(photos))
    (photos / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    (photos / "cat" / ".DS_Store").write_bytes(b"store")
    (photos / "__MACOSX").mkdir()
    (photos / "labels.csv").write_text("cat, dog")
    assert facts(str(photos)) == found
    acquire(str(photos))
    left = (
        "passed over .DS_Store, Thumbs.db, __MACOSX and labels.csv, which are none of its"
    )
    assert left in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("parts", [("train", "val"), ("Test", "Train"), ("train",)])
def test_parts_of_other_names_are_told_what_to_do(parts, photos, tmp_path):
    for part in parts:
        shutil.copytree(photos, tmp_path / "images" / part)
    found = " and ".join(f"{part}/" for part in parts)
    needed = f"has {found}, where train/ and test/ are needed; rename them"
    with pytest.raises(GradscapeError, match=needed):
        facts(f"{tmp_path}/images")


def test_a_third_part_is_passed_over_and_said(photos, tmp_path, capfd):
    for part in ("train", "test", "val"):
        shutil.copytree(photos, tmp_path / "images" / part)
    assert acquire(f"{tmp_path}/images").facts.test == 12
    assert "passed over val, which are none" in " ".join(capfd.readouterr().err.split())


def test_facts_need_no_torch():
    code = (
        "import sys; from gradscape.data.datasets import facts; facts('svhn');"
        "from gradscape.spec.registry import find; find('normalisation', 'half');"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Minibatches of any shape


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_minibatches_of_any_shape(policy, channels):
    """In the shape and the range of the images, normalised; at strength 0 as they were."""
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (20, 28, 28, channels)).astype(np.uint8)
    labels = np.arange(20) % 2
    dataset = Dataset("x", "test", ["a", "b"], 20, images, labels)
    mean, deviation = (np.array(values) for values in moments("dataset", dataset))
    for strength in (1.0, 0.0):
        options = {"augmentation": policy, "augmentation_strength": strength}
        settings = Settings("vgg08", "x", **options)
        batches = Minibatches(dataset, np.arange(20), 20, settings, augmented=True)
        batches.draw(0, 0)
        taken, _ = batches.take(torch.tensor(0), 20)
        assert taken.shape == (20, channels, 28, 28)
        pixels = taken.permute(0, 2, 3, 1).numpy() * deviation + mean
        assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6
        if policy == "none":
            values = taken.double()
            torch.testing.assert_close(
                values.mean((0, 2, 3)), torch.zeros(channels).double()
            )
            torch.testing.assert_close(
                values.std((0, 2, 3), correction=0), torch.ones(channels).double()
            )
        if policy == "colour":
            expected = images[batches.order] / 255
            assert (np.abs(pixels - expected).max() > 0.1) == (strength == 1.0)
    assert moments("half", dataset) == ([0.5] * channels, [0.5] * channels)
    if channels == 1:
        with pytest.raises(
            GradscapeError, match=r"imagenet: for three channels, .* have 1"
        ):
            moments("imagenet", dataset)


@pytest.fixture(scope="module")
def grey(tmp_path_factory) -> Trained:
    """A VGG38 as it is initialised, for noise of one channel of 28 × 28."""
    folder = tmp_path_factory.mktemp("grey")
    images = np.random.RandomState(0).randint(0, 256, (300, 28, 28, 1)).astype(np.uint8)
    labels = (np.arange(300) % 10).astype(np.uint8)
    dataset = Dataset("noise.npz", "test", list("abcdefghij"), 250, images, labels)
    save(dataset, folder / "noise")
    settings = Settings("vgg38", "noise.npz", device="cpu")
    weights = build("vgg38", 10, channels=1, size=28).state_dict()
    saved = {"settings": vars(settings), "classes": dataset.classes}
    torch.save(saved | {"best": weights, "last": weights}, folder / "model.pt")
    return Trained(folder, folder)


def test_probes_show_grey_images_as_greys(grey):
    table = pd.DataFrame(explanations(grey, images=1))
    assert table.groupby("image").size().eq(28 * 28).all()
    assert (table["red"] == table["green"]).all() and (table["red"] == table["blue"]).all()
    number = table["image"].iloc[0]
    stored = grey.dataset.images[250 + number, ..., 0]
    np.testing.assert_array_equal((255 * table["red"][: 28 * 28]).round(), stored.ravel())
    with pytest.raises(GradscapeError, match="patch 29 is larger than the images, 28x28"):
        explanations(grey, patch=29)

    maps = pd.DataFrame(feature_maps(grey))
    maps = maps[maps["layer"] == "input"]
    shown = maps.pivot(index=["row", "column"], columns="channel", values="value")
    assert shown.shape == (28 * 28, 3) and (shown.nunique(axis=1) == 1).all()
    assert set(pd.DataFrame(filters(grey))["channel"]) == {0}


def test_the_law_of_signal_propagation_holds_where_an_odd_row_is_not_pooled(grey):
    """28, 14, 7 and 3 positions: gradients within a decade over 33."""
    table = pd.DataFrame(signal(grey, images=50))
    table = table[table["moment"] == "initialisation"][1:]
    measured, law = (table[f"{p}gradient_mean_square"] for p in ("", "predicted_"))
    assert np.abs(np.log10(measured / law)).max() < 1
    assert measured.iloc[-1] / measured.iloc[0] > 1e30
