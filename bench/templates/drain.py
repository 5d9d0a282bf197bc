"""Groups lines by drain3, in an environment of its own: asked and answered by lines of JSON.

.templates/bin/python bench/templates/drain.py
"""

import json
import logging
import sys
import time

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

MASKS = (
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-fA-F0-9]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
)
"""Addresses and numbers, as users of drain3 mask them."""


def main() -> None:
    """Answers until there are no more lines."""
    logging.disable(logging.CRITICAL)
    for asked in map(json.loads, sys.stdin):
        config = TemplateMinerConfig()
        config.drain_sim_th = asked["similarity"]
        if asked["masks"]:
            config.masking_instructions = [MaskingInstruction(*each) for each in MASKS]
        miner, lines = TemplateMiner(config=config), asked["lines"]
        took_s = list[float]()
        for _ in range(asked["passes"]):
            began_s = time.process_time()
            groups = [miner.add_log_message(line)["cluster_id"] for line in lines]
            took_s.append(time.process_time() - began_s)
        print(json.dumps({"groups": groups, "took_s": took_s}), flush=True)


if __name__ == "__main__":
    main()
