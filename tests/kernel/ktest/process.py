# SPDX-License-Identifier: GPL-2.0
"""Functions that run in a process of their own, as somebody else if need be."""

import contextlib
import os
import pickle

NOBODY = 65534


def apart(function, *args):
    """What a function returns or raises in a process of its own."""
    ours, theirs = map(os.fdopen, os.pipe(), ("rb", "wb"))
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException), theirs:
            try:
                answer = function(*args)
            except BaseException as error:
                answer = error
            pickle.dump(answer, theirs)
        os._exit(0)
    theirs.close()
    with ours:
        answer = pickle.load(ours)
    os.waitpid(pid, 0)
    if isinstance(answer, BaseException):
        raise answer
    return answer


def as_nobody(function, *args):
    os.setuid(NOBODY)
    return function(*args)


def refused(function, *args):
    """The number of the error that a call ends with, 0 if it ends without."""
    try:
        function(*args)
    except OSError as error:
        return error.errno
    return 0
