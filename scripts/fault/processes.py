"""A process of the cluster on its node: started, stopped, continued, killed, with a wrong clock."""
import contextlib
import glob
import os
import signal
import subprocess

from machines import clean_env, tail

STOP_S = 60
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def faketime():
    """The library that lies about the time, or None."""
    return next(iter(glob.glob(FAKETIME)), None)


class Process:
    """One `maestro serve` or `maestro worker`. An end that nobody asked for is kept in
    `surprises`."""

    def __init__(self, network, node, words, env, folder, surprises):
        self.network, self.node, self.words, self.env = network, node, words, env
        self.folder, self.surprises = folder, surprises
        self.log = os.path.join(folder, node + ".log")
        self.process, self.expected = None, False
        self.ended = lambda node: None  # is told of each end

    def start(self, offset_s=None):
        """With an offset its clock is that much ahead (or behind); `shift` changes it while it
        runs."""
        env = dict(self.env)
        if offset_s is not None:
            self.shift(offset_s)
            env.update({"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": self.clock(),
                        "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                        "FAKETIME_DONT_RESET": "1"})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.network.words(self.node, *self.words),
                                            stdin=subprocess.DEVNULL,
                                            stdout=log,
                                            stderr=log,
                                            env=clean_env(env),
                                            start_new_session=True)
        self.expected = False

    def clock(self):
        return os.path.join(self.folder, self.node + ".clock")

    def shift(self, offset_s):
        with open(self.clock() + ".new", "w", encoding="utf-8") as file:
            file.write(f"{offset_s:+d}s\n")
        os.replace(self.clock() + ".new", self.clock())

    def lives(self):
        """Notes an end that nobody asked for, once."""
        if self.process is None:
            return False
        if self.process.poll() is None:
            return True
        if not self.expected:
            self.surprises.append(f"{self.node} ended by itself, exit {self.process.returncode}: "
                                  + tail(self.log, 600).strip())
        self.forget()
        return False

    def forget(self):
        self.process = None
        self.ended(self.node)

    def send(self, number):
        if self.lives():
            self.process.send_signal(number)

    def stop_still(self):
        self.send(signal.SIGSTOP)

    def go_on(self):
        self.send(signal.SIGCONT)

    def kill(self):
        if not self.lives():
            return
        self.expected = True
        self.process.kill()
        self.process.wait()
        self.forget()

    def end(self):
        """In order. Returns its exit code; one that takes too long is killed and its code is
        None."""
        if not self.lives():
            return None
        self.expected = True
        self.process.terminate()
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(STOP_S)
        if code is None:
            self.kill()
        else:
            self.forget()
        return code
