"""How settings and numbers are put in a sentence."""

from gradscape.letters import Tex, escape
from gradscape.registry import short
from gradscape.report import tex
from gradscape.results.runs import dataset_label
from gradscape.settings import Settings

OPTIMISERS = {
    "adam": r"Adam \citep{kingma2015}",
    "adamw": r"AdamW \citep{loshchilov2019}",
    "sgd": "stochastic gradient descent",
    "rmsprop": "RMSprop",
    "muon": "Muon",
}
SCHEDULES = {
    "constant": "a constant learning rate",
    "cosine": "a learning rate that falls along a cosine",
    "cosine_per_iteration": "a learning rate that swings along a cosine every few steps",
    "staircase": "a learning rate that falls in steps",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def dataset(name: str) -> Tex:
    return escape(dataset_label(short(name)))


def cited_dataset(name: str, made_up: bool) -> Tex:
    """With its source, or that it is made up."""
    if short(name).startswith("cifar"):
        return Tex(rf"{dataset(name)} \citep{{krizhevsky2009}}")
    more = ", stripes and noise drawn by this program" if made_up else ""
    return Tex(f"{dataset(name)}{more}")


def noun(number: int, one: str) -> str:
    return one if number == 1 else f"{one}s"


def count(number: int, one: str) -> Tex:
    """`1 epoch`, `12 epochs`, `1,200 images`."""
    return Tex(f"{number:,} {noun(number, one)}")


def in_words(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def optimiser(settings: Settings) -> Tex:
    """With its momentum and weight decay, if it has any."""
    text = OPTIMISERS.get(settings.optimiser, escape(short(settings.optimiser)))
    more = []
    if settings.optimiser in ("sgd", "muon") and settings.momentum:
        kind = "Nesterov momentum" if settings.nesterov else "momentum"
        more.append(f"{kind} {settings.momentum:g}")
    if settings.weight_decay:
        more.append(f"weight decay {tex.learning_rate(settings.weight_decay)}")
    return Tex(
        text + (f" with {tex.listing([Tex(word) for word in more])}" if more else "")
    )


def schedule(settings: Settings) -> Tex:
    """The schedule of the learning rate, and the warm-up if there is one."""
    if settings.schedule == "exponential":
        text = f"a learning rate multiplied by {settings.decay:g} after every epoch"
    else:
        own = rf"the schedule \texttt{{{escape(short(settings.schedule))}}}"
        text = SCHEDULES.get(settings.schedule, own)
    if settings.warmup_epochs:
        text += f" after a linear warm-up of {count(settings.warmup_epochs, 'epoch')}"
    return Tex(text)


def seeds(values: list[int]) -> Tex:
    """`one seed (0)`, `three seeds (0, 1 and 2)`."""
    many, numbers = len(values), tex.listing([str(value) for value in values])
    return Tex(f"{in_words(many)} {noun(many, 'seed')} ({numbers})")
