# SPDX-License-Identifier: GPL-2.0
"""Work that goes on beside everything else, in a process of its own."""

import gc
import multiprocessing
import os

fork = multiprocessing.get_context("fork")


class Child:
    """`work(stop, *arguments)` in a process of its own, on these CPUs, until told to.

    `stop` is a connection that becomes readable when the child has to end.
    """

    def __init__(self, cpus, work, *arguments):
        self.pipe, theirs = fork.Pipe()
        self.process = fork.Process(
            target=self._run, args=(cpus, theirs, work, arguments), daemon=True
        )
        self.process.start()
        theirs.close()

    @staticmethod
    def _run(cpus, pipe, work, arguments):
        os.sched_setaffinity(0, cpus)
        gc.collect()
        gc.disable()
        pipe.send(work(pipe, *arguments))

    def stop(self):
        """Tell the child to come to an end."""
        self.pipe.send("stop")

    def result(self):
        """What the work of a child that was told to stop returned."""
        result = self.pipe.recv()
        self.process.join()
        return result
