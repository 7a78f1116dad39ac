"""A disk that takes two minutes for the second checkpoint of a training, once; where SLOW_SAVE names a file to note it."""

import os
import time

if marker := os.environ.get("SLOW_SAVE"):
    real_fsync = os.fsync

    def slow_fsync(descriptor):
        folder, inside, name = os.readlink(f"/proc/self/fd/{descriptor}").partition("/results/training/base/")
        saved = "checkpoint" in name and any(each.startswith("checkpoint-") for each in os.listdir(folder + inside))
        if saved and not os.path.exists(marker):
            open(marker, "w").close()
            time.sleep(120)
        real_fsync(descriptor)

    os.fsync = slow_fsync
