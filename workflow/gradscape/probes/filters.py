"""The filters of the first convolution, the only ones whose inputs are colours."""

import numpy as np

from gradscape.probes.trained import Trained, convolutions

WORDS = "moment"
NUMBERS = "filter channel row column weight"


def filters(run: Trained) -> list[dict]:
    """Rows `moment,filter,channel,row,column,weight`, at initialisation and at the best.

    Channels 0, 1 and 2 are red, green and blue; grey images have only channel 0.
    """
    rows = []
    for moment in ("initialisation", "best"):
        first = next(iter(convolutions(run.network(moment)).values()))
        weights = first.weight.detach().cpu().numpy()
        for (number, channel, row, column), weight in np.ndenumerate(weights):
            rows.append(
                {"moment": moment, "filter": number, "channel": channel}
                | {"row": row, "column": column, "weight": float(weight)}
            )
    return rows
