"""What comes from outside: weights of somebody else, and servers that misbehave."""

import hashlib
import io
import os
import pickle
import random
import shutil
import socketserver
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
import torchvision  # noqa: F401  takes longer than a server may
from torch import nn

from chains import chain, check_end, end, said, start
from gradscape.base import download
from gradscape.base.errors import GradscapeError
from gradscape.data import official
from gradscape.models import pretrained
from hostile import Executed, Hang, Lost, check_sentence

LARGEST = 2**33  # bytes of address space, of which torch takes three


class Touch:
    """What an unpickling reader would run."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


# Weights


def packed(content, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def bomb(content: bytes) -> bytes:
    """The same archive with 32 MiB of zeros in place of its tensors."""
    file = io.BytesIO()
    zeros = bytes(2**24)
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for entry in before.namelist():
            with after.open(entry, "w") as out:
                if "/data/" not in entry:
                    out.write(before.read(entry))
                else:
                    for _ in range(2):
                        out.write(zeros)
    return file.getvalue()


def hostile(chance: random.Random, sound: dict, canary: Path) -> bytes:
    """Bytes that pretend to be `sound`."""
    name = chance.choice(list(sound))
    tensor = torch.zeros(1)
    huge = tensor.as_strided((10**9, 10**6), (0, 0))
    values = [None, 1, "text", [1], tensor, tensor.to("meta"), tensor.to_sparse(), huge]
    values += [torch.zeros(2, 3, dtype=torch.complex64), torch.full((3,), torch.nan), {}]
    legacy = chance.random() < 0.3
    content = packed(sound, legacy)
    match chance.randrange(7):
        case 0:
            return packed(sound | {name: Touch(canary)}, legacy)
        case 1:
            return pickle.dumps(Touch(canary))
        case 2:
            return content[: chance.randrange(len(content))]
        case 3:
            return packed(sound | {name: chance.choice(values)}, legacy)
        case 4:
            return packed(chance.choice([*values, {}, [sound]]), legacy)
        case 5:
            return (
                bomb(packed({"a": tensor}))
                if chance.random() < 0.1
                else b"PK\3\4" + content
            )
        case _:
            at = chance.randrange(len(content))
            return content[:at] + chance.randbytes(99) + content[at + 99 :]


@cache
def saved() -> dict:
    (file,) = (path for path in chain()[1]["train 0"].makes if path.name == "model.pt")
    return torch.load(chain()[0] / file, weights_only=True)


def put(chance: random.Random, path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    match chance.randrange(20):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to("/dev/zero")
        case _:
            path.write_bytes(content)


def weights(chance: random.Random, folder: Path) -> None:
    """A run's weights, or those that a training starts from, by somebody who wants more."""
    canary = folder / "canary"
    (first_weights if chance.random() < 0.4 else weights_of_run)(chance, folder, canary)
    if canary.exists():
        raise Executed("a program in a file of weights, or named by one")


def first_weights(chance: random.Random, folder: Path, canary: Path) -> None:
    model = nn.Sequential(OrderedDict(features=nn.Sequential(nn.Conv2d(3, 64, 3))))
    sound = dict(model.state_dict())
    content = hostile(chance, sound, canary)
    path = folder / f"vgg11_bn-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    put(chance, path, content)
    try:
        pretrained.load_backbone(model, path)
    except GradscapeError as error:
        check_sentence(error)


def weights_of_run(chance: random.Random, folder: Path, canary: Path) -> None:
    whole, steps = chain()
    place, words = shutil.copytree(whole, folder / "work"), steps["probe 0"].words
    evil = f"from pathlib import Path\nPath({str(canary)!r}).touch()\n"
    (place / "evil.py").write_text(evil)
    content = hostile(chance, saved(), canary)
    if chance.random() < 0.3:
        own = {chance.choice(["model", "split", "loss"]): "evil.py:f"}
        content = packed(saved() | {"settings": saved()["settings"] | own})
    put(chance, place / words[words.index("--run") + 1] / "model.pt", content)
    code = end(start(place, words, LARGEST))
    check_end("probe", code, said(place))


