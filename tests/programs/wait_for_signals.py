"""Block signals and fetch them with sigwait: a thread that does not block them would take them away."""

import os
import signal

handled = []
signal.signal(signal.SIGUSR2, lambda number, frame: handled.append(number))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
for _ in range(50):
    os.kill(os.getpid(), signal.SIGUSR1)
    assert signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1
    os.kill(os.getpid(), signal.SIGUSR2)
signal.signal(signal.SIGALRM, lambda number, frame: handled.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
print(len(handled), handled[-1] == signal.SIGALRM)
