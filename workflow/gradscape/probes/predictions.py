"""Predicted classes of the official test images, and the confidence in each."""

from gradscape.probes.trained import Trained, probabilities

WORDS = "label predicted"
NUMBERS = "image confidence"


def predictions(run: Trained) -> list[dict]:
    """Classes by name, in the dataset's order; weights of the best epoch, evaluation mode,
    fp32. The confidence is the softmax's probability of the predicted class (Guo et al.
    2017, section 2)."""
    images, labels = run.test_images()
    confidence, predicted = probabilities(run.network("best").eval(), images).max(dim=1)
    answers = zip(labels.tolist(), predicted.tolist(), confidence.tolist(), strict=True)
    names = run.class_names
    return [
        {"image": image, "label": names[label], "predicted": names[guess]}
        | {"confidence": confidence}
        for image, (label, guess, confidence) in enumerate(answers)
    ]