# Downloads

CONTENT = random.Random(0).randbytes(300_000)


class Server(BaseHTTPRequestHandler):
    """Sends CONTENT, in the way that `behaviour` says."""

    behaviour = "good"
    patience = threading.Event()  # set when the trial is over

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        match self.behaviour:
            case "missing":
                self.send_error(404)
            case "circle":
                self.send_response(302)
                self.send_header("Location", self.path)
                self.end_headers()
            case "silent":
                self.patience.wait(20)
            case "closing":
                self.connection.close()
            case "other protocol":
                self.wfile.write(b"220 ready\r\n" * 99)
            case _:
                self.send()

    def send(self) -> None:
        self.send_response(200)
        wrong = {
            "endless": 10**12,
            "long header": "9" * 70_000,
            "no number": "x",
            "negative": "-1",
        }
        if self.behaviour != "without length":
            length = wrong.get(self.behaviour, len(CONTENT))
            self.send_header("Content-Length", str(length))
        self.end_headers()
        half = CONTENT[: len(CONTENT) // 2]
        match self.behaviour:
            case "good":
                self.wfile.write(CONTENT)
            case "stalling":
                self.wfile.write(half)
                self.patience.wait(20)
            case "trickling":
                while not self.patience.wait(0.05):
                    self.wfile.write(b"x")
            case "endless":
                while not self.patience.is_set():
                    self.wfile.write(half)
            case "lying":
                self.wfile.write(CONTENT[:-1] + b"x")
            case _:
                self.wfile.write(half)


BEHAVIOURS = ["missing", "circle", "silent", "closing", "other protocol", "stalling"]
BEHAVIOURS += ["trickling", "endless", "lying", "truncating", "without length"]
BEHAVIOURS += ["long header", "no number", "negative"]


@contextmanager
def server(behaviour: str):
    handler = type("Handler", (Server,), {"behaviour": behaviour})
    handler.patience = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as listening:
        listening.handle_error = lambda *words: None
        listening.daemon_threads = True
        listening.block_on_close = False
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}/file.pth"
        finally:
            handler.patience.set()
            listening.shutdown()


def downloads(chance: random.Random, folder: Path) -> None:
    """A dataset's file, or a network's weights, from a server that misbehaves."""
    something = chance.choice([dataset_file, network_weights])
    download_twice(chance.choice(BEHAVIOURS), something, folder)


def download_twice(behaviour: str, something: Callable, folder: Path) -> None:
    """From a server that behaves so, and then from a good one."""
    impatient = {"PATIENCE": 0.3, "SLOWEST": 10**6, "MAX_BYTES": 10**6}
    with patch.multiple(download, **impatient), patch.object(official, "ATTEMPTS", 1):
        begun = time.monotonic()
        with server(behaviour) as url:
            try:
                something(url, folder)
                raise Lost(f"{behaviour}: taken for the file")
            except GradscapeError:
                pass
        if time.monotonic() - begun > 10:
            raise Hang(f"{behaviour}: took {time.monotonic() - begun:.0f} s")
    if left := list(folder.iterdir()):
        raise Lost(f"{behaviour}: leaves {left}")
    with server("good") as url:
        path = something(url, folder)
    if path.read_bytes() != CONTENT:
        raise Lost("a good server's file is another")


def dataset_file(url: str, folder: Path) -> Path:
    official.download("x", {"f": (url, hashlib.md5(CONTENT).hexdigest())}, folder)
    return folder / "f"


def network_weights(url: str, folder: Path) -> Path:
    path = folder / f"vgg11_bn-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
    known = {"IMAGENET1K_V1": SimpleNamespace(url=url)}
    with patch("torchvision.models.get_model_weights", lambda name: known):
        pretrained.download("vgg11-bn", path)
    return path
